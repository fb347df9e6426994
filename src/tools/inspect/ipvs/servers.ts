/** Virtual and real servers as they are to be shown: chosen, named, in order. */
import { type Address, parseAddress } from '../../../core/ip.ts';
import type { Protocol } from '../../../core/model.ts';
import { type VirtualAddress, describeVirtual } from '../../../kernel/ipvs/servers.ts';
import type { IpvsSocket, VirtualServerListing } from '../../../kernel/ipvs/socket.ts';
import { ToolError } from '../../errors.ts';
import { type ServiceNames, isOfService } from './names.ts';
import { sortRealServers, sortVirtualServers } from './order.ts';

/** Which virtual servers are asked for; without any of both, all. */
export interface ServerFilter {
  readonly virtual: VirtualAddress | undefined;
  /** `namespace/name`, or `namespace/name:port`. */
  readonly service: string | undefined;
}

/** A virtual server and the Service port it serves. */
export interface NamedServer extends VirtualServerListing {
  /** As {@link ServiceNames} tells it. */
  readonly service: string | undefined;
}

/** What servers are read from. */
export type ServerSource = Pick<IpvsSocket, 'virtualServer' | 'realServers' | 'servers'>;

/**
 * Reads servers, in the order of ipvsadm.
 * @throws ToolError NO_SUCH_SERVER: none has the address that was asked for.
 */
export async function readServers(
  source: ServerSource,
  filter: ServerFilter,
  names: ServiceNames | undefined,
): Promise<readonly NamedServer[]> {
  const found: NamedServer[] = [];
  for await (const server of chosen(source, filter.virtual)) {
    const service = names?.(server.name);
    if (filter.service !== undefined && !isOfService(service, filter.service)) continue;
    found.push({ ...server, realServers: sortRealServers(server.realServers), service });
  }
  return sortVirtualServers(found);
}

/** Reads `10.96.0.1:80`, `[fd00::1]:80`, or without a port, which means 0: any. `undefined`: something else. */
export function parseVirtualAddress(protocol: Protocol, text: string): VirtualAddress | undefined {
  const [, host6, host4, digits = '0'] =
    /^(?:\[([^\]]+)\]|([^[\]:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address: Address | undefined = parseAddress(host6 ?? host4 ?? '');
  const port = Number(digits);
  if (address === undefined || port > 65_535) return undefined;
  return address.includes(':') === (host6 !== undefined) ? { protocol, address, port } : undefined;
}

async function* chosen(
  source: ServerSource,
  virtual: VirtualAddress | undefined,
): AsyncGenerator<VirtualServerListing, void, undefined> {
  if (virtual === undefined) {
    yield* source.servers();
    return;
  }
  const server = source.virtualServer(virtual);
  if (server === undefined) {
    throw new ToolError(
      'SY_NO_SUCH_SERVER',
      `IPVS has no virtual server ${describeVirtual(virtual)}. All there are: switchyard ipvs list`,
    );
  }
  yield { ...server, realServers: source.realServers(virtual) };
}
