/**
 * What IPVS tells (linux/ip_vs.h). Attributes that are not known here are passed over; 64-bit counters
 * are taken where the kernel (4.1 and later) tells them, 32-bit ones elsewhere.
 */
import { type Address, type Family, addressLength, unpackAddress } from '../../core/ip.ts';
import { malformed } from '../errors.ts';
import { GENLMSGHDR_LENGTH } from '../netlink/generic.ts';
import { familyOfNumber, protocolOfNumber } from '../netlink/inet.ts';
import { AttributeCursor, type MessageCursor } from '../netlink/reader.ts';
import {
  IPVS_CMD_ATTR,
  IPVS_DEST_ATTR,
  IPVS_INFO_ATTR,
  IPVS_STATS_ATTR,
  IPVS_SVC_ATTR,
  IP_VS_CONN_F_FWD_MASK,
  IP_VS_SVC_F,
} from './constants.ts';
import type {
  IpvsInfo,
  IpvsTimeouts,
  RealServerInfo,
  ServerStats,
  VirtualName,
  VirtualServerInfo,
} from './servers.ts';
import { FORWARDING } from './write.ts';

const NO_STATS: ServerStats = {
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
};

const STATS: ReadonlyMap<number, keyof ServerStats> = new Map([
  [IPVS_STATS_ATTR.CONNS, 'connections'],
  [IPVS_STATS_ATTR.INPKTS, 'inPackets'],
  [IPVS_STATS_ATTR.OUTPKTS, 'outPackets'],
  [IPVS_STATS_ATTR.INBYTES, 'inBytes'],
  [IPVS_STATS_ATTR.OUTBYTES, 'outBytes'],
  [IPVS_STATS_ATTR.CPS, 'connectionRate'],
  [IPVS_STATS_ATTR.INPPS, 'inPacketRate'],
  [IPVS_STATS_ATTR.OUTPPS, 'outPacketRate'],
  [IPVS_STATS_ATTR.INBPS, 'inByteRate'],
  [IPVS_STATS_ATTR.OUTBPS, 'outByteRate'],
]);

/** Reads a virtual server; `undefined` for a family or protocol that no Service has. */
export function readVirtual(message: MessageCursor): VirtualServerInfo | undefined {
  const attributes = nestedIn(message, IPVS_CMD_ATTR.SERVICE, 'virtual server');
  let family: Family | undefined;
  let protocol = 0;
  let address: Buffer = Buffer.alloc(0);
  let port = 0;
  let mark = 0;
  let scheduler = '';
  let flags = 0;
  let seconds = 0;
  let mask: Buffer = Buffer.alloc(4);
  let persistenceEngine: string | undefined;
  let stats = NO_STATS;
  let hasStats64 = false;
  while (attributes.next()) {
    switch (attributes.type) {
      case IPVS_SVC_ATTR.AF:
        family = familyOfNumber(attributes.u16());
        break;
      case IPVS_SVC_ATTR.PROTOCOL:
        protocol = attributes.u16();
        break;
      case IPVS_SVC_ATTR.ADDR:
        address = attributes.view();
        break;
      case IPVS_SVC_ATTR.PORT:
        port = attributes.u16be();
        break;
      case IPVS_SVC_ATTR.FWMARK:
        mark = attributes.u32();
        break;
      case IPVS_SVC_ATTR.SCHED_NAME:
        scheduler = attributes.string();
        break;
      case IPVS_SVC_ATTR.FLAGS:
        flags = attributes.u32();
        break;
      case IPVS_SVC_ATTR.TIMEOUT:
        seconds = attributes.u32();
        break;
      case IPVS_SVC_ATTR.NETMASK:
        attributes.u32();
        mask = attributes.view();
        break;
      case IPVS_SVC_ATTR.PE_NAME:
        persistenceEngine = attributes.string();
        break;
      case IPVS_SVC_ATTR.STATS:
        if (!hasStats64) stats = readStats(attributes.nested());
        break;
      case IPVS_SVC_ATTR.STATS64:
        stats = readStats(attributes.nested());
        hasStats64 = true;
        break;
      default:
    }
  }
  if (family === undefined) return undefined;
  const name = virtualName(family, protocol, address, port, mark);
  if (name === undefined) return undefined;
  const schedulerFlags =
    (flags & (IP_VS_SVC_F.SCHED1 | IP_VS_SVC_F.SCHED2 | IP_VS_SVC_F.SCHED3)) / IP_VS_SVC_F.SCHED1;
  return {
    name,
    scheduling: {
      scheduler,
      schedulerFlags,
      onePacket: (flags & IP_VS_SVC_F.ONEPACKET) !== 0,
      persistence:
        (flags & IP_VS_SVC_F.PERSISTENT) === 0
          ? undefined
          : { seconds, prefix: prefixOf(mask, family) },
      persistenceEngine,
    },
    stats,
  };
}

/**
 * Reads a real server; `undefined` for a family that no Service has.
 * @param family That of the virtual server, which old kernels do not repeat.
 */
export function readReal(message: MessageCursor, family: Family): RealServerInfo | undefined {
  const attributes = nestedIn(message, IPVS_CMD_ATTR.DEST, 'real server');
  let realFamily: Family | undefined = family;
  let address: Buffer = Buffer.alloc(0);
  let forwarding = 0;
  let stats = NO_STATS;
  let hasStats64 = false;
  const numbers = { port: 0, weight: 0, upperThreshold: 0, lowerThreshold: 0 };
  const connections = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
  while (attributes.next()) {
    switch (attributes.type) {
      case IPVS_DEST_ATTR.ADDR_FAMILY:
        realFamily = familyOfNumber(attributes.u16());
        break;
      case IPVS_DEST_ATTR.ADDR:
        address = attributes.view();
        break;
      case IPVS_DEST_ATTR.PORT:
        numbers.port = attributes.u16be();
        break;
      case IPVS_DEST_ATTR.FWD_METHOD:
        forwarding = attributes.u32();
        break;
      case IPVS_DEST_ATTR.WEIGHT:
        numbers.weight = attributes.u32();
        break;
      case IPVS_DEST_ATTR.U_THRESH:
        numbers.upperThreshold = attributes.u32();
        break;
      case IPVS_DEST_ATTR.L_THRESH:
        numbers.lowerThreshold = attributes.u32();
        break;
      case IPVS_DEST_ATTR.ACTIVE_CONNS:
        connections.activeConnections = attributes.u32();
        break;
      case IPVS_DEST_ATTR.INACT_CONNS:
        connections.inactiveConnections = attributes.u32();
        break;
      case IPVS_DEST_ATTR.PERSIST_CONNS:
        connections.persistentConnections = attributes.u32();
        break;
      case IPVS_DEST_ATTR.STATS:
        if (!hasStats64) stats = readStats(attributes.nested());
        break;
      case IPVS_DEST_ATTR.STATS64:
        stats = readStats(attributes.nested());
        hasStats64 = true;
        break;
      default:
    }
  }
  if (realFamily === undefined) return undefined;
  const method = FORWARDING[forwarding & IP_VS_CONN_F_FWD_MASK];
  if (method === undefined) throw malformed(`IPVS forwarding method ${forwarding}`);
  return {
    address: readAddress(address, realFamily),
    ...numbers,
    forwarding: method,
    ...connections,
    stats,
  };
}

/** Reads the answer to IPVS_CMD_GET_CONFIG. */
export function readTimeouts(message: MessageCursor): IpvsTimeouts {
  const attributes = attributesOf(message);
  const timeouts = { tcp: 0, tcpFin: 0, udp: 0 };
  while (attributes.next()) {
    if (attributes.type === IPVS_CMD_ATTR.TIMEOUT_TCP) timeouts.tcp = attributes.u32();
    else if (attributes.type === IPVS_CMD_ATTR.TIMEOUT_TCP_FIN) timeouts.tcpFin = attributes.u32();
    else if (attributes.type === IPVS_CMD_ATTR.TIMEOUT_UDP) timeouts.udp = attributes.u32();
  }
  return timeouts;
}

/** Reads the answer to IPVS_CMD_GET_INFO. */
export function readInfo(message: MessageCursor): IpvsInfo {
  const attributes = attributesOf(message);
  let version = 0;
  let connectionTableSize = 0;
  while (attributes.next()) {
    if (attributes.type === IPVS_INFO_ATTR.VERSION) version = attributes.u32();
    else if (attributes.type === IPVS_INFO_ATTR.CONN_TAB_SIZE) {
      connectionTableSize = attributes.u32();
    }
  }
  // NVERSION of linux/ip_vs.h.
  const parts = [(version >> 16) & 0xff, (version >> 8) & 0xff, version & 0xff];
  return { version: parts.join('.'), connectionTableSize };
}

function readStats(attributes: AttributeCursor): ServerStats {
  const stats = { ...NO_STATS };
  while (attributes.next()) {
    const field = STATS.get(attributes.type);
    if (field !== undefined) stats[field] = attributes.u32or64();
  }
  return stats;
}

function virtualName(
  family: Family,
  protocolNumber: number,
  address: Buffer,
  port: number,
  mark: number,
): VirtualName | undefined {
  if (mark !== 0) return { mark, family };
  const protocol = protocolOfNumber(protocolNumber);
  if (protocol === undefined) return undefined;
  return { protocol, address: readAddress(address, family), port };
}

function readAddress(bytes: Buffer, family: Family): Address {
  if (bytes.length < addressLength(family)) throw malformed('IPVS address cut short');
  return unpackAddress(bytes, 0, family);
}

/** IPv6: the number of bits. IPv4: a mask in network order; one with holes counts as its leading ones. */
function prefixOf(mask: Buffer, family: Family): number {
  return family === 'IPv6' ? mask.readUInt32LE(0) : Math.clz32(~mask.readUInt32BE(0));
}

function attributesOf(message: MessageCursor): AttributeCursor {
  return new AttributeCursor(message.bytes, message.start + GENLMSGHDR_LENGTH, message.end);
}

function nestedIn(message: MessageCursor, type: number, what: string): AttributeCursor {
  const attributes = attributesOf(message);
  while (attributes.next()) if (attributes.type === type) return attributes.nested();
  throw malformed(`${what} message without a ${what}`);
}
