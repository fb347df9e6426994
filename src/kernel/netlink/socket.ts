import { ERRNO, KernelError, interrupted, malformed, systemError } from '../errors.ts';
import type { KernelIo } from '../io.ts';
import {
  AF_NETLINK,
  MSG,
  NETLINK_OPTION,
  NLM_F,
  NLMSG,
  SO,
  SOCKET_TYPE,
  SOL_NETLINK,
  SOL_SOCKET,
} from './constants.ts';
import { type Acknowledgement, MessageCursor, readAcknowledgement } from './reader.ts';

/** The kernel fills dump datagrams up to 32 KiB, whatever the size of this. */
const RECEIVE_BYTES = 64 * 1024;
const DEFAULT_TIMEOUT_MS = 5000;
/** How often a listing is started again when changes disturb it. */
const DUMP_ATTEMPTS = 10;
/** A netlink socket keeps this much of its send buffer for itself (netlink_sendmsg()). */
const SEND_OVERHEAD = 32;

/** How to open a {@link NetlinkSocket}. */
export interface NetlinkSocketOptions {
  /** NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_GENERIC. */
  readonly protocol: number;
  /** What error messages call it: `nf_tables`. */
  readonly name: string;
  /** Bit mask of multicast groups 1 to 32 to receive. */
  readonly groups?: number;
  /** Longest wait for an answer. */
  readonly timeoutMs?: number;
  /** Bytes one send can carry, where the process may have them. */
  readonly sendBytes?: number;
  /** Room for answers and events that were not received yet. */
  readonly receiveBytes?: number;
  /** Let the kernel (4.20 and later) filter listings of NETLINK_ROUTE by what the request says. */
  readonly filtersListings?: boolean;
}

/** A message of a request that the kernel refused. */
export interface Refusal extends Acknowledgement {
  readonly sequence: number;
}

/** Called with each message of an answer. The bytes are valid during the call only, unless said otherwise. */
export type MessageVisitor = (message: MessageCursor) => void;

/**
 * A netlink socket to the kernel. Answers are matched by sequence number; whatever a failed exchange left
 * behind is skipped. One exchange at a time.
 */
export class NetlinkSocket {
  /** Largest number of bytes {@link send} can carry. */
  readonly sendLimit: number;
  readonly #io: KernelIo;
  readonly #name: string;
  readonly #buffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES);
  #fd: number;
  #sequence = 0;

  private constructor(io: KernelIo, fd: number, name: string, sendLimit: number) {
    this.#io = io;
    this.#fd = fd;
    this.#name = name;
    this.sendLimit = sendLimit;
  }

  /**
   * @throws KernelError UNSUPPORTED: the kernel lacks the protocol. PERMISSION, CALL: no socket.
   */
  static open(io: KernelIo, options: NetlinkSocketOptions): NetlinkSocket {
    const doing = `opening a ${options.name} socket`;
    const fd = io.socket(AF_NETLINK, SOCKET_TYPE, options.protocol);
    if (fd < 0) throw systemError(doing, -fd);
    try {
      check(io.bind(fd, socketAddress(options.groups ?? 0)), doing);
      const longest = timeval(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
      check(io.setsockopt(fd, SOL_SOCKET, SO.RCVTIMEO, longest), doing);
      // Old kernels lack these two; errors are then told in fewer words.
      io.setsockopt(fd, SOL_NETLINK, NETLINK_OPTION.CAP_ACK, int(1));
      io.setsockopt(fd, SOL_NETLINK, NETLINK_OPTION.EXT_ACK, int(1));
      if (options.filtersListings === true) {
        io.setsockopt(fd, SOL_NETLINK, NETLINK_OPTION.GET_STRICT_CHK, int(1));
      }
      setBuffer(io, fd, SO.SNDBUFFORCE, SO.SNDBUF, options.sendBytes);
      setBuffer(io, fd, SO.RCVBUFFORCE, SO.RCVBUF, options.receiveBytes);
      const limit = io.getsockopt(fd, SOL_SOCKET, SO.SNDBUF) - SEND_OVERHEAD;
      return new NetlinkSocket(io, fd, options.name, limit);
    } catch (error) {
      io.close(fd);
      throw error;
    }
  }

  /** Takes `count` consecutive sequence numbers and returns the first. Never 0, which events carry. */
  sequences(count: number): number {
    if (this.#sequence + count > 0xffff_ffff) this.#sequence = 0;
    const first = this.#sequence + 1;
    this.#sequence += count;
    return first;
  }

  /** @throws KernelError BUFFER: `bytes` is longer than {@link sendLimit}. */
  send(bytes: Uint8Array, doing: string): void {
    const sent = this.#io.send(this.#descriptor(doing), bytes);
    if (sent >= 0) return;
    if (-sent === ERRNO.EMSGSIZE) {
      const sizes = `${doing}: sending ${bytes.length} bytes where the socket takes ${this.sendLimit}`;
      throw systemError(sizes, -sent);
    }
    throw systemError(`${doing}: sending ${bytes.length} bytes`, -sent);
  }

  /**
   * Receives one datagram, valid until the next call.
   * @returns `undefined` when nothing is there: at once without `wait`, after the timeout with it.
   */
  receive(wait: boolean, doing: string): Buffer | undefined {
    const flags = MSG.TRUNC | (wait ? 0 : MSG.DONTWAIT);
    for (;;) {
      const length = this.#io.recv(this.#descriptor(doing), this.#buffer, flags);
      if (length === -ERRNO.EAGAIN) return undefined;
      if (length !== -ERRNO.EINTR) return this.#datagram(length, doing);
    }
  }

  /** Like {@link receive} with `wait`, on another thread: the event loop goes on meanwhile. */
  async receiveAsync(doing: string): Promise<Buffer | undefined> {
    for (;;) {
      const length = await this.#io.readAsync(this.#descriptor(doing), this.#buffer);
      if (length === -ERRNO.EAGAIN) return undefined;
      if (length !== -ERRNO.EINTR) return this.#datagram(length, doing);
    }
  }

  /**
   * Sends messages and waits for the acknowledgement of the last one, which must ask for it.
   * @param last Sequence number of the last message that asks for an acknowledgement.
   * @returns The messages that were refused, in the order of the kernel's answers.
   */
  exchange(bytes: Uint8Array, first: number, last: number, doing: string): readonly Refusal[] {
    this.send(bytes, doing);
    const refusals: Refusal[] = [];
    for (;;) {
      // The kernel answers while it takes the request. Once something was refused the last message may
      // stay unanswered (nfnetlink refuses some batches by their first message): then the queue runs dry.
      const datagram = this.receive(refusals.length === 0, doing);
      if (datagram === undefined) {
        if (refusals.length > 0) return refusals;
        throw noAnswer(doing);
      }
      const message = new MessageCursor(datagram);
      while (message.next()) {
        if (message.type !== NLMSG.ERROR || message.sequence < first || message.sequence > last) {
          continue;
        }
        const answer = readAcknowledgement(message);
        if (answer.errno !== 0) refusals.push({ sequence: message.sequence, ...answer });
        if (message.sequence === last) return refusals;
      }
    }
  }

  /**
   * Sends one message that asks for an acknowledgement and nothing else.
   * @throws KernelError as the kernel says.
   */
  order(bytes: Uint8Array, sequence: number, doing: string): void {
    const [refusal] = this.exchange(bytes, sequence, sequence, doing);
    if (refusal === undefined) return;
    throw systemError(doing, refusal.errno, { extendedAck: refusal.message });
  }

  /**
   * Sends one message that is answered by one message.
   * @throws KernelError as the kernel says.
   */
  query(bytes: Uint8Array, sequence: number, doing: string, visit: MessageVisitor): void {
    this.send(bytes, doing);
    for (;;) {
      const datagram = this.receive(true, doing);
      if (datagram === undefined) throw noAnswer(doing);
      const message = new MessageCursor(datagram);
      while (message.next()) {
        if (message.sequence !== sequence) continue;
        throwRefusal(message, doing);
        if (message.type < NLMSG.MIN_TYPE) continue;
        visit(message);
        return;
      }
    }
  }

  /**
   * Sends one message that asks for an acknowledgement, and visits what is answered before it.
   * @returns The refusal, if the kernel stopped somewhere.
   */
  collect(
    bytes: Uint8Array,
    sequence: number,
    doing: string,
    visit: MessageVisitor,
  ): Refusal | undefined {
    this.send(bytes, doing);
    for (;;) {
      const datagram = this.receive(true, doing);
      if (datagram === undefined) throw noAnswer(doing);
      const message = new MessageCursor(datagram);
      while (message.next()) {
        if (message.sequence !== sequence) continue;
        if (message.type === NLMSG.ERROR) {
          const answer = readAcknowledgement(message);
          return answer.errno === 0 ? undefined : { sequence, ...answer };
        }
        if (message.type >= NLMSG.MIN_TYPE) visit(message);
      }
    }
  }

  /**
   * Lists objects: sends a request with NLM_F_DUMP and visits every message of the answer, after the whole
   * of it has arrived undisturbed. The bytes visited stay valid.
   * @param request Makes the request for a sequence number.
   * @throws KernelError INTERRUPTED: changes disturbed every attempt.
   */
  dump(request: (sequence: number) => Uint8Array, doing: string, visit: MessageVisitor): void {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const sequence = this.sequences(1);
      this.send(request(sequence), doing);
      const chunks: Buffer[] = [];
      const state = { done: false, interrupted: false };
      while (!state.done) {
        const datagram = this.receive(true, doing);
        if (datagram === undefined) throw noAnswer(doing);
        if (scanDump(datagram, sequence, doing, state)) chunks.push(Buffer.from(datagram));
      }
      if (state.interrupted) continue;
      for (const chunk of chunks) visitDump(chunk, sequence, visit);
      return;
    }
    throw interrupted(doing, DUMP_ATTEMPTS);
  }

  /**
   * Like {@link dump} on another thread, visiting while the answer arrives. The bytes visited are valid during the call.
   * @returns False when changes disturbed it. Subsystems that do not number their states do not notice.
   */
  async dumpAsync(
    request: (sequence: number) => Uint8Array,
    doing: string,
    visit: MessageVisitor,
  ): Promise<boolean> {
    const sequence = this.sequences(1);
    // The kernel makes the first part of the answer while it takes the request.
    const sent = await this.#io.writeAsync(this.#descriptor(doing), request(sequence));
    if (sent < 0) throw systemError(doing, -sent);
    const state = { done: false, interrupted: false };
    while (!state.done) {
      const datagram = await this.receiveAsync(doing);
      if (datagram === undefined) throw noAnswer(doing);
      if (scanDump(datagram, sequence, doing, state)) visitDump(datagram, sequence, visit);
    }
    return !state.interrupted;
  }

  /** Frees the descriptor. No read may be under way. Closing twice does no harm. */
  close(): void {
    if (this.#fd < 0) return;
    this.#io.close(this.#fd);
    this.#fd = -1;
  }

  #descriptor(doing: string): number {
    if (this.#fd >= 0) return this.#fd;
    throw new KernelError(`${doing}: the ${this.#name} socket is closed`, {
      code: 'SY_KERNEL_CLOSED',
    });
  }

  #datagram(length: number, doing: string): Buffer {
    if (length < 0) throw systemError(`${doing}: receiving`, -length);
    if (length > this.#buffer.length) throw malformed(`datagram of ${length} bytes`);
    return this.#buffer.subarray(0, length);
  }
}

/** Looks for the end of a dump; true when the datagram holds messages of it. */
function scanDump(
  datagram: Buffer,
  sequence: number,
  doing: string,
  state: { done: boolean; interrupted: boolean },
): boolean {
  const message = new MessageCursor(datagram);
  let found = false;
  while (message.next()) {
    if (message.sequence !== sequence) continue;
    if ((message.flags & NLM_F.DUMP_INTR) !== 0) state.interrupted = true;
    if (message.type === NLMSG.DONE) {
      state.done = true;
      // The payload is the error that ended the dump early.
      const status = message.end - message.start < 4 ? 0 : message.bytes.readInt32LE(message.start);
      if (status < 0) throw systemError(doing, -status);
    } else {
      throwRefusal(message, doing);
      found = true;
    }
  }
  return found;
}

function visitDump(datagram: Buffer, sequence: number, visit: MessageVisitor): void {
  const message = new MessageCursor(datagram);
  while (message.next()) {
    if (message.sequence === sequence && message.type >= NLMSG.MIN_TYPE) visit(message);
  }
}

function throwRefusal(message: MessageCursor, doing: string): void {
  if (message.type !== NLMSG.ERROR) return;
  const answer = readAcknowledgement(message);
  if (answer.errno !== 0) throw systemError(doing, answer.errno, { extendedAck: answer.message });
}

function noAnswer(doing: string): KernelError {
  return systemError(doing, ERRNO.EAGAIN);
}

function check(status: number, doing: string): void {
  if (status < 0) throw systemError(doing, -status);
}

/** Tries the option that ignores the system's limits, then the one that is cut to them. */
function setBuffer(
  io: KernelIo,
  fd: number,
  force: number,
  plain: number,
  bytes: number | undefined,
): void {
  if (bytes === undefined) return;
  if (io.setsockopt(fd, SOL_SOCKET, force, int(bytes)) < 0) {
    io.setsockopt(fd, SOL_SOCKET, plain, int(bytes));
  }
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** struct timeval of a 64-bit machine. */
function timeval(milliseconds: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt(Math.floor(milliseconds / 1000)), 0);
  bytes.writeBigInt64LE(BigInt((milliseconds % 1000) * 1000), 8);
  return bytes;
}

/** struct sockaddr_nl (linux/netlink.h) with port 0: the kernel chooses one. */
function socketAddress(groups: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16LE(AF_NETLINK, 0);
  bytes.writeUInt32LE(groups, 8);
  return bytes;
}
