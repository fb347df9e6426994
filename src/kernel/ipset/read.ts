/** What ipset tells (linux/netfilter/ipset/ip_set.h). Attributes that are not known are passed over. */
import {
  type Address,
  type Cidr,
  type Family,
  addressLength,
  unpackAddress,
} from '../../core/ip.ts';
import type { Protocol } from '../../core/model.ts';
import { malformed } from '../errors.ts';
import { familyOfNumber, protocolOfNumber } from '../netlink/inet.ts';
import { AttributeCursor, type MessageCursor } from '../netlink/reader.ts';
import {
  IPSET_ADT,
  IPSET_ATTR,
  IPSET_CADT,
  IPSET_CADT_FLAG,
  IPSET_CREATE,
  IPSET_IPADDR,
} from './constants.ts';
import type { ElementInfo, SetInfo } from './sets.ts';

/** struct nfgenmsg. */
const NFGENMSG_LENGTH = 4;

/** What this and the oldest other protocol version is that the kernel speaks. */
export interface IpsetProtocol {
  readonly version: number;
  readonly oldest: number;
}

/** Reads the answer to IPSET_CMD_PROTOCOL. */
export function readProtocol(message: MessageCursor): IpsetProtocol {
  const attributes = attributesOf(message);
  let version = 0;
  let oldest: number | undefined;
  while (attributes.next()) {
    if (attributes.type === IPSET_ATTR.PROTOCOL) version = attributes.u8();
    else if (attributes.type === IPSET_ATTR.PROTOCOL_MIN) oldest = attributes.u8();
  }
  return { version, oldest: oldest ?? version };
}

/**
 * Reads a part of a listing: the set, in its first part only (`undefined` in others), and some elements.
 * @param visit Called with each element.
 */
export function readListing(
  message: MessageCursor,
  visit: (element: ElementInfo) => void,
): SetInfo | undefined {
  const attributes = attributesOf(message);
  let name = '';
  let type = '';
  let family: Family | undefined;
  let revision = 0;
  let properties: SetProperties | undefined;
  while (attributes.next()) {
    if (attributes.type === IPSET_ATTR.SETNAME) name = attributes.string();
    else if (attributes.type === IPSET_ATTR.TYPENAME) type = attributes.string();
    else if (attributes.type === IPSET_ATTR.FAMILY) family = familyOfNumber(attributes.u8());
    else if (attributes.type === IPSET_ATTR.REVISION) revision = attributes.u8();
    else if (attributes.type === IPSET_ATTR.DATA) properties = readProperties(attributes.nested());
    else if (attributes.type === IPSET_ATTR.ADT) {
      const elements = attributes.nested();
      while (elements.next()) {
        if (elements.type === IPSET_ATTR.DATA) visit(readElement(elements.nested()));
      }
    }
  }
  return properties === undefined ? undefined : { name, type, family, revision, ...properties };
}

type SetProperties = Omit<SetInfo, 'name' | 'type' | 'family' | 'revision'>;

function readProperties(attributes: AttributeCursor): SetProperties {
  let timeout: number | undefined;
  let flags = 0;
  const numbers = { maxElements: 0, hashSize: 0, elementCount: 0, references: 0, memory: 0 };
  while (attributes.next()) {
    if (attributes.type === IPSET_CADT.TIMEOUT) timeout = attributes.u32be();
    else if (attributes.type === IPSET_CADT.CADT_FLAGS) flags = attributes.u32be();
    else if (attributes.type === IPSET_CREATE.HASHSIZE) numbers.hashSize = attributes.u32be();
    else if (attributes.type === IPSET_CREATE.MAXELEM) numbers.maxElements = attributes.u32be();
    else if (attributes.type === IPSET_CREATE.ELEMENTS) numbers.elementCount = attributes.u32be();
    else if (attributes.type === IPSET_CREATE.REFERENCES) numbers.references = attributes.u32be();
    else if (attributes.type === IPSET_CREATE.MEMSIZE) numbers.memory = attributes.u32be();
  }
  return {
    ...numbers,
    timeout,
    counters: (flags & IPSET_CADT_FLAG.WITH_COUNTERS) !== 0,
    comments: (flags & IPSET_CADT_FLAG.WITH_COMMENT) !== 0,
    marks: (flags & IPSET_CADT_FLAG.WITH_SKBINFO) !== 0,
  };
}

/** The parts of an element while they are read. */
interface ElementParts {
  port?: number;
  protocol?: Protocol;
  except?: boolean;
  timeout?: number;
  comment?: string;
  mark?: number;
  packets?: number;
  bytes?: number;
}

function readElement(attributes: AttributeCursor): ElementInfo {
  const parts: ElementParts = {};
  let first: FoundAddress | undefined;
  let second: FoundAddress | undefined;
  let prefix: number | undefined;
  let prefix2: number | undefined;
  while (attributes.next()) {
    switch (attributes.type) {
      case IPSET_CADT.IP:
        first = readAddress(attributes.nested());
        break;
      case IPSET_CADT.CIDR:
        prefix = attributes.u8();
        break;
      case IPSET_CADT.PORT:
        parts.port = attributes.u16be();
        break;
      case IPSET_CADT.TIMEOUT:
        parts.timeout = attributes.u32be();
        break;
      case IPSET_CADT.PROTO: {
        const protocol = protocolOfNumber(attributes.u8());
        if (protocol !== undefined) parts.protocol = protocol;
        break;
      }
      case IPSET_CADT.CADT_FLAGS:
        if ((attributes.u32be() & IPSET_CADT_FLAG.NOMATCH) !== 0) parts.except = true;
        break;
      case IPSET_ADT.IP2:
        second = readAddress(attributes.nested());
        break;
      case IPSET_ADT.CIDR2:
        prefix2 = attributes.u8();
        break;
      case IPSET_ADT.BYTES:
        parts.bytes = attributes.u64be();
        break;
      case IPSET_ADT.PACKETS:
        parts.packets = attributes.u64be();
        break;
      case IPSET_ADT.COMMENT:
        parts.comment = attributes.string();
        break;
      case IPSET_ADT.SKBMARK:
        // The mask follows.
        parts.mark = attributes.view().readUInt32BE();
        break;
      default:
    }
  }
  return {
    ...(first === undefined ? {} : ipOrNet(first, prefix)),
    ...parts,
    ...(second === undefined ? {} : ipOrNet2(second, prefix2)),
  };
}

interface FoundAddress {
  readonly family: Family;
  readonly address: Address;
}

function ipOrNet(
  { family, address }: FoundAddress,
  prefix: number | undefined,
): { readonly ip: Address } | { readonly net: Cidr } {
  return prefix === undefined ? { ip: address } : { net: { family, address, prefix } };
}

function ipOrNet2(
  { family, address }: FoundAddress,
  prefix: number | undefined,
): { readonly ip2: Address } | { readonly net2: Cidr } {
  return prefix === undefined ? { ip2: address } : { net2: { family, address, prefix } };
}

function readAddress(attributes: AttributeCursor): FoundAddress {
  while (attributes.next()) {
    const family = FAMILY_OF_IPADDR.get(attributes.type);
    if (family === undefined) continue;
    const bytes = attributes.view();
    if (bytes.length < addressLength(family)) throw malformed('ipset address cut short');
    return { family, address: unpackAddress(bytes, 0, family) };
  }
  throw malformed('ipset address without an address');
}

const FAMILY_OF_IPADDR: ReadonlyMap<number, Family> = new Map([
  [IPSET_IPADDR.IPV4, 'IPv4'],
  [IPSET_IPADDR.IPV6, 'IPv6'],
]);

function attributesOf(message: MessageCursor): AttributeCursor {
  return new AttributeCursor(message.bytes, message.start + NFGENMSG_LENGTH, message.end);
}
