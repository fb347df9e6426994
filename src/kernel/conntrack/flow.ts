/** Conntrack entries: reading them, and the requests about them (linux/netfilter/nfnetlink_conntrack.h). */
import {
  type Address,
  type Family,
  addressLength,
  packAddress,
  unpackAddress,
} from '../../core/ip.ts';
import { malformed } from '../errors.ts';
import { NLM_F } from '../netlink/constants.ts';
import { AttributeCursor, type MessageCursor } from '../netlink/reader.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import {
  CTA,
  CTA_FILTER_F,
  CTA_FILTER_ORIG_FLAGS,
  CTA_IP,
  CTA_PROTO,
  CTA_TUPLE,
  IPCTNL_MSG_CT,
  IPPROTO_UDP,
} from './constants.ts';

/** AF_INET and AF_INET6. */
const ADDRESS_FAMILY: { readonly [F in Family]: number } = { IPv4: 2, IPv6: 10 };
/** struct nfgenmsg. */
const NFGENMSG_LENGTH = 4;

/** Where the parts of one direction's tuple are. */
interface TuplePlaces {
  protocol: number;
  sourceStart: number;
  destinationStart: number;
  sourcePort: number;
  destinationPort: number;
}

/** Reads one entry after the other without making objects. All places lie inside `bytes`. */
export class FlowReader {
  readonly original = emptyTuple();
  readonly reply = emptyTuple();
  /** The value of CTA_TUPLE_ORIG, which names the entry. */
  tupleStart = 0;
  tupleEnd = 0;
  /** CTA_ID, which tells it from a later entry with the same tuple. */
  id = 0;
  /** CTA_ZONE; `undefined` for the default zone. */
  zone: number | undefined;
  bytes: Buffer = Buffer.alloc(0);
  readonly #family: Family;
  readonly #message = new AttributeCursor(this.bytes, 0, 0);
  readonly #tuple = new AttributeCursor(this.bytes, 0, 0);
  readonly #part = new AttributeCursor(this.bytes, 0, 0);

  constructor(family: Family) {
    this.#family = family;
  }

  /** Takes an IPCTNL_MSG_CT_NEW message; false unless it is an entry of UDP in this family. */
  read(message: MessageCursor): boolean {
    const { bytes } = message;
    if (message.type !== IPCTNL_MSG_CT.NEW || message.end - message.start < NFGENMSG_LENGTH) {
      return false;
    }
    if (bytes.readUInt8(message.start) !== ADDRESS_FAMILY[this.#family]) return false;
    this.bytes = bytes;
    this.id = 0;
    this.zone = undefined;
    this.original.protocol = 0;
    this.reply.protocol = 0;
    const attributes = this.#message.enter(bytes, message.start + NFGENMSG_LENGTH, message.end);
    while (attributes.next()) {
      if (attributes.type === CTA.TUPLE_ORIG) {
        this.tupleStart = attributes.start;
        this.tupleEnd = attributes.end;
        this.#readTuple(this.original);
        // Most entries of a busy node are TCP: leave them at once.
        if (this.original.protocol !== IPPROTO_UDP) return false;
      } else if (attributes.type === CTA.TUPLE_REPLY) this.#readTuple(this.reply);
      else if (attributes.type === CTA.ID) this.id = attributes.u32be();
      else if (attributes.type === CTA.ZONE) this.zone = attributes.u16be();
    }
    return this.original.protocol === IPPROTO_UDP && this.reply.protocol === IPPROTO_UDP;
  }

  address(start: number): Address {
    return unpackAddress(this.bytes, start, this.#family);
  }

  #readTuple(tuple: TuplePlaces): void {
    const outer = this.#tuple.enter(this.bytes, this.#message.start, this.#message.end);
    const v4 = this.#family === 'IPv4';
    tuple.protocol = 0;
    tuple.sourceStart = -1;
    tuple.destinationStart = -1;
    while (outer.next()) {
      const part = this.#part.enter(this.bytes, outer.start, outer.end);
      if (outer.type === CTA_TUPLE.IP) {
        while (part.next()) {
          if (part.type === (v4 ? CTA_IP.V4_SRC : CTA_IP.V6_SRC)) {
            tuple.sourceStart = this.#addressStart();
          } else if (part.type === (v4 ? CTA_IP.V4_DST : CTA_IP.V6_DST)) {
            tuple.destinationStart = this.#addressStart();
          }
        }
      } else if (outer.type === CTA_TUPLE.PROTO) {
        while (part.next()) {
          if (part.type === CTA_PROTO.NUM) tuple.protocol = part.u8();
          else if (part.type === CTA_PROTO.SRC_PORT) tuple.sourcePort = part.u16be();
          else if (part.type === CTA_PROTO.DST_PORT) tuple.destinationPort = part.u16be();
        }
      }
    }
    if (tuple.sourceStart < 0 || tuple.destinationStart < 0) {
      throw malformed('conntrack tuple without addresses');
    }
  }

  #addressStart(): number {
    const { start, end } = this.#part;
    if (end - start < addressLength(this.#family)) throw malformed('conntrack address cut short');
    return start;
  }
}

function emptyTuple(): TuplePlaces {
  return { protocol: 0, sourceStart: 0, destinationStart: 0, sourcePort: 0, destinationPort: 0 };
}

/** What the kernel limits a listing to besides UDP; everything in it belongs to the original direction. */
export interface UdpFilter {
  readonly destinationPort?: number;
  /**
   * IPv4 only: kernels (6.18 for one) compare IPv6 addresses the wrong way round and leave out just the
   * entries that match.
   */
  readonly destination?: Address;
}

/**
 * Writes a request to list entries.
 * @param filter `undefined`: everything of the family, whatever the protocol.
 */
export function writeList(
  writer: NetlinkWriter,
  sequence: number,
  family: Family,
  filter: UdpFilter | undefined,
): void {
  writer.begin(IPCTNL_MSG_CT.GET, NLM_F.REQUEST | NLM_F.DUMP, sequence);
  writer.nfgenmsg(ADDRESS_FAMILY[family], 0);
  if (filter !== undefined) writeFilter(writer, family, filter);
  writer.end();
}

function writeFilter(writer: NetlinkWriter, family: Family, filter: UdpFilter): void {
  let flags: number = CTA_FILTER_F.PROTO_NUM;
  const tuple = writer.beginNested(CTA.TUPLE_ORIG);
  if (filter.destination !== undefined && family === 'IPv4') {
    flags |= CTA_FILTER_F.IP_DST;
    const bytes = new Uint8Array(addressLength(family));
    packAddress(filter.destination, bytes, 0);
    const ip = writer.beginNested(CTA_TUPLE.IP);
    writer.bytes(CTA_IP.V4_DST, bytes);
    writer.endNested(ip);
  }
  const protocol = writer.beginNested(CTA_TUPLE.PROTO);
  writer.u8(CTA_PROTO.NUM, IPPROTO_UDP);
  if (filter.destinationPort !== undefined) {
    flags |= CTA_FILTER_F.PROTO_DST_PORT;
    writer.u16be(CTA_PROTO.DST_PORT, filter.destinationPort);
  }
  writer.endNested(protocol);
  writer.endNested(tuple);
  const nested = writer.beginNested(CTA.FILTER);
  writer.u32(CTA_FILTER_ORIG_FLAGS, flags);
  writer.endNested(nested);
}

/** An entry to delete. */
export interface FlowName {
  readonly family: Family;
  /** Value of CTA_TUPLE_ORIG. */
  readonly tuple: Uint8Array;
  readonly id: number;
  readonly zone: number | undefined;
}

/** Writes a request to delete exactly this entry. */
export function writeDelete(writer: NetlinkWriter, sequence: number, flow: FlowName): void {
  writer.begin(IPCTNL_MSG_CT.DELETE, NLM_F.REQUEST | NLM_F.ACK, sequence);
  writer.nfgenmsg(ADDRESS_FAMILY[flow.family], 0);
  const tuple = writer.beginNested(CTA.TUPLE_ORIG);
  writer.raw(flow.tuple);
  writer.endNested(tuple);
  writer.u32be(CTA.ID, flow.id);
  if (flow.zone !== undefined) writer.u16be(CTA.ZONE, flow.zone);
  writer.end();
}
