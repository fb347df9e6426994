/**
 * Counters: named objects of the table, so that all frontends of a Service port count in one place and a
 * frontend that goes takes nothing away. Their names say what they count: `in/tcp/shop/cart/http`, or
 * `in/tcp/shop/cart` for a port without a name.
 */
import { setImmediate } from 'node:timers/promises';
import type { Family } from '../../core/ip.ts';
import type { Protocol } from '../../core/model.ts';
import type { Route } from '../../core/route.ts';
import type { NftSocket } from '../../kernel/nftables/socket.ts';
import type { ServiceCounters } from '../plane.ts';
import type { CounterNames } from './plan.ts';
import { TABLE } from './schema.ts';

/** A Service port of either family: `tcp/shop/cart/http`. */
export type PortName = string;

const PROTOCOL_NAMES = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' } as const satisfies Record<
  string,
  Protocol
>;

/** The Service port a Route belongs to. */
export function portName({ key, service, protocol }: Route): PortName {
  const [port = ''] = key.slice(service.length + 1).split('/', 1);
  return `${protocol.toLowerCase()}/${service}${port === '' ? '' : `/${port}`}`;
}

/** Names of the counters of a Service port. */
export function counterNames(port: PortName): CounterNames {
  return { connections: `connections/${port}`, in: `in/${port}`, out: `out/${port}` };
}

/** Service ports that have counters in a family's table. */
export function countedPorts(socket: NftSocket, family: Family): readonly PortName[] {
  return socket
    .counters(family, TABLE)
    .filter(({ name }) => name.startsWith('in/'))
    .map(({ name }) => name.slice('in/'.length))
    .toArray();
}

/** Counters decoded in one turn of the event loop: about 1 ms. */
const PORTION = 200;

/** What the counters of a family's table say. Lets the event loop run in between. */
export async function readCounters(
  socket: NftSocket,
  family: Family,
): Promise<readonly ServiceCounters[]> {
  const ports = new Map<PortName, Mutable<ServiceCounters>>();
  let decoded = 0;
  for (const { name, packets, bytes } of socket.counters(family, TABLE)) {
    if (++decoded % PORTION === 0) await setImmediate();
    const slash = name.indexOf('/');
    const port = name.slice(slash + 1);
    const counters = ports.get(port) ?? noTraffic(port, family);
    // Somebody else's in our table.
    if (counters === undefined) continue;
    ports.set(port, counters);
    switch (name.slice(0, slash)) {
      case 'connections':
        counters.connections = packets;
        break;
      case 'in':
        counters.packetsIn = packets;
        counters.bytesIn = bytes;
        break;
      case 'out':
        counters.packetsOut = packets;
        counters.bytesOut = bytes;
        break;
      default:
    }
  }
  return [...ports.values()];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** `undefined` when this is not the name of a Service port. */
function noTraffic(portOf: PortName, family: Family): Mutable<ServiceCounters> | undefined {
  const [protocolName = '', namespace, name, port = ''] = portOf.split('/');
  const protocol = Object.entries(PROTOCOL_NAMES).find(([known]) => known === protocolName)?.[1];
  if (protocol === undefined || namespace === undefined || name === undefined) return undefined;
  return {
    namespace,
    name,
    port,
    protocol,
    family,
    connections: 0,
    packetsIn: 0,
    packetsOut: 0,
    bytesIn: 0,
    bytesOut: 0,
  };
}
