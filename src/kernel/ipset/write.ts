/** What is said to ipset (linux/netfilter/ipset/ip_set.h): the attributes of its messages. */
import type { Address, Cidr } from '../../core/ip.ts';
import type { Protocol } from '../../core/model.ts';
import { badArgument } from '../errors.ts';
import { NLA_F_NET_BYTEORDER } from '../netlink/constants.ts';
import { ADDRESS_FAMILY, IP_PROTOCOL, packedAddress } from '../netlink/inet.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import {
  IPSET_ADT,
  IPSET_ATTR,
  IPSET_CADT,
  IPSET_CADT_FLAG,
  IPSET_CREATE,
  IPSET_IPADDR,
  IPSET_MAXNAMELEN,
  IPSET_MAX_COMMENT_SIZE,
  IPSET_PROTOCOL,
} from './constants.ts';
import type { ElementExtras, SetDefinition, SetType } from './sets.ts';

/**
 * The variant of each type that has everything used here. Kernels since 3.18 have it, `ipset` 6.30 and
 * later can list it.
 */
const REVISION: { readonly [T in SetType]: number } = {
  'hash:ip': 4,
  'hash:net': 6,
  'hash:ip,port': 5,
  'hash:ip,port,ip': 5,
  'hash:ip,port,net': 7,
  'hash:net,net': 2,
  'bitmap:port': 3,
};
const NFPROTO_UNSPEC = 0;
const LAST_PORT = 0xffff;

/** Every part that a key of some type has. */
interface AnyElement extends ElementExtras {
  readonly ip?: Address;
  readonly ipTo?: Address;
  readonly net?: Cidr;
  readonly protocol?: Protocol;
  readonly port?: number;
  readonly ip2?: Address;
  readonly net2?: Cidr;
  readonly except?: boolean;
}

/** Protocol version and set name, with which nearly every message starts. */
export function writeSetName(writer: NetlinkWriter, name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes >= IPSET_MAXNAMELEN || name.includes('\0')) {
    throw badArgument(
      `the name of an ipset must have 1 to ${IPSET_MAXNAMELEN - 1} bytes, not ${JSON.stringify(name)}`,
    );
  }
  writer.u8(IPSET_ATTR.PROTOCOL, IPSET_PROTOCOL);
  writer.string(IPSET_ATTR.SETNAME, name);
}

/** What a set is to be. */
export function writeDefinition(writer: NetlinkWriter, set: SetDefinition): void {
  const isBitmap = set.type === 'bitmap:port';
  writer.string(IPSET_ATTR.TYPENAME, set.type);
  writer.u8(IPSET_ATTR.REVISION, REVISION[set.type]);
  writer.u8(IPSET_ATTR.FAMILY, isBitmap ? NFPROTO_UNSPEC : ADDRESS_FAMILY[set.family]);
  const data = writer.beginNested(IPSET_ATTR.DATA);
  if (isBitmap) {
    writer.u16be(IPSET_CADT.PORT | NLA_F_NET_BYTEORDER, 0);
    writer.u16be(IPSET_CADT.PORT_TO | NLA_F_NET_BYTEORDER, LAST_PORT);
  }
  if (set.timeout !== undefined) number(writer, IPSET_CADT.TIMEOUT, set.timeout);
  const flags =
    (set.counters === true ? IPSET_CADT_FLAG.WITH_COUNTERS : 0) |
    (set.comments === true ? IPSET_CADT_FLAG.WITH_COMMENT : 0) |
    (set.marks === true ? IPSET_CADT_FLAG.WITH_SKBINFO : 0);
  if (flags !== 0) number(writer, IPSET_CADT.CADT_FLAGS, flags);
  if (set.hashSize !== undefined) number(writer, IPSET_CREATE.HASHSIZE, set.hashSize);
  if (set.maxElements !== undefined) number(writer, IPSET_CREATE.MAXELEM, set.maxElements);
  writer.endNested(data);
}

/** An element to add, or its key to delete it. */
export function writeElement(writer: NetlinkWriter, element: AnyElement): void {
  const { ip, ipTo, net, protocol, port, ip2, net2, timeout, comment, mark } = element;
  const data = writer.beginNested(IPSET_ATTR.DATA);
  if (ip !== undefined) address(writer, IPSET_CADT.IP, ip);
  if (ipTo !== undefined) address(writer, IPSET_CADT.IP_TO, ipTo);
  if (net !== undefined) network(writer, IPSET_CADT.IP, IPSET_CADT.CIDR, net);
  if (port !== undefined) writer.u16be(IPSET_CADT.PORT | NLA_F_NET_BYTEORDER, port);
  if (timeout !== undefined) number(writer, IPSET_CADT.TIMEOUT, timeout);
  if (protocol !== undefined) writer.u8(IPSET_CADT.PROTO, IP_PROTOCOL[protocol]);
  if (element.except === true) number(writer, IPSET_CADT.CADT_FLAGS, IPSET_CADT_FLAG.NOMATCH);
  if (ip2 !== undefined) address(writer, IPSET_ADT.IP2, ip2);
  if (net2 !== undefined) network(writer, IPSET_ADT.IP2, IPSET_ADT.CIDR2, net2);
  if (comment !== undefined) {
    if (Buffer.byteLength(comment) > IPSET_MAX_COMMENT_SIZE || /["\0]/.test(comment)) {
      throw badArgument(
        `the comment of an ipset element must have at most ${IPSET_MAX_COMMENT_SIZE} bytes and no ", not ${JSON.stringify(comment)}`,
      );
    }
    writer.string(IPSET_ADT.COMMENT, comment);
  }
  if (mark !== undefined) writeMark(writer, mark);
  writer.endNested(data);
}

/** The mark, and which of its bits count: all. */
function writeMark(writer: NetlinkWriter, mark: number): void {
  const pair = Buffer.alloc(8, 0xff);
  pair.writeUInt32BE(mark);
  writer.bytes(IPSET_ADT.SKBMARK | NLA_F_NET_BYTEORDER, pair);
}

/** ipset wants its numbers in network order and marked as such. */
function number(writer: NetlinkWriter, type: number, value: number): void {
  writer.u32be(type | NLA_F_NET_BYTEORDER, value);
}

function network(writer: NetlinkWriter, ip: number, cidr: number, net: Cidr): void {
  address(writer, ip, net.address);
  writer.u8(cidr, net.prefix);
}

function address(writer: NetlinkWriter, type: number, value: Address): void {
  const bytes = packedAddress(value);
  const version = bytes.length === 4 ? IPSET_IPADDR.IPV4 : IPSET_IPADDR.IPV6;
  writer.nestedBytes(type, version | NLA_F_NET_BYTEORDER, bytes);
}
