/** Virtual and real servers of IPVS as values. */
import { type Address, type Family, familyOf, hostPort } from '../../core/ip.ts';
import type { Protocol } from '../../core/model.ts';

/** Names a virtual server by where clients connect to. */
export interface VirtualAddress {
  readonly protocol: Protocol;
  readonly address: Address;
  /** 0: every port. The kernel takes it only with persistence. */
  readonly port: number;
}

/** Names a virtual server by the firewall mark of its packets. Others make these; they are only read. */
interface FirewallMark {
  readonly mark: number;
  readonly family: Family;
}

/** What names a virtual server. */
export type VirtualName = VirtualAddress | FirewallMark;

/** How a virtual server picks real servers. */
export interface Scheduling {
  /** `rr`, `wrr`, `lc`, …: the kernel loads the module `ip_vs_NAME` when it can. `none` picks none. */
  readonly scheduler: string;
  /** Mask of the scheduler's flags 1 to 3, bits 1, 2 and 4; see {@link SCHEDULER_FLAGS}. */
  readonly schedulerFlags: number;
  /** UDP: pick anew for every packet. */
  readonly onePacket: boolean;
  readonly persistence: Persistence | undefined;
  /** Name of a persistence engine, such as `sip`. */
  readonly persistenceEngine: string | undefined;
}

/** Clients stay with the real server that they had before. */
interface Persistence {
  /** How long after their last connection. */
  readonly seconds: number;
  /** Clients whose addresses have these leading bits in common count as one: at most 32, or 128. */
  readonly prefix: number;
}

/** What ipvsadm calls the flags of the schedulers that have any (linux/ip_vs.h, ip_vs_mh.c). */
export const SCHEDULER_FLAGS = {
  'sh-fallback': 1,
  'sh-port': 2,
  'mh-fallback': 1,
  'mh-port': 2,
} as const;

/** Names a real server of a virtual server. */
export interface RealAddress {
  readonly address: Address;
  readonly port: number;
}

/** How packets reach a real server (IP_VS_CONN_F_*): `masquerade` is NAT, `route` needs the address there. */
export type Forwarding = 'masquerade' | 'local' | 'tunnel' | 'route' | 'bypass';

/** A real server. */
export interface RealServer extends RealAddress {
  /** 0: no new connections. */
  readonly weight: number;
  /** `masquerade` without it. */
  readonly forwarding?: Forwarding;
  /** With this many connections it gets no more; 0, or without it: no limit. */
  readonly upperThreshold?: number;
  /** It gets connections again when it has fewer than this; 0 without it. */
  readonly lowerThreshold?: number;
}

/**
 * Counters since the server was made or zeroed, and rates over the last seconds. Exact up to 2^53. The
 * kernel brings them up to date every two seconds (ip_vs_est.c).
 */
export interface ServerStats {
  readonly connections: number;
  readonly inPackets: number;
  readonly outPackets: number;
  readonly inBytes: number;
  readonly outBytes: number;
  /** A second. */
  readonly connectionRate: number;
  readonly inPacketRate: number;
  readonly outPacketRate: number;
  readonly inByteRate: number;
  readonly outByteRate: number;
}

/** A virtual server as the kernel tells it. */
export interface VirtualServerInfo {
  readonly name: VirtualName;
  readonly scheduling: Scheduling;
  readonly stats: ServerStats;
}

/** A real server as the kernel tells it. */
export interface RealServerInfo extends Required<RealServer> {
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly persistentConnections: number;
  readonly stats: ServerStats;
}

/** How long idle connections are remembered, in seconds. */
export interface IpvsTimeouts {
  readonly tcp: number;
  /** After a FIN. */
  readonly tcpFin: number;
  readonly udp: number;
}

/** What the kernel says of its IPVS. */
export interface IpvsInfo {
  /** `1.2.1`. */
  readonly version: string;
  /** Buckets of the connection table: 2 to the power of the module parameter `conn_tab_bits`. */
  readonly connectionTableSize: number;
}

/** True when two have everything in common but address and port. */
export function isSameService(one: RealServer, other: RealServer): boolean {
  return (
    one.weight === other.weight &&
    (one.forwarding ?? 'masquerade') === (other.forwarding ?? 'masquerade') &&
    (one.upperThreshold ?? 0) === (other.upperThreshold ?? 0) &&
    (one.lowerThreshold ?? 0) === (other.lowerThreshold ?? 0)
  );
}

/** `TCP 10.96.0.1:80`, or `firewall mark 7 (IPv4)`. */
export function describeVirtual(name: VirtualName): string {
  return 'mark' in name
    ? `firewall mark ${name.mark} (${name.family})`
    : `${name.protocol} ${hostPort(name.address, name.port)}`;
}

/** The family of the addresses that clients connect to. */
export function familyOfVirtual(name: VirtualName): Family {
  return 'mark' in name ? name.family : familyOf(name.address);
}
