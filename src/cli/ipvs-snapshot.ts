/** Reads for the metrics what IPVS holds, with the names of Services. */
import type { IpvsServer, IpvsSnapshot } from '../agent/metrics/ipvs-metrics.ts';
import { IpsetSocket } from '../kernel/ipset/socket.ts';
import type { KernelIo } from '../kernel/io.ts';
import { IpvsSocket } from '../kernel/ipvs/socket.ts';
import { readServiceNames } from '../tools/inspect/ipvs/names.ts';
import { type NamedServer, readServers } from '../tools/inspect/ipvs/servers.ts';

const ALL = { virtual: undefined, service: undefined } as const;

/** Reads all of it. Rejects with a KernelError. */
export async function readIpvs(io: KernelIo): Promise<IpvsSnapshot> {
  using ipvs = IpvsSocket.open(io);
  using ipset = IpsetSocket.open(io);
  const servers = await readServers(ipvs, ALL, readServiceNames(ipset));
  return {
    connectionTableSize: ipvs.info().connectionTableSize,
    servers: servers.flatMap((server) => toIpvsServer(server) ?? []),
  };
}

/** `undefined` for servers of nobody's Service, and for those that only marked packets get to. */
function toIpvsServer({ name, service, stats, realServers }: NamedServer): IpvsServer | undefined {
  if (service === undefined || !('address' in name)) return undefined;
  const [namespace = '', rest = ''] = service.split('/');
  const [serviceName = '', port = ''] = rest.split(':');
  return { namespace, name: serviceName, port, virtual: name, stats, realServers };
}
