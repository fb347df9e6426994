/** The connection table, line by line: it can have millions of entries, so nothing here holds more than one. */
import { hostPort } from '../../../core/ip.ts';
import type { IpvsConnection } from '../../../kernel/ipvs/connections.ts';
import { type ServiceNames, isOfService } from './names.ts';
import type { ServerFilter } from './servers.ts';

/** A connection and the Service port that it goes to. */
export interface NamedConnection extends IpvsConnection {
  /** As {@link ServiceNames} tells it. */
  readonly service: string | undefined;
}

/** How the lines differ from those of ipvsadm. */
export interface ConnectionOptions {
  /** With the name of the Service port. */
  readonly services: boolean;
  /** With room for every IPv4 address, and with what a persistence engine has stored. */
  readonly wide: boolean;
}

/** Chooses connections by where their clients connected to, and names them. */
export async function* chooseConnections(
  connections: AsyncIterable<IpvsConnection>,
  { virtual, service: wanted }: ServerFilter,
  names: ServiceNames | undefined,
): AsyncGenerator<NamedConnection, void, undefined> {
  for await (const connection of connections) {
    if (virtual !== undefined) {
      const { protocol, virtual: address, virtualPort: port } = connection;
      if (port !== virtual.port || address !== virtual.address) continue;
      if (protocol !== virtual.protocol) continue;
    }
    const service = nameOf(connection, names);
    if (wanted === undefined || isOfService(service, wanted)) yield { ...connection, service };
  }
}

/** The table of `ipvsadm -Lcn` (list_conn(), print_conn()). */
export async function* connectionLines(
  connections: AsyncIterable<NamedConnection>,
  options: ConnectionOptions,
): AsyncGenerator<string, void, undefined> {
  yield 'IPVS connection entries';
  yield line(['pro', 'expire', 'state', 'source', 'virtual', 'destination'], options, {
    service: 'service',
    engine: 'engine',
  });
  for await (const connection of connections) {
    const { protocol, state, expiresSeconds, service = '-', engine } = connection;
    const { client, clientPort, virtual, virtualPort, real, realPort } = connection;
    const columns = [
      protocol,
      clock(expiresSeconds),
      state,
      hostPort(client, clientPort),
      hostPort(virtual, virtualPort),
      hostPort(real, realPort),
    ];
    yield line(columns, options, { service, engine });
  }
}

function nameOf(
  { protocol, virtual: address, virtualPort: port }: IpvsConnection,
  names: ServiceNames | undefined,
): string | undefined {
  // Templates of firewall marks have `IP`, and the mark in the place of the address.
  if (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'SCTP') return undefined;
  return names?.({ protocol, address, port });
}

/** Of protocol, expiry, state; the others hold an address and port. */
const WIDTHS = [3, 6, 11] as const;

function line(
  columns: readonly string[],
  { services, wide }: ConnectionOptions,
  more: { readonly service: string; readonly engine: string },
): string {
  const addressWidth = wide ? '255.255.255.255:65535'.length : 18;
  const added = [...(services ? [more.service] : []), ...(wide ? [more.engine] : [])];
  const all = [...columns, ...added.filter((text) => text !== '')];
  return all
    .map((text, at) => (at === all.length - 1 ? text : text.padEnd(WIDTHS[at] ?? addressWidth)))
    .join(' ');
}

/** Minutes and seconds: `14:59`, `180:00`. */
function clock(seconds: number): string {
  const parts = [Math.floor(seconds / 60), seconds % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}
