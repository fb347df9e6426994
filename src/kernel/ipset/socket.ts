import { ERRNO, KernelError, systemError } from '../errors.ts';
import type { KernelIo } from '../io.ts';
import { COMMAND_RECEIVE_BYTES } from '../netlink/command-list.ts';
import { NETLINK_NETFILTER, NLA_F_NET_BYTEORDER, NLM_F } from '../netlink/constants.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import { Listings } from '../netlink/listings.ts';
import { type IpsetBatch, type IpsetRefusal, NFPROTO_IPV4, formatElement } from './batch.ts';
import { IPSET_ATTR, IPSET_CMD, IPSET_FLAG_LIST_HEADER, IPSET_PROTOCOL } from './constants.ts';
import { type IpsetProtocol, readListing, readProtocol } from './read.ts';
import { ipsetError } from './refusals.ts';
import type { ElementInfo, SetDefinition, SetInfo } from './sets.ts';
import { writeDefinition, writeSetName } from './write.ts';

export { IpsetBatch, formatElement } from './batch.ts';
export type { IpsetRefusal } from './batch.ts';

const NO_IPSET =
  'This kernel has no ipset: load the module ip_set, or use a kernel built with CONFIG_IP_SET.';

/**
 * Reads and changes the sets of the network namespace it was opened in. All calls but {@link commit} and
 * {@link listElements} are synchronous. Needs CAP_NET_ADMIN for everything but {@link open}.
 */
export class IpsetSocket implements Disposable {
  readonly #socket: NetlinkSocket;
  readonly #listings: Listings;
  readonly #request = new NetlinkWriter();

  private constructor(socket: NetlinkSocket, listings: Listings) {
    this.#socket = socket;
    this.#listings = listings;
  }

  /** @throws KernelError UNSUPPORTED: the kernel has no netfilter. */
  static open(io: KernelIo): IpsetSocket {
    const open = (): NetlinkSocket =>
      NetlinkSocket.open(io, {
        protocol: NETLINK_NETFILTER,
        name: 'ipset',
        receiveBytes: COMMAND_RECEIVE_BYTES,
      });
    return new IpsetSocket(open(), new Listings(open));
  }

  /**
   * The protocol that the kernel speaks.
   * @throws KernelError UNSUPPORTED: the kernel has no ipset.
   */
  protocol(): IpsetProtocol {
    const doing = 'reading the version of ipset';
    const sequence = this.#socket.sequences(1);
    const bytes = this.#encode(IPSET_CMD.PROTOCOL, NLM_F.REQUEST, sequence, (request) => {
      request.u8(IPSET_ATTR.PROTOCOL, IPSET_PROTOCOL);
    });
    let protocol: IpsetProtocol = { version: 0, oldest: 0 };
    try {
      this.#socket.query(bytes, sequence, doing, (message) => {
        protocol = readProtocol(message);
      });
    } catch (error) {
      // nfnetlink answers EINVAL for a subsystem that is not there (nfnetlink_rcv_msg()).
      if (error instanceof KernelError && error.errno === ERRNO.EINVAL) {
        throw systemError(doing, ERRNO.EOPNOTSUPP, { advice: NO_IPSET });
      }
      throw error;
    }
    return protocol;
  }

  /**
   * Makes a set, unless it is there with the same type, family and options.
   * @throws KernelError EXISTS: it is there with others. UNSUPPORTED: the kernel lacks the type.
   */
  create(set: SetDefinition): void {
    this.#order(IPSET_CMD.CREATE, `creating ipset ${set.name}`, set.name, set.type, (request) => {
      writeDefinition(request, set);
    });
  }

  /** Destroys a set. @throws KernelError BUSY: a rule refers to it. NOT_FOUND. */
  destroy(name: string): void {
    this.#order(IPSET_CMD.DESTROY, `destroying ipset ${name}`, name);
  }

  /** Deletes all elements of a set. @throws KernelError NOT_FOUND. */
  flush(name: string): void {
    this.#order(IPSET_CMD.FLUSH, `flushing ipset ${name}`, name);
  }

  /** Gives a set another name. @throws KernelError EXISTS, NOT_FOUND; BUSY: a rule refers to it. */
  rename(from: string, to: string): void {
    this.#order(IPSET_CMD.RENAME, `renaming ipset ${from} to ${to}`, from, '', (request) => {
      request.string(IPSET_ATTR.SETNAME2, to);
    });
  }

  /** Gives two sets of one type and family each other's elements, at once. @throws KernelError NOT_FOUND. */
  swap(one: string, other: string): void {
    this.#order(IPSET_CMD.SWAP, `swapping ipsets ${one} and ${other}`, one, '', (request) => {
      request.string(IPSET_ATTR.SETNAME2, other);
    });
  }

  /** Every set, without its elements. */
  sets(): readonly SetInfo[] {
    const found: SetInfo[] = [];
    this.#list(undefined, IPSET_FLAG_LIST_HEADER, (set) => found.push(set), nothing);
    return found;
  }

  /** Elements of a set, in no certain order. For small sets: see {@link listElements}. @throws KernelError NOT_FOUND. */
  elements(name: string): readonly ElementInfo[] {
    const found: ElementInfo[] = [];
    this.#list(name, 0, nothing, (element) => found.push(element));
    return found;
  }

  /** The same, while other work has its turn. */
  listElements(name: string): Promise<readonly ElementInfo[]> {
    return this.#listings.list<ElementInfo>({
      doing: describeList(name),
      write: (request, sequence) => {
        this.#encodeList(request, sequence, name, 0);
      },
      read: (message, found) => {
        if (message.type === IPSET_CMD.LIST) readListing(message, (element) => found.push(element));
      },
    });
  }

  /**
   * Carries out the commands of a batch in their order, in parts between which other work gets its turn.
   * Each takes effect or is refused by itself. The batch must not change meanwhile; call its `reset()` to
   * use it again.
   * @returns The commands that were refused: SET_FULL, NOT_FOUND (no such set), ….
   * @throws KernelError when the socket fails; some commands may then have taken effect.
   */
  async commit(batch: IpsetBatch): Promise<readonly IpsetRefusal[]> {
    const doing = `changing ${batch.length} ipset elements`;
    const refused = await batch.commands.send(this.#socket, doing);
    return refused.map(({ command, refusal }) => {
      const { verb, set, element } = command;
      const what = `${verb} ${formatElement(element)} ${verb === 'adding' ? 'to' : 'of'} ipset ${set.name}`;
      return { command, error: ipsetError(what, refusal.errno, refusal.message, set.type) };
    });
  }

  /** Frees the socket. Sets stay. */
  close(): void {
    this.#socket.close();
    this.#listings.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #order(
    command: number,
    doing: string,
    name: string,
    type = '',
    write: (request: NetlinkWriter) => void = nothing,
  ): void {
    const sequence = this.#socket.sequences(1);
    const create = command === IPSET_CMD.CREATE ? NLM_F.CREATE : 0;
    const flags = NLM_F.REQUEST | NLM_F.ACK | create;
    const bytes = this.#encode(command, flags, sequence, (request) => {
      writeSetName(request, name);
      write(request);
    });
    const [refusal] = this.#socket.exchange(bytes, sequence, sequence, doing);
    if (refusal !== undefined) throw ipsetError(doing, refusal.errno, refusal.message, type);
  }

  #list(
    name: string | undefined,
    flags: number,
    visitSet: (set: SetInfo) => void,
    visitElement: (element: ElementInfo) => void,
  ): void {
    this.#socket.dump(
      (sequence) =>
        this.#request.message((request) => {
          this.#encodeList(request, sequence, name, flags);
        }),
      describeList(name),
      (message) => {
        if (message.type !== IPSET_CMD.LIST) return;
        const set = readListing(message, visitElement);
        if (set !== undefined) visitSet(set);
      },
    );
  }

  #encode(
    command: number,
    flags: number,
    sequence: number,
    write: (request: NetlinkWriter) => void,
  ): Buffer {
    return this.#request.message((request) => {
      encode(request, command, flags, sequence, write);
    });
  }

  #encodeList(
    request: NetlinkWriter,
    sequence: number,
    name: string | undefined,
    flags: number,
  ): void {
    encode(request, IPSET_CMD.LIST, NLM_F.REQUEST | NLM_F.DUMP, sequence, () => {
      if (name === undefined) request.u8(IPSET_ATTR.PROTOCOL, IPSET_PROTOCOL);
      else writeSetName(request, name);
      if (flags !== 0) request.u32be(IPSET_ATTR.FLAGS | NLA_F_NET_BYTEORDER, flags);
    });
  }
}

function encode(
  request: NetlinkWriter,
  command: number,
  flags: number,
  sequence: number,
  write: (request: NetlinkWriter) => void,
): void {
  request.begin(command, flags, sequence);
  request.nfgenmsg(NFPROTO_IPV4, 0);
  write(request);
  request.end();
}

function describeList(name: string | undefined): string {
  return name === undefined ? 'listing ipsets' : `listing ipset ${name}`;
}

function nothing(): void {
  // No more attributes; or a part of the listing that was not asked for.
}
