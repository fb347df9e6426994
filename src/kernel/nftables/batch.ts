import type { Family } from '../../core/ip.ts';
import { badArgument } from '../errors.ts';
import { HEADER_LENGTH, NLM_F } from '../netlink/constants.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import {
  type BatchMessage,
  type MessageKind,
  type Verb,
  describeMessage,
} from './batch-message.ts';
import {
  NFNL_BATCH_GENID,
  NFNL_MSG_BATCH,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO,
  NFTA_CHAIN,
  NFTA_HOOK,
  NFTA_LIST_ELEM,
  NFTA_RULE,
  NFTA_SET,
  NFTA_SET_DESC,
  NFTA_SET_ELEM,
  NFTA_SET_ELEM_LIST,
  NFTA_SET_FIELD_LEN,
  NFTA_TABLE,
  NFT_MSG,
  NFT_NAME_MAXLEN,
  NFT_SET,
  NF_INET,
} from './constants.ts';
import { writeExpression, writeValue, writeVerdict } from './expression-codec.ts';
import type { Expression, Verdict } from './expressions.ts';
import { DATA_TYPES, type SetDefinition, setShape } from './set-types.ts';
import { commentUserdata, setUserdata } from './userdata.ts';

export type { DataType, SetDefinition, SetFlag, TypeofField } from './set-types.ts';
export { MAX_COMMENT_LENGTH } from './userdata.ts';

export type HookName = keyof typeof NF_INET;

/** Where a base chain sees packets. */
export interface ChainHook {
  readonly type: 'nat' | 'filter';
  readonly hook: HookName;
  readonly priority: number;
}

export interface ElementOptions {
  /** Value of a map element. */
  readonly data?: Uint8Array;
  /** Value of a verdict-map element. */
  readonly verdict?: Verdict;
  /** Last key of a range, in sets with flag `interval`; `key` is the first. */
  readonly keyEnd?: Uint8Array;
  readonly comment?: string;
  /** How long it lives, in sets with flag `timeout`. */
  readonly timeoutMs?: number;
  /** How much of that is left. */
  readonly expirationMs?: number;
}

/** BATCH_BEGIN: header, nfgenmsg, and the generation attribute, which is left out at the front if unused. */
const BEGIN_LENGTH = HEADER_LENGTH + 4;
const GENERATION_LENGTH = 8;
const PROLOGUE = BEGIN_LENGTH + GENERATION_LENGTH;
/** The list attribute has a 16-bit length; no element comes near the difference. */
const ELEMENT_LIST_LIMIT = 60_000;
const NO_OPTIONS: ElementOptions = {};

/** A batch ready to send. */
export interface EncodedBatch {
  readonly bytes: Buffer;
  /** Sequence number of the message that asks for the acknowledgement. */
  readonly last: number;
}

/**
 * A transaction under construction: nf_tables messages (linux/netfilter/nf_tables.h), encoded as they are
 * added. {@link NftSocket.commit} sends it; {@link reset} makes it empty again.
 *
 * Names and comments are checked here (ARGUMENT errors), references between objects by the kernel.
 */
export class NftBatch {
  readonly #writer = new NetlinkWriter();
  #messages: BatchMessage[] = [];
  #operations = 0;
  #setId = 0;
  /** Offset of the open element-list attribute, -1 when none is open. */
  #list = -1;
  #listVerb: Verb = 'adding';
  #listFamily: Family = 'IPv4';
  #listTable = '';
  #listSet = '';

  constructor() {
    this.reset();
  }

  /** Bytes it takes on the wire. */
  get byteLength(): number {
    return this.#writer.length + BEGIN_LENGTH - GENERATION_LENGTH;
  }

  /** Kernel objects it adds, deletes or flushes; each element counts. */
  get operations(): number {
    return this.#operations;
  }

  isEmpty(): boolean {
    return this.#operations === 0;
  }

  /** Makes it an empty batch. */
  reset(): void {
    this.#writer.reset();
    // Filled in by seal(), when it is known whether a generation is expected.
    this.#writer.raw(new Uint8Array(PROLOGUE));
    this.#messages = [];
    this.#operations = 0;
    this.#setId = 0;
    this.#list = -1;
  }

  /** Adds a table unless it is there. */
  addTable(family: Family, table: string, comment?: string): void {
    const writer = this.#begin('adding', 'table', NFT_MSG.NEWTABLE, NLM_F.CREATE, family, table);
    writer.string(NFTA_TABLE.NAME, table);
    writer.u32be(NFTA_TABLE.FLAGS, 0);
    if (comment !== undefined) writer.bytes(NFTA_TABLE.USERDATA, commentUserdata(comment));
    writer.end();
  }

  /** Deletes a table and all it holds. */
  deleteTable(family: Family, table: string): void {
    const writer = this.#begin('deleting', 'table', NFT_MSG.DELTABLE, 0, family, table);
    writer.string(NFTA_TABLE.NAME, table);
    writer.end();
  }

  /** Adds a chain unless it is there. With `hook` it is a base chain with policy accept. */
  addChain(
    family: Family,
    table: string,
    chain: { readonly name: string; readonly hook?: ChainHook },
  ): void {
    const { name, hook } = chain;
    const writer = this.#begin(
      'adding',
      'chain',
      NFT_MSG.NEWCHAIN,
      NLM_F.CREATE,
      family,
      table,
      name,
    );
    writer.string(NFTA_CHAIN.TABLE, table);
    writer.string(NFTA_CHAIN.NAME, name);
    if (hook !== undefined) {
      writer.string(NFTA_CHAIN.TYPE, hook.type);
      const nested = writer.beginNested(NFTA_CHAIN.HOOK);
      writer.u32be(NFTA_HOOK.HOOKNUM, NF_INET[hook.hook]);
      writer.i32be(NFTA_HOOK.PRIORITY, hook.priority);
      writer.endNested(nested);
    }
    writer.end();
  }

  /** Deletes a chain that no rule or element refers to, with its rules. */
  deleteChain(family: Family, table: string, chain: string): void {
    const writer = this.#begin('deleting', 'chain', NFT_MSG.DELCHAIN, 0, family, table, chain);
    writer.string(NFTA_CHAIN.TABLE, table);
    writer.string(NFTA_CHAIN.NAME, chain);
    writer.end();
  }

  /** Deletes the rules of a chain. */
  flushChain(family: Family, table: string, chain: string): void {
    const writer = this.#begin('flushing', 'chain', NFT_MSG.DELRULE, 0, family, table, chain);
    writer.string(NFTA_RULE.TABLE, table);
    writer.string(NFTA_RULE.CHAIN, chain);
    writer.end();
  }

  /** Appends a rule to a chain. */
  addRule(
    family: Family,
    table: string,
    chain: string,
    expressions: readonly Expression[],
    comment?: string,
  ): void {
    const flags = NLM_F.CREATE | NLM_F.APPEND;
    const writer = this.#begin('adding', 'rule', NFT_MSG.NEWRULE, flags, family, table, chain);
    writer.string(NFTA_RULE.TABLE, table);
    writer.string(NFTA_RULE.CHAIN, chain);
    const list = writer.beginNested(NFTA_RULE.EXPRESSIONS);
    for (const expression of expressions) writeExpression(writer, NFPROTO[family], expression);
    writer.endNested(list);
    if (comment !== undefined) writer.bytes(NFTA_RULE.USERDATA, commentUserdata(comment));
    writer.end();
  }

  /** Adds a set or map unless it is there with the same types and flags. */
  addSet(family: Family, table: string, set: SetDefinition): void {
    const shape = setShape(set);
    const userdata = setUserdata(set);
    const writer = this.#begin(
      'adding',
      'set',
      NFT_MSG.NEWSET,
      NLM_F.CREATE,
      family,
      table,
      set.name,
    );
    writer.string(NFTA_SET.TABLE, table);
    writer.string(NFTA_SET.NAME, set.name);
    writer.u32be(NFTA_SET.FLAGS, shape.flags);
    writer.u32be(NFTA_SET.KEY_TYPE, shape.keyType);
    writer.u32be(NFTA_SET.KEY_LEN, shape.keyLength);
    if (set.data !== undefined) {
      writer.u32be(NFTA_SET.DATA_TYPE, shape.dataType);
      writer.u32be(NFTA_SET.DATA_LEN, shape.dataLength);
    }
    // The kernel wants a number for every set; rules and elements refer to it by name.
    writer.u32be(NFTA_SET.ID, ++this.#setId);
    const concatenated = (shape.flags & NFT_SET.CONCAT) !== 0;
    if (set.size !== undefined || concatenated) {
      const description = writer.beginNested(NFTA_SET.DESC);
      if (set.size !== undefined) writer.u32be(NFTA_SET_DESC.SIZE, set.size);
      if (concatenated) writeFieldLengths(writer, set);
      writer.endNested(description);
    }
    if (set.timeoutMs !== undefined) writer.u64be(NFTA_SET.TIMEOUT, set.timeoutMs);
    writer.bytes(NFTA_SET.USERDATA, userdata);
    writer.end();
  }

  /** Deletes a set that no rule refers to, with its elements. */
  deleteSet(family: Family, table: string, set: string): void {
    const writer = this.#begin('deleting', 'set', NFT_MSG.DELSET, 0, family, table, set);
    writer.string(NFTA_SET.TABLE, table);
    writer.string(NFTA_SET.NAME, set);
    writer.end();
  }

  /** Deletes the elements of a set. */
  flushSet(family: Family, table: string, set: string): void {
    const writer = this.#begin('flushing', 'set', NFT_MSG.DELSETELEM, 0, family, table, set);
    writer.string(NFTA_SET_ELEM_LIST.SET, set);
    writer.string(NFTA_SET_ELEM_LIST.TABLE, table);
    writer.end();
  }

  /**
   * Adds an element unless it is there with the same value; with another value the kernel refuses (BUSY).
   * Elements added to one set in a row share messages.
   */
  addElement(
    family: Family,
    table: string,
    set: string,
    key: Uint8Array,
    options: ElementOptions = NO_OPTIONS,
  ): void {
    const writer = this.#openList('adding', family, table, set);
    const { data, verdict, keyEnd, comment, timeoutMs, expirationMs } = options;
    const element = writer.beginNested(NFTA_LIST_ELEM);
    if (timeoutMs !== undefined) writer.u64be(NFTA_SET_ELEM.TIMEOUT, timeoutMs);
    if (expirationMs !== undefined) writer.u64be(NFTA_SET_ELEM.EXPIRATION, expirationMs);
    writeValue(writer, NFTA_SET_ELEM.KEY, key);
    if (keyEnd !== undefined) writeValue(writer, NFTA_SET_ELEM.KEY_END, keyEnd);
    if (data !== undefined) writeValue(writer, NFTA_SET_ELEM.DATA, data);
    if (verdict !== undefined) writeVerdict(writer, NFTA_SET_ELEM.DATA, verdict);
    if (comment !== undefined) writer.bytes(NFTA_SET_ELEM.USERDATA, commentUserdata(comment));
    writer.endNested(element);
  }

  /** Deletes an element; the kernel refuses when it is not there (NOT_FOUND). */
  deleteElement(
    family: Family,
    table: string,
    set: string,
    key: Uint8Array,
    options: Pick<ElementOptions, 'keyEnd'> = NO_OPTIONS,
  ): void {
    const writer = this.#openList('deleting', family, table, set);
    const element = writer.beginNested(NFTA_LIST_ELEM);
    writeValue(writer, NFTA_SET_ELEM.KEY, key);
    if (options.keyEnd !== undefined) writeValue(writer, NFTA_SET_ELEM.KEY_END, options.keyEnd);
    writer.endNested(element);
  }

  /**
   * The bytes to send, for {@link NftSocket}. Valid until the batch is changed; the batch stays as it is.
   * @param first Sequence number of the first message (BATCH_BEGIN); the others count on from it.
   * @param generation Refuse (STALE_GENERATION) unless the ruleset has this generation.
   */
  encode(first: number, generation?: number): EncodedBatch {
    this.#closeList();
    const writer = this.#writer;
    const length = writer.length;
    for (const [index, message] of this.#messages.entries()) {
      writer.setSequence(message.offset, first + 1 + index);
    }
    // Not on BATCH_END: kernels before 6.10 do not acknowledge it.
    const lastMessage = this.#messages.at(-1);
    if (lastMessage !== undefined) writer.addFlags(lastMessage.offset, NLM_F.ACK);
    const last = first + this.#messages.length;
    writer.begin(NFNL_MSG_BATCH.END, NLM_F.REQUEST, last + 1);
    writer.nfgenmsg(0, NFNL_SUBSYS_NFTABLES);
    writer.end();
    const bytes = writer.written();
    writer.truncate(length);

    const begin = new NetlinkWriter();
    begin.begin(NFNL_MSG_BATCH.BEGIN, NLM_F.REQUEST, first);
    begin.nfgenmsg(0, NFNL_SUBSYS_NFTABLES);
    if (generation !== undefined) begin.u32be(NFNL_BATCH_GENID, generation);
    begin.end();
    const start = PROLOGUE - begin.length;
    begin.written().copy(bytes, start);
    return { bytes: bytes.subarray(start), last };
  }

  /** Messages between BATCH_BEGIN and BATCH_END. */
  get messageCount(): number {
    return this.#messages.length;
  }

  /**
   * What a message was to do, for error texts: `adding rule to chain ip switchyard services`.
   * @param index Position in the batch, 0 for the message behind BATCH_BEGIN.
   * @param attributeOffset Where in the message the kernel found the fault.
   */
  describe(index: number, attributeOffset?: number): string {
    const message = this.#messages[index];
    if (message === undefined) return `committing ${this.#operations} nf_tables operations`;
    return describeMessage(message, this.#writer.written(), attributeOffset);
  }

  #begin(
    verb: Verb,
    kind: MessageKind,
    type: number,
    flags: number,
    family: Family,
    table: string,
    name = '',
  ): NetlinkWriter {
    this.#closeList();
    checkName('table', table);
    if (kind !== 'table') checkName(kind, name);
    const offset = this.#writer.begin(type, NLM_F.REQUEST | flags, 0);
    this.#writer.nfgenmsg(NFPROTO[family], 0);
    this.#messages.push({ offset, verb, kind, family, table, name });
    this.#operations++;
    return this.#writer;
  }

  /** Continues the element message of the last call if it is for the same set and has room. */
  #openList(verb: Verb, family: Family, table: string, set: string): NetlinkWriter {
    const writer = this.#writer;
    if (
      this.#list >= 0 &&
      set === this.#listSet &&
      verb === this.#listVerb &&
      family === this.#listFamily &&
      table === this.#listTable &&
      writer.length - this.#list < ELEMENT_LIST_LIMIT
    ) {
      this.#operations++;
      return writer;
    }
    const adding = verb === 'adding';
    const type = adding ? NFT_MSG.NEWSETELEM : NFT_MSG.DELSETELEM;
    this.#begin(verb, 'element', type, adding ? NLM_F.CREATE : 0, family, table, set);
    writer.string(NFTA_SET_ELEM_LIST.TABLE, table);
    writer.string(NFTA_SET_ELEM_LIST.SET, set);
    this.#list = writer.beginNested(NFTA_SET_ELEM_LIST.ELEMENTS);
    this.#listVerb = verb;
    this.#listFamily = family;
    this.#listTable = table;
    this.#listSet = set;
    return writer;
  }

  #closeList(): void {
    if (this.#list < 0) return;
    this.#writer.endNested(this.#list);
    this.#writer.end();
    this.#list = -1;
  }
}

/** NFTA_SET_DESC_CONCAT: the length of every field of the key, in bytes and without padding. */
function writeFieldLengths(writer: NetlinkWriter, set: SetDefinition): void {
  const fields = writer.beginNested(NFTA_SET_DESC.CONCAT);
  for (const field of set.key) {
    const nested = writer.beginNested(NFTA_LIST_ELEM);
    writer.u32be(NFTA_SET_FIELD_LEN, DATA_TYPES[field].length);
    writer.endNested(nested);
  }
  writer.endNested(fields);
}

function checkName(kind: string, name: string): void {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) >= NFT_NAME_MAXLEN) {
    throw badArgument(`${kind} name must have 1 to ${NFT_NAME_MAXLEN - 1} bytes: ${name}`);
  }
}
