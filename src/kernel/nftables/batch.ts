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
  NFTA_RULE,
  NFTA_SET,
  NFTA_SET_ELEM_LIST,
  NFTA_TABLE,
  NFT_MSG,
  NFT_NAME_MAXLEN,
} from './constants.ts';
import type { Expression } from './expressions.ts';
import {
  type ChainDefinition,
  type ElementOptions,
  writeChain,
  writeCounter,
  writeCounterName,
  writeElement,
  writeRule,
  writeSet,
  writeTable,
} from './object-codec.ts';
import type { SetDefinition } from './set-types.ts';

export type { ChainDefinition, ElementOptions } from './object-codec.ts';
export type { DataType, SetDefinition } from './set-types.ts';

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
 * Names, comments and lengths are checked here (ARGUMENT errors, which leave the batch as it was),
 * references between objects by the kernel.
 */
export class NftBatch {
  readonly #writer = new NetlinkWriter();
  readonly #prologue = new NetlinkWriter();
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

  /** Messages between BATCH_BEGIN and BATCH_END. */
  get messageCount(): number {
    return this.#messages.length;
  }

  isEmpty(): boolean {
    return this.#operations === 0;
  }

  /** Makes it an empty batch. */
  reset(): void {
    this.#writer.reset();
    // Filled in by encode(), when it is known whether a generation is expected.
    this.#writer.raw(new Uint8Array(PROLOGUE));
    this.#messages = [];
    this.#operations = 0;
    this.#setId = 0;
    this.#list = -1;
  }

  /** Adds a table unless it is there. */
  addTable(family: Family, table: string, comment?: string): void {
    this.#add('adding', 'table', NFT_MSG.NEWTABLE, family, table, '', (writer) => {
      writeTable(writer, table, comment);
    });
  }

  /** Deletes a table and all it holds. */
  deleteTable(family: Family, table: string): void {
    this.#add('deleting', 'table', NFT_MSG.DELTABLE, family, table, '', (writer) => {
      writer.string(NFTA_TABLE.NAME, table);
    });
  }

  /** Adds a chain unless it is there. */
  addChain(family: Family, table: string, chain: ChainDefinition): void {
    this.#add('adding', 'chain', NFT_MSG.NEWCHAIN, family, table, chain.name, (writer) => {
      writeChain(writer, table, chain);
    });
  }

  /** Deletes a chain that no rule or element refers to, with its rules. */
  deleteChain(family: Family, table: string, chain: string): void {
    this.#add('deleting', 'chain', NFT_MSG.DELCHAIN, family, table, chain, (writer) => {
      writer.string(NFTA_CHAIN.TABLE, table);
      writer.string(NFTA_CHAIN.NAME, chain);
    });
  }

  /** Deletes the rules of a chain. */
  flushChain(family: Family, table: string, chain: string): void {
    this.#add('flushing', 'chain', NFT_MSG.DELRULE, family, table, chain, (writer) => {
      writer.string(NFTA_RULE.TABLE, table);
      writer.string(NFTA_RULE.CHAIN, chain);
    });
  }

  /** Appends a rule to a chain. */
  addRule(
    family: Family,
    table: string,
    chain: string,
    expressions: readonly Expression[],
    comment?: string,
  ): void {
    this.#add('adding', 'rule', NFT_MSG.NEWRULE, family, table, chain, (writer) => {
      writeRule(writer, family, table, chain, expressions, comment);
    });
  }

  /** Adds a set or map unless it is there with the same types and flags. */
  addSet(family: Family, table: string, set: SetDefinition): void {
    this.#add('adding', 'set', NFT_MSG.NEWSET, family, table, set.name, (writer) => {
      writeSet(writer, table, set, ++this.#setId);
    });
  }

  /** Deletes a set that no rule refers to, with its elements. */
  deleteSet(family: Family, table: string, set: string): void {
    this.#add('deleting', 'set', NFT_MSG.DELSET, family, table, set, (writer) => {
      writer.string(NFTA_SET.TABLE, table);
      writer.string(NFTA_SET.NAME, set);
    });
  }

  /** Deletes the elements of a set. */
  flushSet(family: Family, table: string, set: string): void {
    this.#add('flushing', 'set', NFT_MSG.DELSETELEM, family, table, set, (writer) => {
      writer.string(NFTA_SET_ELEM_LIST.SET, set);
      writer.string(NFTA_SET_ELEM_LIST.TABLE, table);
    });
  }

  /** Adds a counter unless it is there. It counts what rules and elements that name it see. */
  addCounter(family: Family, table: string, counter: string): void {
    this.#add('adding', 'counter', NFT_MSG.NEWOBJ, family, table, counter, (writer) => {
      writeCounter(writer, table, counter);
    });
  }

  /** Deletes a counter that no rule or element refers to. */
  deleteCounter(family: Family, table: string, counter: string): void {
    this.#add('deleting', 'counter', NFT_MSG.DELOBJ, family, table, counter, (writer) => {
      writeCounterName(writer, table, counter);
    });
  }

  /**
   * Adds an element unless it is there with the same value; with another value the kernel refuses (BUSY or
   * EXISTS). Elements added to one set in a row share messages.
   */
  addElement(
    family: Family,
    table: string,
    set: string,
    key: Uint8Array,
    options: ElementOptions = NO_OPTIONS,
  ): void {
    this.#element('adding', family, table, set, key, options);
  }

  /** Deletes an element; the kernel refuses when it is not there (NOT_FOUND). */
  deleteElement(
    family: Family,
    table: string,
    set: string,
    key: Uint8Array,
    options: Pick<ElementOptions, 'keyEnd'> = NO_OPTIONS,
  ): void {
    this.#element('deleting', family, table, set, key, options);
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
    // Not on BATCH_END: older kernels do not acknowledge it.
    const lastMessage = this.#messages.at(-1);
    if (lastMessage !== undefined) writer.addFlags(lastMessage.offset, NLM_F.ACK);
    const last = first + this.#messages.length;
    writer.begin(NFNL_MSG_BATCH.END, NLM_F.REQUEST, last + 1);
    writer.nfgenmsg(0, NFNL_SUBSYS_NFTABLES);
    writer.end();
    const bytes = writer.written();
    writer.truncate(length);

    const begin = this.#prologue;
    begin.reset();
    begin.begin(NFNL_MSG_BATCH.BEGIN, NLM_F.REQUEST, first);
    begin.nfgenmsg(0, NFNL_SUBSYS_NFTABLES);
    if (generation !== undefined) begin.u32be(NFNL_BATCH_GENID, generation);
    begin.end();
    const start = PROLOGUE - begin.length;
    begin.written().copy(bytes, start);
    return { bytes: bytes.subarray(start), last };
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

  /** Writes one message about one object. */
  #add(
    verb: Verb,
    kind: Exclude<MessageKind, 'element'>,
    type: number,
    family: Family,
    table: string,
    name: string,
    write: (writer: NetlinkWriter) => void,
  ): void {
    this.#closeList();
    const offset = this.#begin(verb, kind, type, family, table, name);
    try {
      write(this.#writer);
      this.#writer.end();
      this.#operations++;
    } catch (error) {
      this.#writer.truncate(offset);
      this.#messages.pop();
      throw error;
    }
  }

  #element(
    verb: 'adding' | 'deleting',
    family: Family,
    table: string,
    set: string,
    key: Uint8Array,
    options: ElementOptions,
  ): void {
    const writer = this.#writer;
    const isNew =
      this.#list < 0 ||
      set !== this.#listSet ||
      verb !== this.#listVerb ||
      family !== this.#listFamily ||
      table !== this.#listTable ||
      writer.length - this.#list > ELEMENT_LIST_LIMIT;
    if (isNew) this.#closeList();
    const start = writer.length;
    if (isNew) this.#openList(verb, family, table, set);
    const body = writer.length;
    try {
      writeElement(writer, key, options);
      this.#operations++;
    } catch (error) {
      writer.truncate(isNew ? start : body);
      if (isNew) {
        this.#messages.pop();
        this.#list = -1;
      }
      throw error;
    }
  }

  #openList(verb: 'adding' | 'deleting', family: Family, table: string, set: string): void {
    const type = verb === 'adding' ? NFT_MSG.NEWSETELEM : NFT_MSG.DELSETELEM;
    this.#begin(verb, 'element', type, family, table, set);
    this.#writer.string(NFTA_SET_ELEM_LIST.TABLE, table);
    this.#writer.string(NFTA_SET_ELEM_LIST.SET, set);
    this.#list = this.#writer.beginNested(NFTA_SET_ELEM_LIST.ELEMENTS);
    this.#listVerb = verb;
    this.#listFamily = family;
    this.#listTable = table;
    this.#listSet = set;
  }

  #closeList(): void {
    if (this.#list < 0) return;
    this.#writer.endNested(this.#list);
    this.#writer.end();
    this.#list = -1;
  }

  #begin(
    verb: Verb,
    kind: MessageKind,
    type: number,
    family: Family,
    table: string,
    name: string,
  ): number {
    checkName('table', table);
    if (kind !== 'table') checkName(kind === 'rule' ? 'chain' : kind, name);
    const create = verb === 'adding' ? NLM_F.CREATE : 0;
    const append = type === NFT_MSG.NEWRULE ? NLM_F.APPEND : 0;
    const offset = this.#writer.begin(type, NLM_F.REQUEST | create | append, 0);
    this.#writer.nfgenmsg(NFPROTO[family], 0);
    this.#messages.push({ offset, verb, kind, family, table, name });
    return offset;
  }
}

function checkName(kind: string, name: string): void {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) >= NFT_NAME_MAXLEN) {
    throw badArgument(`${kind} name must have 1 to ${NFT_NAME_MAXLEN - 1} bytes: ${name}`);
  }
}
