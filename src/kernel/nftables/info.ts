/** What nf_tables lists: values read from its messages (linux/netfilter/nf_tables.h). */
import { AttributeCursor, type MessageCursor } from '../netlink/reader.ts';
import {
  NFTA_CHAIN,
  NFTA_COUNTER,
  NFTA_HOOK,
  NFTA_OBJ,
  NFTA_RULE,
  NFTA_SET,
  NFTA_SET_DESC,
  NFTA_TABLE,
  NFT_DATA_VERDICT,
  NF_INET,
} from './constants.ts';
import type { SetShape } from './set-types.ts';
import { UDATA_COMMENT, UDATA_SET, findUserdataText } from './userdata.ts';

/** A table. */
export interface TableInfo {
  readonly name: string;
  /** Number the kernel gave it; a later table of the same name has another. */
  readonly handle: number;
  readonly comment: string | undefined;
}

/** A chain. */
export interface ChainInfo {
  readonly name: string;
  readonly handle: number;
  /** Present for base chains; names as in nft. */
  readonly hook:
    { readonly type: string; readonly hook: string; readonly priority: number } | undefined;
  readonly comment: string | undefined;
}

/** A rule, without its expressions. */
export interface RuleInfo {
  readonly chain: string;
  readonly handle: number;
  readonly comment: string | undefined;
}

/** A set or map. Compare with `setShape()` of the declaration it should have. */
export interface SetInfo extends SetShape {
  readonly name: string;
  /** Most elements it can hold; 0 when that was not said. */
  readonly size: number;
  /** How long elements live by default; 0 for ever. */
  readonly timeoutMs: number;
  /** How many it holds; `undefined` where the kernel does not say (before Linux 6.16). */
  readonly count: number | undefined;
  readonly comment: string | undefined;
}

/** A counter and what it counted. */
export interface CounterInfo {
  readonly name: string;
  readonly packets: number;
  /** From the start of the network header, as the packets were where they were counted. */
  readonly bytes: number;
}

/** struct nfgenmsg in front of the attributes. */
export const NFGENMSG_LENGTH = 4;

/** Where the payload of a message lies; a message cursor is one, too. */
export type MessagePlace = Pick<MessageCursor, 'bytes' | 'start' | 'end'>;

/** Attributes of an nfnetlink message. */
export function attributesOf(message: MessagePlace): AttributeCursor {
  return new AttributeCursor(message.bytes, message.start + NFGENMSG_LENGTH, message.end);
}

/** Reads NFT_MSG_NEWTABLE. */
export function readTable(message: MessageCursor): TableInfo {
  let name = '';
  let handle = 0;
  let comment: string | undefined;
  const attributes = attributesOf(message);
  while (attributes.next()) {
    if (attributes.type === NFTA_TABLE.NAME) name = attributes.string();
    else if (attributes.type === NFTA_TABLE.HANDLE) handle = attributes.u64be();
    else if (attributes.type === NFTA_TABLE.USERDATA) {
      comment = commentOf(message, attributes, UDATA_COMMENT);
    }
  }
  return { name, handle, comment };
}

/** Reads NFT_MSG_NEWCHAIN; `undefined` for a chain of another table. */
export function readChain(message: MessageCursor, table: string): ChainInfo | undefined {
  let ours = false;
  let name = '';
  let handle = 0;
  let type = '';
  let place: { readonly hook: string; readonly priority: number } | undefined;
  let comment: string | undefined;
  const attributes = attributesOf(message);
  while (attributes.next()) {
    if (attributes.type === NFTA_CHAIN.TABLE) ours = attributes.string() === table;
    else if (attributes.type === NFTA_CHAIN.NAME) name = attributes.string();
    else if (attributes.type === NFTA_CHAIN.HANDLE) handle = attributes.u64be();
    else if (attributes.type === NFTA_CHAIN.TYPE) type = attributes.string();
    else if (attributes.type === NFTA_CHAIN.HOOK) place = readHook(attributes.nested());
    else if (attributes.type === NFTA_CHAIN.USERDATA) {
      comment = commentOf(message, attributes, UDATA_COMMENT);
    }
  }
  return ours
    ? { name, handle, hook: place === undefined ? undefined : { type, ...place }, comment }
    : undefined;
}

/** Reads NFT_MSG_NEWRULE; `undefined` for a rule of another table. */
export function readRule(message: MessageCursor, table: string): RuleInfo | undefined {
  let ours = false;
  let chain = '';
  let handle = 0;
  let comment: string | undefined;
  const attributes = attributesOf(message);
  while (attributes.next()) {
    if (attributes.type === NFTA_RULE.TABLE) ours = attributes.string() === table;
    else if (attributes.type === NFTA_RULE.CHAIN) chain = attributes.string();
    else if (attributes.type === NFTA_RULE.HANDLE) handle = attributes.u64be();
    else if (attributes.type === NFTA_RULE.USERDATA) {
      comment = commentOf(message, attributes, UDATA_COMMENT);
    }
  }
  return ours ? { chain, handle, comment } : undefined;
}

/** Reads NFT_MSG_NEWSET; `undefined` for a set of another table. */
export function readSet(message: MessageCursor, table: string): SetInfo | undefined {
  let ours = false;
  let name = '';
  let flags = 0;
  let keyType = 0;
  let keyLength = 0;
  let dataType = 0;
  let dataLength = 0;
  let size = 0;
  let timeoutMs = 0;
  let count: number | undefined;
  let comment: string | undefined;
  const attributes = attributesOf(message);
  while (attributes.next()) {
    switch (attributes.type) {
      case NFTA_SET.TABLE:
        ours = attributes.string() === table;
        break;
      case NFTA_SET.NAME:
        name = attributes.string();
        break;
      case NFTA_SET.FLAGS:
        flags = attributes.u32be();
        break;
      case NFTA_SET.KEY_TYPE:
        keyType = attributes.u32be();
        break;
      case NFTA_SET.KEY_LEN:
        keyLength = attributes.u32be();
        break;
      case NFTA_SET.DATA_TYPE:
        dataType = attributes.u32be();
        break;
      case NFTA_SET.DATA_LEN:
        dataLength = attributes.u32be();
        break;
      case NFTA_SET.DESC:
        size = readSize(attributes.nested());
        break;
      case NFTA_SET.TIMEOUT:
        timeoutMs = attributes.u64be();
        break;
      case NFTA_SET.COUNT:
        count = attributes.u32be();
        break;
      case NFTA_SET.USERDATA:
        comment = commentOf(message, attributes, UDATA_SET.COMMENT);
        break;
      default:
    }
  }
  // The kernel's length of a verdict is that of its own struct.
  if (dataType === NFT_DATA_VERDICT) dataLength = 0;
  return ours
    ? { name, flags, keyType, keyLength, dataType, dataLength, size, count, timeoutMs, comment }
    : undefined;
}

/** Reads NFT_MSG_NEWOBJ of a counter. */
export function readCounter(message: MessagePlace): CounterInfo {
  let name = '';
  let packets = 0;
  let bytes = 0;
  const attributes = attributesOf(message);
  while (attributes.next()) {
    if (attributes.type === NFTA_OBJ.NAME) name = attributes.string();
    if (attributes.type !== NFTA_OBJ.DATA) continue;
    const data = attributes.nested();
    while (data.next()) {
      if (data.type === NFTA_COUNTER.PACKETS) packets = data.u64be();
      else if (data.type === NFTA_COUNTER.BYTES) bytes = data.u64be();
    }
  }
  return { name, packets, bytes };
}

function readHook(attributes: AttributeCursor): { hook: string; priority: number } {
  let number = -1;
  let priority = 0;
  while (attributes.next()) {
    if (attributes.type === NFTA_HOOK.HOOKNUM) number = attributes.u32be();
    else if (attributes.type === NFTA_HOOK.PRIORITY) priority = attributes.i32be();
  }
  const known = Object.entries(NF_INET).find(([, hook]) => hook === number);
  return { hook: known?.[0] ?? `hook ${number}`, priority };
}

function readSize(attributes: AttributeCursor): number {
  while (attributes.next()) {
    if (attributes.type === NFTA_SET_DESC.SIZE) return attributes.u32be();
  }
  return 0;
}

function commentOf(
  message: MessageCursor,
  attributes: AttributeCursor,
  type: number,
): string | undefined {
  return findUserdataText(message.bytes, attributes.start, attributes.end, type);
}
