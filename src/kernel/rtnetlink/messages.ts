/** Reading and asking for addresses and links (linux/rtnetlink.h). */
import { type Address, addressLength, unpackAddress } from '../../core/ip.ts';
import { malformed } from '../errors.ts';
import { NLM_F } from '../netlink/constants.ts';
import { AttributeCursor, type MessageCursor } from '../netlink/reader.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import { AF, IFA, IFADDRMSG_LENGTH, IFINFOMSG_LENGTH, IFLA, RTM } from './constants.ts';

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
  const attributes = new AttributeCursor(bytes, start + IFINFOMSG_LENGTH, end);
  while (attributes.next()) if (attributes.type === IFLA.IFNAME) name = attributes.string();
  return { index: bytes.readInt32LE(start + 4), name, flags: bytes.readUInt32LE(start + 8) };
}

/** Asks for all addresses, or all links. */
export function writeList(
  writer: NetlinkWriter,
  what: 'addresses' | 'links',
  sequence: number,
): void {
  const links = what === 'links';
  writer.begin(links ? RTM.GETLINK : RTM.GETADDR, NLM_F.REQUEST | NLM_F.DUMP, sequence);
  writer.raw(new Uint8Array(links ? IFINFOMSG_LENGTH : IFADDRMSG_LENGTH));
  writer.end();
}
