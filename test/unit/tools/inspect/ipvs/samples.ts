/** Servers for tests. */
import assert from 'node:assert/strict';
import { type Address, parseAddress } from '../../../../../src/core/ip.ts';
import type { Protocol } from '../../../../../src/core/model.ts';
import type {
  RealServerInfo,
  Scheduling,
  ServerStats,
  VirtualAddress,
} from '../../../../../src/kernel/ipvs/servers.ts';
import type { NamedServer } from '../../../../../src/tools/inspect/ipvs/servers.ts';

export function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

/** Counters, 0 but for what is said. */
export function stats(some: Partial<ServerStats>): ServerStats {
  return {
    connections: 0,
    inPackets: 0,
    outPackets: 0,
    inBytes: 0,
    outBytes: 0,
    connectionRate: 0,
    inPacketRate: 0,
    outPacketRate: 0,
    inByteRate: 0,
    outByteRate: 0,
    ...some,
  };
}

/** A real server at port 8080, masqueraded, idle, but for what is said. */
export function real(at: string, some: Partial<RealServerInfo> = {}): RealServerInfo {
  return {
    address: address(at),
    port: 8080,
    forwarding: 'masquerade',
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    activeConnections: 0,
    inactiveConnections: 0,
    persistentConnections: 0,
    stats: stats({}),
    ...some,
  };
}

/** Plain `rr`. */
export const ROUND_ROBIN: Scheduling = {
  scheduler: 'rr',
  schedulerFlags: 0,
  onePacket: false,
  persistence: undefined,
  persistenceEngine: undefined,
};

/** A virtual server at an address. */
export interface AddressedServer extends NamedServer {
  readonly name: VirtualAddress;
}

/** A virtual server without a name and real servers, but for what is said. */
export function ipvsServer(
  protocol: Protocol,
  at: string,
  port: number,
  some: Partial<Omit<NamedServer, 'name'>> = {},
): AddressedServer {
  return {
    name: { protocol, address: address(at), port },
    scheduling: ROUND_ROBIN,
    stats: stats({}),
    realServers: [],
    service: undefined,
    ...some,
  };
}
