/** Addresses and links: reading, asking for and changing them (linux/rtnetlink.h). */
import { type Address, addressLength, familyOf, unpackAddress } from '../../core/ip.ts';
import { badArgument, malformed } from '../errors.ts';
import { NLM_F } from '../netlink/constants.ts';
import { ADDRESS_FAMILY, packedAddress } from '../netlink/inet.ts';
import { AttributeCursor, type MessageCursor } from '../netlink/reader.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import {
  AF,
  IFA,
  IFADDRMSG_LENGTH,
  IFF,
  IFINFOMSG_LENGTH,
  IFLA,
  IFLA_INFO_KIND,
  IFNAMSIZ,
  RTM,
} from './constants.ts';

/** enum rt_scope_t; `nowhere` and user-defined scopes are not told apart. */
type AddressScope = 'global' | 'site' | 'link' | 'host' | 'other';

/** An address of this network namespace. */
export interface InterfaceAddress {
  readonly address: Address;
  /** Length of the network prefix, in bits. */
  readonly prefix: number;
  readonly interfaceIndex: number;
  /** `undefined` while the kernel has told the address but not the link. */
  readonly interfaceName: string | undefined;
  readonly scope: AddressScope;
  /** Mask of IFA_F_* (see {@link IFA_F}). */
  readonly flags: number;
}

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Mask of IFF_* (see {@link IFF}). */
  readonly flags: number;
  /** Its driver: `dummy`, `veth`, …; `undefined` for those that do not say. */
  readonly kind: string | undefined;
}

const SCOPES: ReadonlyMap<number, AddressScope> = new Map([
  [0, 'global'],
  [200, 'site'],
  [253, 'link'],
  [254, 'host'],
]);

/** Reads RTM_NEWADDR or RTM_DELADDR; `undefined` for a family other than IPv4 and IPv6. */
export function readAddress(
  message: MessageCursor,
  linkName: (index: number) => string | undefined,
): InterfaceAddress | undefined {
  const { bytes, start, end } = message;
  if (end - start < IFADDRMSG_LENGTH) throw malformed('address message without its header');
  const family = bytes.readUInt8(start);
  if (family !== AF.INET && family !== AF.INET6) return undefined;
  const name = family === AF.INET ? 'IPv4' : 'IPv6';
  let flags = bytes.readUInt8(start + 2);
  const interfaceIndex = bytes.readUInt32LE(start + 4);
  let at = -1;
  let isLocal = false;
  const attributes = new AttributeCursor(bytes, start + IFADDRMSG_LENGTH, end);
  while (attributes.next()) {
    if (attributes.type === IFA.FLAGS) flags = attributes.u32();
    // On a point-to-point link IFA_ADDRESS is the peer and IFA_LOCAL ours; elsewhere they are the same.
    else if (attributes.type === IFA.LOCAL || (attributes.type === IFA.ADDRESS && !isLocal)) {
      isLocal = attributes.type === IFA.LOCAL;
      if (attributes.end - attributes.start < addressLength(name)) {
        throw malformed('address cut short');
      }
      at = attributes.start;
    }
  }
  if (at < 0) throw malformed('address message without an address');
  return {
    address: unpackAddress(bytes, at, name),
    prefix: bytes.readUInt8(start + 1),
    interfaceIndex,
    interfaceName: linkName(interfaceIndex),
    scope: SCOPES.get(bytes.readUInt8(start + 3)) ?? 'other',
    flags,
  };
}

/** Reads RTM_NEWLINK or RTM_DELLINK. */
export function readLink(message: MessageCursor): Link {
  const { bytes, start, end } = message;
  if (end - start < IFINFOMSG_LENGTH) throw malformed('link message without its header');
  let name = '';
  let kind: string | undefined;
  const attributes = new AttributeCursor(bytes, start + IFINFOMSG_LENGTH, end);
  while (attributes.next()) {
    if (attributes.type === IFLA.IFNAME) name = attributes.string();
    else if (attributes.type === IFLA.LINKINFO) {
      const info = attributes.nested();
      while (info.next()) if (info.type === IFLA_INFO_KIND) kind = info.string();
    }
  }
  const flags = bytes.readUInt32LE(start + 8);
  return { index: bytes.readInt32LE(start + 4), name, flags, kind };
}

/**
 * Asks for all addresses, or all links.
 * @param link Index of the link whose addresses are wanted; a socket that does not filter gets all.
 */
export function writeList(
  writer: NetlinkWriter,
  what: 'addresses' | 'links',
  sequence: number,
  link = 0,
): void {
  writer.begin(what === 'links' ? RTM.GETLINK : RTM.GETADDR, NLM_F.REQUEST | NLM_F.DUMP, sequence);
  if (what === 'links') writer.raw(linkHeader(0, 0));
  else writer.raw(addressHeader(0, 0, link));
  writer.end();
}

/** Payload that names a link, for requests about it. */
export function writeLinkName(writer: NetlinkWriter, name: string): void {
  writer.raw(linkHeader(0, 0));
  writer.string(IFLA.IFNAME, checkedLinkName(name));
}

/** Payload that makes a link of a kind. */
export function writeNewLink(writer: NetlinkWriter, name: string, kind: string): void {
  writeLinkName(writer, name);
  const info = writer.beginNested(IFLA.LINKINFO);
  writer.string(IFLA_INFO_KIND, kind);
  writer.endNested(info);
}

/** Payload that brings a link up. */
export function writeLinkUp(writer: NetlinkWriter, index: number): void {
  writer.raw(linkHeader(index, IFF.UP));
}

/** Payload with a single address of a link. */
export function writeLinkAddress(writer: NetlinkWriter, link: number, address: Address): void {
  const family = familyOf(address);
  const bytes = packedAddress(address);
  writer.raw(addressHeader(ADDRESS_FAMILY[family], bytes.length * 8, link));
  writer.bytes(IFA.LOCAL, bytes);
  writer.bytes(IFA.ADDRESS, bytes);
}

/** struct ifinfomsg; the flags given are also those that change. */
function linkHeader(index: number, flags: number): Buffer {
  const bytes = Buffer.alloc(IFINFOMSG_LENGTH);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(flags, 12);
  return bytes;
}

/** struct ifaddrmsg with the scope `global`. */
function addressHeader(family: number, prefix: number, link: number): Buffer {
  const bytes = Buffer.alloc(IFADDRMSG_LENGTH);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt8(prefix, 1);
  bytes.writeUInt32LE(link, 4);
  return bytes;
}

function checkedLinkName(name: string): string {
  if (/^[^\s/\0]+$/.test(name) && Buffer.byteLength(name) < IFNAMSIZ) return name;
  throw badArgument(
    `the name of a network interface must have 1 to ${IFNAMSIZ - 1} bytes without / and space, not ${JSON.stringify(name)}`,
  );
}
