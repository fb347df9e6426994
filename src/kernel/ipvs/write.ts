/** What is said to IPVS (linux/ip_vs.h): the attributes of its messages. */
import { type Address, addressLength, familyOf, packAddress } from '../../core/ip.ts';
import { badArgument } from '../errors.ts';
import { ATTRIBUTE_HEADER_LENGTH } from '../netlink/constants.ts';
import { ADDRESS_FAMILY, IP_PROTOCOL, packedAddress } from '../netlink/inet.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import {
  ADDRESS_BYTES,
  IPVS_CMD_ATTR,
  IPVS_DEST_ATTR,
  IPVS_SVC_ATTR,
  IP_VS_SVC_F,
} from './constants.ts';
import {
  type Forwarding,
  type IpvsTimeouts,
  type RealAddress,
  type RealServer,
  type Scheduling,
  type VirtualName,
  familyOfVirtual,
} from './servers.ts';

/** IP_VS_CONN_F_*, position is number. */
export const FORWARDING: readonly Forwarding[] = [
  'masquerade',
  'local',
  'tunnel',
  'route',
  'bypass',
];

/** Longest names, the NUL included (IP_VS_SCHEDNAME_MAXLEN, IP_VS_PENAME_MAXLEN). */
const NAME_MAXLEN = 16;
const ALL_BITS = 0xffff_ffff;
/** One for all addresses: there are very many of them, and each is copied at once. */
const scratch = new Uint8Array(ADDRESS_BYTES);
/** struct ip_vs_flags: the flags, and which of them count: all. */
const flagPair = Uint8Array.of(0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff);
const NO_PERSISTENCE = { seconds: 0, prefix: undefined };

/** The virtual server a message is about; with `scheduling` also what it is to be. */
export function writeVirtual(
  writer: NetlinkWriter,
  name: VirtualName,
  scheduling?: Scheduling,
): void {
  const family = familyOfVirtual(name);
  const nested = writer.beginNested(IPVS_CMD_ATTR.SERVICE);
  writer.u16(IPVS_SVC_ATTR.AF, ADDRESS_FAMILY[family]);
  if ('mark' in name) {
    writer.u32(IPVS_SVC_ATTR.FWMARK, name.mark);
  } else {
    writer.u16(IPVS_SVC_ATTR.PROTOCOL, IP_PROTOCOL[name.protocol]);
    writer.bytes(IPVS_SVC_ATTR.ADDR, addressBytes(name.address));
    writer.u16be(IPVS_SVC_ATTR.PORT, name.port);
  }
  if (scheduling !== undefined) writeScheduling(writer, scheduling, addressLength(family) * 8);
  writer.endNested(nested);
}

function writeScheduling(writer: NetlinkWriter, scheduling: Scheduling, bits: number): void {
  const { persistence, persistenceEngine, schedulerFlags } = scheduling;
  if (!Number.isInteger(schedulerFlags) || schedulerFlags < 0 || schedulerFlags > 7) {
    throw badArgument(`scheduler flags must be a mask of 1, 2 and 4, not ${schedulerFlags}`);
  }
  writer.string(IPVS_SVC_ATTR.SCHED_NAME, checkedName('scheduler', scheduling.scheduler));
  if (persistenceEngine !== undefined) {
    const engine = checkedName('persistence engine', persistenceEngine);
    writer.string(IPVS_SVC_ATTR.PE_NAME, engine);
  }
  const { seconds, prefix = bits } = persistence ?? NO_PERSISTENCE;
  if (!Number.isInteger(prefix) || prefix < 1 || prefix > bits) {
    throw badArgument(`persistence prefix must be 1 to ${bits}, not ${prefix}`);
  }
  const flags =
    (schedulerFlags * IP_VS_SVC_F.SCHED1) |
    (scheduling.onePacket ? IP_VS_SVC_F.ONEPACKET : 0) |
    (persistence === undefined ? 0 : IP_VS_SVC_F.PERSISTENT);
  flagPair[0] = flags;
  writer.bytes(IPVS_SVC_ATTR.FLAGS, flagPair);
  writer.u32(IPVS_SVC_ATTR.TIMEOUT, seconds);
  // IPv4: a mask in network order; IPv6: its number of bits.
  if (bits === 32) writer.u32be(IPVS_SVC_ATTR.NETMASK, (ALL_BITS << (32 - prefix)) >>> 0);
  else writer.u32(IPVS_SVC_ATTR.NETMASK, prefix);
}

/** Behind three headers and the family, and behind the address and another header. */
const REAL_ADDRESS_AT = 4 * ATTRIBUTE_HEADER_LENGTH;
const REAL_PORT_AT = REAL_ADDRESS_AT + ADDRESS_BYTES + ATTRIBUTE_HEADER_LENGTH;

/** The real server a message is about; with the rest of its properties also what it is to be. */
export function writeReal(writer: NetlinkWriter, real: RealAddress | RealServer): void {
  const nested = writer.beginNested(IPVS_CMD_ATTR.DEST);
  writer.u16(IPVS_DEST_ATTR.ADDR_FAMILY, ADDRESS_FAMILY[familyOf(real.address)]);
  writer.bytes(IPVS_DEST_ATTR.ADDR, addressBytes(real.address));
  writer.u16be(IPVS_DEST_ATTR.PORT, real.port);
  if ('weight' in real) {
    writer.u32(IPVS_DEST_ATTR.FWD_METHOD, FORWARDING.indexOf(real.forwarding ?? 'masquerade'));
    writer.u32(IPVS_DEST_ATTR.WEIGHT, real.weight);
    writer.u32(IPVS_DEST_ATTR.U_THRESH, real.upperThreshold ?? 0);
    writer.u32(IPVS_DEST_ATTR.L_THRESH, real.lowerThreshold ?? 0);
  }
  writer.endNested(nested);
}

/** Puts address and port of a real server, of the same family, in the place of what {@link writeReal} wrote at `at`. */
export function overwriteReal(writer: NetlinkWriter, at: number, real: RealAddress): void {
  writer.overwrite(at + REAL_ADDRESS_AT, packedAddress(real.address));
  writer.overwriteU16be(at + REAL_PORT_AT, real.port);
}

/** Timeouts to set; those left out stay. */
export function writeTimeouts(writer: NetlinkWriter, timeouts: Partial<IpvsTimeouts>): void {
  const { tcp, tcpFin, udp } = timeouts;
  if (tcp !== undefined) writer.u32(IPVS_CMD_ATTR.TIMEOUT_TCP, tcp);
  if (tcpFin !== undefined) writer.u32(IPVS_CMD_ATTR.TIMEOUT_TCP_FIN, tcpFin);
  if (udp !== undefined) writer.u32(IPVS_CMD_ATTR.TIMEOUT_UDP, udp);
}

/** union nf_inet_addr, valid until the next call. */
function addressBytes(address: Address): Uint8Array {
  scratch.fill(0, packAddress(address, scratch, 0));
  return scratch;
}

/** The kernel would cut a longer name. */
function checkedName(what: string, name: string): string {
  if (/^[\w-]+$/.test(name) && name.length < NAME_MAXLEN) return name;
  throw badArgument(
    `${what} must have 1 to ${NAME_MAXLEN - 1} letters, digits, - and _, not ${JSON.stringify(name)}`,
  );
}
