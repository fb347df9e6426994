/** Kubernetes names of virtual servers, from what the kernel holds: the agent need not run. */
import type { IpsetSocket } from '../../../kernel/ipset/socket.ts';
import { type VirtualName, describeVirtual } from '../../../kernel/ipvs/servers.ts';
import { setName } from '../../../planes/ipvs/schema.ts';

/**
 * Tells the Service port of a virtual server: `namespace/name:port`, or `namespace/name` if the port has no name.
 * `undefined` for those that serve no Service, or whose Service is gone while they drain.
 */
export type ServiceNames = (server: VirtualName) => string | undefined;

/**
 * Reads the names that the ipvs plane writes beside its frontends: comments in its sets.
 * @throws KernelError UNSUPPORTED: the kernel has no ipset.
 */
export function readServiceNames(
  ipset: Pick<IpsetSocket, 'protocol' | 'sets' | 'elements'>,
): ServiceNames {
  ipset.protocol();
  const sets = new Set(ipset.sets().map(({ name }) => name));
  const elements = (name: string): ReturnType<IpsetSocket['elements']> =>
    sets.has(name) ? ipset.elements(name) : [];
  const names = new Map<string, string>();
  for (const family of ['IPv4', 'IPv6'] as const) {
    for (const { ip, protocol, port, comment = '' } of elements(setName(family, 'frontends'))) {
      if (ip === undefined || protocol === undefined || port === undefined) continue;
      if (comment !== '') names.set(describeVirtual({ protocol, address: ip, port }), comment);
    }
    // Frontends that have a second virtual server, which packets with the mark get to.
    for (const { ip, protocol, port, mark } of elements(setName(family, 'inside'))) {
      if (ip === undefined || protocol === undefined || port === undefined) continue;
      const name = names.get(describeVirtual({ protocol, address: ip, port }));
      if (mark !== undefined && name !== undefined) {
        names.set(describeVirtual({ mark, family }), name);
      }
    }
  }
  return (server) => names.get(describeVirtual(server));
}

/**
 * True for a port of a Service.
 * @param label As {@link ServiceNames} tells it.
 * @param wanted `namespace/name` for all ports, `namespace/name:port` for one.
 */
export function isOfService(label: string | undefined, wanted: string): boolean {
  return label === wanted || (label?.startsWith(`${wanted}:`) ?? false);
}
