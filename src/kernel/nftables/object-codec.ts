/**
 * Writes the bodies of nf_tables messages: enum nft_*_attributes of linux/netfilter/nf_tables.h, in the
 * order in which nft 1.0.6 sends them.
 */
import { badArgument } from '../errors.ts';
import type { NetlinkWriter } from '../netlink/writer.ts';
import {
  NFPROTO,
  NFTA_CHAIN,
  NFTA_COUNTER,
  NFTA_DATA,
  NFTA_HOOK,
  NFTA_LIST_ELEM,
  NFTA_OBJ,
  NFTA_RULE,
  NFTA_SET,
  NFTA_SET_DESC,
  NFTA_SET_ELEM,
  NFTA_SET_FIELD_LEN,
  NFTA_TABLE,
  NFT_DATA_VALUE_MAXLEN,
  NFT_OBJECT_COUNTER,
  NFT_SET,
  NF_INET,
  VERDICT_CODE,
} from './constants.ts';
import { writeExpression, writeVerdict } from './expression-codec.ts';
import type { Expression, Verdict } from './expressions.ts';
import { DATA_TYPES, type SetDefinition, setShape } from './set-types.ts';
import { commentUserdata, setUserdata } from './userdata.ts';
import type { Family } from '../../core/ip.ts';

/** Where a base chain sees packets. */
interface ChainHook {
  readonly type: 'nat' | 'filter';
  readonly hook: keyof typeof NF_INET;
  readonly priority: number;
}

/** A chain to add; with a hook it is a base chain. */
export interface ChainDefinition {
  readonly name: string;
  /** Makes it a base chain, with policy accept. */
  readonly hook?: ChainHook;
}

/** What an element has besides its key. */
export interface ElementOptions {
  /** Value of a map element. */
  readonly data?: Uint8Array;
  /** Value of a verdict-map element. */
  readonly verdict?: Verdict;
  /** Name of the counter that an element of a map to counters leads to. */
  readonly counter?: string;
  /** Last key of a range, in sets with flag `interval`; the key is the first. */
  readonly keyEnd?: Uint8Array;
  readonly comment?: string;
  /** How long it lives, in sets with flag `timeout`. */
  readonly timeoutMs?: number;
  /** How much of that is left. */
  readonly expirationMs?: number;
}

/** NFT_MSG_NEWTABLE. */
export function writeTable(
  writer: NetlinkWriter,
  table: string,
  comment: string | undefined,
): void {
  writer.string(NFTA_TABLE.NAME, table);
  writer.u32be(NFTA_TABLE.FLAGS, 0);
  if (comment !== undefined) writer.bytes(NFTA_TABLE.USERDATA, commentUserdata(comment));
}

/** NFT_MSG_NEWCHAIN. */
export function writeChain(writer: NetlinkWriter, table: string, chain: ChainDefinition): void {
  writer.string(NFTA_CHAIN.TABLE, table);
  writer.string(NFTA_CHAIN.NAME, chain.name);
  const { hook } = chain;
  if (hook === undefined) return;
  writer.string(NFTA_CHAIN.TYPE, hook.type);
  writer.u32be(NFTA_CHAIN.POLICY, VERDICT_CODE.accept);
  const nested = writer.beginNested(NFTA_CHAIN.HOOK);
  writer.u32be(NFTA_HOOK.HOOKNUM, NF_INET[hook.hook]);
  writer.i32be(NFTA_HOOK.PRIORITY, hook.priority);
  writer.endNested(nested);
}

/** NFT_MSG_NEWOBJ of a counter that starts from 0. */
export function writeCounter(writer: NetlinkWriter, table: string, counter: string): void {
  writeCounterName(writer, table, counter);
  const data = writer.beginNested(NFTA_OBJ.DATA);
  writer.u64be(NFTA_COUNTER.BYTES, 0);
  writer.u64be(NFTA_COUNTER.PACKETS, 0);
  writer.endNested(data);
}

/** NFT_MSG_DELOBJ of a counter. */
export function writeCounterName(writer: NetlinkWriter, table: string, counter: string): void {
  writer.string(NFTA_OBJ.TABLE, table);
  writer.string(NFTA_OBJ.NAME, counter);
  writer.u32be(NFTA_OBJ.TYPE, NFT_OBJECT_COUNTER);
}

/** NFT_MSG_NEWRULE. */
export function writeRule(
  writer: NetlinkWriter,
  family: Family,
  table: string,
  chain: string,
  expressions: readonly Expression[],
  comment: string | undefined,
): void {
  writer.string(NFTA_RULE.TABLE, table);
  writer.string(NFTA_RULE.CHAIN, chain);
  const list = writer.beginNested(NFTA_RULE.EXPRESSIONS);
  for (const expression of expressions) writeExpression(writer, NFPROTO[family], expression);
  writer.endNested(list);
  if (comment !== undefined) writer.bytes(NFTA_RULE.USERDATA, commentUserdata(comment));
}

/**
 * NFT_MSG_NEWSET.
 * @param id Number of the set in its batch. The kernel wants one; rules and elements use names.
 */
export function writeSet(
  writer: NetlinkWriter,
  table: string,
  set: SetDefinition,
  id: number,
): void {
  const shape = setShape(set);
  writer.string(NFTA_SET.TABLE, table);
  writer.string(NFTA_SET.NAME, set.name);
  writer.u32be(NFTA_SET.FLAGS, shape.flags);
  writer.u32be(NFTA_SET.KEY_TYPE, shape.keyType);
  writer.u32be(NFTA_SET.KEY_LEN, shape.keyLength);
  if (set.data === 'counter') {
    writer.u32be(NFTA_SET.OBJ_TYPE, NFT_OBJECT_COUNTER);
  } else if (set.data !== undefined) {
    writer.u32be(NFTA_SET.DATA_TYPE, shape.dataType);
    writer.u32be(NFTA_SET.DATA_LEN, shape.dataLength);
  }
  writer.u32be(NFTA_SET.ID, id);
  const concatenated = (shape.flags & NFT_SET.CONCAT) !== 0;
  if (set.size !== undefined || concatenated) {
    const description = writer.beginNested(NFTA_SET.DESC);
    if (set.size !== undefined) writer.u32be(NFTA_SET_DESC.SIZE, set.size);
    if (concatenated) writeFieldLengths(writer, set);
    writer.endNested(description);
  }
  if (set.timeoutMs !== undefined) writer.u64be(NFTA_SET.TIMEOUT, set.timeoutMs);
  writer.bytes(NFTA_SET.USERDATA, setUserdata(set));
}

/** The length of every field of the key, in bytes and without padding. */
function writeFieldLengths(writer: NetlinkWriter, set: SetDefinition): void {
  const fields = writer.beginNested(NFTA_SET_DESC.CONCAT);
  for (const field of set.key) {
    const nested = writer.beginNested(NFTA_LIST_ELEM);
    writer.u32be(NFTA_SET_FIELD_LEN, DATA_TYPES[field].length);
    writer.endNested(nested);
  }
  writer.endNested(fields);
}

/** One element of NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM. The hot path of a full load. */
export function writeElement(
  writer: NetlinkWriter,
  key: Uint8Array,
  options: ElementOptions,
): void {
  const { data, verdict, counter, keyEnd, comment, timeoutMs, expirationMs } = options;
  const element = writer.beginNested(NFTA_LIST_ELEM);
  if (timeoutMs !== undefined) writer.u64be(NFTA_SET_ELEM.TIMEOUT, timeoutMs);
  if (expirationMs !== undefined) writer.u64be(NFTA_SET_ELEM.EXPIRATION, expirationMs);
  writeElementValue(writer, NFTA_SET_ELEM.KEY, key);
  if (keyEnd !== undefined) writeElementValue(writer, NFTA_SET_ELEM.KEY_END, keyEnd);
  if (data !== undefined) writeElementValue(writer, NFTA_SET_ELEM.DATA, data);
  if (verdict !== undefined) writeVerdict(writer, NFTA_SET_ELEM.DATA, verdict);
  if (comment !== undefined) writer.bytes(NFTA_SET_ELEM.USERDATA, commentUserdata(comment));
  if (counter !== undefined) writer.string(NFTA_SET_ELEM.OBJREF, counter);
  writer.endNested(element);
}

function writeElementValue(writer: NetlinkWriter, type: number, value: Uint8Array): void {
  if (value.length === 0 || value.length > NFT_DATA_VALUE_MAXLEN) {
    throw badArgument(
      `element key or value of ${value.length} bytes, not 1 to ${NFT_DATA_VALUE_MAXLEN}`,
    );
  }
  writer.nestedBytes(type, NFTA_DATA.VALUE, value);
}
