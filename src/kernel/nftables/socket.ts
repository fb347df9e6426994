import type { Family } from '../../core/ip.ts';
import { ERRNO, isKernelError, systemError } from '../errors.ts';
import type { KernelIo } from '../io.ts';
import { NETLINK_NETFILTER, NLM_F } from '../netlink/constants.ts';
import type { MessageCursor } from '../netlink/reader.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import type { NftBatch } from './batch.ts';
import {
  FAMILY_NAME,
  NFPROTO,
  NFTA_GEN_ID,
  NFTA_OBJ,
  NFTA_RULE,
  NFTA_SET,
  NFT_MSG,
  NFT_OBJECT_COUNTER,
} from './constants.ts';
import { findElements, listElements, listOnce } from './element-queries.ts';
import { type ElementInfo, ElementReader, type ElementView } from './elements.ts';
import {
  type ChainInfo,
  type CounterInfo,
  type MessagePlace,
  type RuleInfo,
  type SetInfo,
  type TableInfo,
  attributesOf,
  readChain,
  readCounter,
  readRule,
  readSet,
  readTable,
} from './info.ts';

export { MAX_FIND_KEYS } from './element-queries.ts';
export type { ElementInfo, ElementView } from './elements.ts';
export type { ChainInfo, CounterInfo, RuleInfo, SetInfo, TableInfo } from './info.ts';

/** 128 MiB: 500,000 services' elements in one transaction. The kernel takes it only while it is sent. */
const SEND_BYTES = 128 << 20;
const RECEIVE_BYTES = 8 << 20;
const NO_NFTABLES =
  'This kernel has no nf_tables: load the module nf_tables, or use a kernel built with CONFIG_NF_TABLES.';

/**
 * Reads and changes the nf_tables ruleset of the network namespace it was opened in. All calls are
 * synchronous. Needs CAP_NET_ADMIN for everything but {@link open}.
 */
export class NftSocket {
  readonly #socket: NetlinkSocket;
  readonly #request = new NetlinkWriter();
  #port = 0;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** @throws KernelError UNSUPPORTED: the kernel has no netfilter. */
  static open(io: KernelIo): NftSocket {
    return new NftSocket(
      NetlinkSocket.open(io, {
        protocol: NETLINK_NETFILTER,
        name: 'nf_tables',
        sendBytes: SEND_BYTES,
        receiveBytes: RECEIVE_BYTES,
      }),
    );
  }

  /** Largest batch, in bytes, that can be committed at once. Small without the rights to a larger buffer. */
  get maxBatchBytes(): number {
    return this.#socket.sendLimit;
  }

  /** Netlink port of this socket, by which reports of changes name it; known after {@link generation}. */
  get port(): number {
    return this.#port;
  }

  /**
   * Number of the ruleset's state. Every committed change, whoever makes it, adds 1.
   * @throws KernelError PERMISSION, UNSUPPORTED (no nf_tables).
   */
  generation(): number {
    const doing = 'reading the nf_tables generation';
    const sequence = this.#socket.sequences(1);
    const request = this.#request;
    request.reset();
    request.begin(NFT_MSG.GETGEN, NLM_F.REQUEST, sequence);
    request.nfgenmsg(0, 0);
    request.end();
    let generation = 0;
    try {
      this.#socket.query(request.written(), sequence, doing, (message) => {
        this.#port = message.port;
        const attributes = attributesOf(message);
        while (attributes.next()) {
          if (attributes.type === NFTA_GEN_ID) generation = attributes.u32be();
        }
      });
    } catch (error) {
      // nfnetlink answers EINVAL for a subsystem that is not there (nfnetlink_rcv_msg()).
      if (isKernelError(error, 'SY_KERNEL_CALL') && error.errno === ERRNO.EINVAL) {
        throw systemError(doing, ERRNO.EOPNOTSUPP, { advice: NO_NFTABLES });
      }
      throw error;
    }
    return generation;
  }

  /**
   * Commits a batch as one transaction: all of it or nothing. Blocks until it is done. The batch stays as
   * it is; call its `reset()` to use it again. An empty batch does nothing.
   * @param expectedGeneration Refuse unless the ruleset is in this state.
   * @throws KernelError STALE_GENERATION; BUFFER when it is larger than {@link maxBatchBytes}; otherwise
   *   named after the first operation refused, with the number of the others.
   */
  commit(batch: NftBatch, expectedGeneration?: number): void {
    if (batch.isEmpty()) return;
    const doing = batch.describe(-1);
    const first = this.#socket.sequences(batch.messageCount + 2);
    const { bytes, last } = batch.encode(first, expectedGeneration);
    const refusals = this.#socket.exchange(bytes, first, last, doing);
    const [refusal] = refusals;
    if (refusal === undefined) return;
    const what =
      refusal.sequence === first
        ? doing
        : batch.describe(refusal.sequence - first - 1, refusal.attributeOffset);
    const others = refusals.length - 1;
    throw systemError(
      others === 0 ? what : `${what} (and ${others} more of the same batch)`,
      refusal.errno,
      {
        extendedAck: refusal.message,
        ...(refusal.errno === ERRNO.EOPNOTSUPP && refusal.sequence === first
          ? { advice: NO_NFTABLES }
          : {}),
      },
    );
  }

  /** Tables of a family. */
  tables(family: Family): readonly TableInfo[] {
    const found: TableInfo[] = [];
    const doing = `listing ${FAMILY_NAME[family]} tables`;
    this.#dump(NFT_MSG.GETTABLE, family, doing, noAttributes, (message) => {
      found.push(readTable(message));
    });
    return found;
  }

  /** Chains of a table, in no certain order; none when the table is missing. */
  chains(family: Family, table: string): readonly ChainInfo[] {
    const found: ChainInfo[] = [];
    const doing = `listing chains of table ${FAMILY_NAME[family]} ${table}`;
    this.#dump(NFT_MSG.GETCHAIN, family, doing, noAttributes, (message) => {
      const chain = readChain(message, table);
      if (chain !== undefined) found.push(chain);
    });
    return found;
  }

  /** Rules of a table, those of one chain in their order; none when the table is missing. */
  rules(family: Family, table: string): readonly RuleInfo[] {
    const found: RuleInfo[] = [];
    const doing = `listing rules of table ${FAMILY_NAME[family]} ${table}`;
    const onlyTable = (request: NetlinkWriter): void => {
      request.string(NFTA_RULE.TABLE, table);
    };
    this.#dump(NFT_MSG.GETRULE, family, doing, onlyTable, (message) => {
      const rule = readRule(message, table);
      if (rule !== undefined) found.push(rule);
    });
    return found;
  }

  /** Sets and maps of a table; none when the table is missing. */
  sets(family: Family, table: string): readonly SetInfo[] {
    const found: SetInfo[] = [];
    const doing = `listing sets of table ${FAMILY_NAME[family]} ${table}`;
    const onlyTable = (request: NetlinkWriter): void => {
      request.string(NFTA_SET.TABLE, table);
    };
    try {
      this.#dump(NFT_MSG.GETSET, family, doing, onlyTable, (message) => {
        const set = readSet(message, table);
        if (set !== undefined) found.push(set);
      });
    } catch (error) {
      if (!isKernelError(error, 'SY_KERNEL_NOT_FOUND')) throw error;
    }
    return found;
  }

  /**
   * Counters of a table with their values as they are at the call; none when the table is missing. They are
   * decoded as they are taken: the larger part of the work.
   */
  counters(family: Family, table: string): IteratorObject<CounterInfo> {
    const found: MessagePlace[] = [];
    const doing = `listing counters of table ${FAMILY_NAME[family]} ${table}`;
    const onlyTable = (request: NetlinkWriter): void => {
      request.string(NFTA_OBJ.TABLE, table);
      request.u32be(NFTA_OBJ.TYPE, NFT_OBJECT_COUNTER);
    };
    this.#dump(NFT_MSG.GETOBJ, family, doing, onlyTable, ({ bytes, start, end }) => {
      found.push({ bytes, start, end });
    });
    return found.values().map((place) => readCounter(place));
  }

  /**
   * Elements of a set or map, in no certain order. For many elements see {@link eachElement}.
   * @throws KernelError NOT_FOUND: no such table or set.
   */
  elements(family: Family, table: string, set: string): readonly ElementInfo[] {
    const found: ElementInfo[] = [];
    const reader = new ElementReader();
    listElements(this.#socket, { family, table, set }, reader, () => {
      found.push(reader.info());
    });
    return found;
  }

  /**
   * Visits the elements of a set or map, in no certain order, without making an object for each.
   * @throws KernelError NOT_FOUND: no such table or set.
   */
  eachElement(
    family: Family,
    table: string,
    set: string,
    visit: (element: ElementView) => void,
  ): void {
    listElements(this.#socket, { family, table, set }, new ElementReader(), visit);
  }

  /**
   * The same of a set that the kernel adds to and takes from by itself: elements may be visited twice or left out. Returns
   * false when some were visited twice.
   * @throws KernelError NOT_FOUND: no such table or set.
   */
  mostElements(
    family: Family,
    table: string,
    set: string,
    visit: (element: ElementView) => void,
  ): boolean {
    return listOnce(this.#socket, { family, table, set }, visit);
  }

  /**
   * Visits the elements with these keys; keys that are not there are passed over. Costs what the keys cost,
   * where a listing of a large set costs the square of its size (the kernel starts each part of a listing
   * from the beginning). Not for many keys that may be missing: each one costs a request.
   * @param keys At most {@link MAX_FIND_KEYS}.
   * @throws KernelError NOT_FOUND: no such table or set.
   */
  findElements(
    family: Family,
    table: string,
    set: string,
    keys: readonly Uint8Array[],
    visit: (element: ElementView) => void,
  ): void {
    findElements(this.#socket, { family, table, set }, keys, visit, () =>
      this.sets(family, table).some(({ name }) => name === set),
    );
  }

  /** Frees the socket. The ruleset stays. */
  close(): void {
    this.#socket.close();
  }

  #dump(
    type: number,
    family: Family,
    doing: string,
    attributes: (request: NetlinkWriter) => void,
    visit: (message: MessageCursor) => void,
  ): void {
    const request = this.#request;
    this.#socket.dump(
      (sequence) => {
        request.reset();
        request.begin(type, NLM_F.REQUEST | NLM_F.DUMP, sequence);
        request.nfgenmsg(NFPROTO[family], 0);
        attributes(request);
        request.end();
        return request.written();
      },
      doing,
      visit,
    );
  }
}

function noAttributes(): void {
  // All objects of the family.
}
