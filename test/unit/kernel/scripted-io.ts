/** A kernel whose answers the test makes up. */
import type { KernelIo } from '../../../src/kernel/io.ts';
import { MessageCursor } from '../../../src/kernel/netlink/reader.ts';

/** A datagram to receive, or a negative error number. */
export type Answer = Buffer | number;

const EAGAIN = 11;

export interface Script {
  /** What the kernel puts in the queue when this is sent; a number fails the send. */
  readonly answer?: (request: MessageCursor, bytes: Buffer) => readonly Answer[] | number;
  /** Error numbers of setsockopt, by option. */
  readonly refusedOptions?: ReadonlyMap<number, number>;
  readonly socket?: number;
  readonly bind?: number;
  readonly sendBuffer?: number;
}

export class ScriptedIo implements KernelIo {
  /** Everything sent. */
  readonly sent: Buffer[] = [];
  /** Options set, in order: level, option, value. */
  readonly options: { level: number; option: number; value: Buffer }[] = [];
  readonly closed: number[] = [];
  /** How many receives were allowed to wait. */
  waits = 0;
  /** Waiting to be received. */
  readonly queue: Answer[] = [];
  readonly #script: Script;

  constructor(script: Script = {}) {
    this.#script = script;
  }

  socket(): number {
    return this.#script.socket ?? 7;
  }

  bind(): number {
    return this.#script.bind ?? 0;
  }

  setsockopt(_fd: number, level: number, option: number, value: Uint8Array): number {
    this.options.push({ level, option, value: Buffer.from(value) });
    return -(this.#script.refusedOptions?.get(option) ?? 0);
  }

  getsockopt(): number {
    return this.#script.sendBuffer ?? 425_984;
  }

  send(_fd: number, bytes: Uint8Array): number {
    const copy = Buffer.from(bytes);
    this.sent.push(copy);
    const request = new MessageCursor(copy);
    request.next();
    const answers = this.#script.answer?.(request, copy) ?? [];
    if (typeof answers === 'number') return answers;
    this.queue.push(...answers);
    return bytes.length;
  }

  recv(_fd: number, into: Uint8Array, flags: number): number {
    if ((flags & 0x40) === 0) this.waits++;
    const answer = this.queue.shift() ?? -EAGAIN;
    if (typeof answer === 'number') return answer;
    into.set(answer.subarray(0, into.length));
    return answer.length;
  }

  writeAsync(fd: number, bytes: Uint8Array): Promise<number> {
    return Promise.resolve(this.send(fd, bytes));
  }

  readAsync(fd: number, into: Uint8Array): Promise<number> {
    return Promise.resolve(this.recv(fd, into, 0));
  }

  close(fd: number): number {
    this.closed.push(fd);
    return 0;
  }
}

/** One netlink message. */
export function message(
  type: number,
  sequence: number,
  payload: Uint8Array = Buffer.alloc(4),
  flags = 0,
): Buffer {
  const bytes = Buffer.alloc(16 + ((payload.length + 3) & ~3));
  bytes.writeUInt32LE(16 + payload.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(payload, 16);
  return bytes;
}

/** NLMSG_ERROR: an acknowledgement, or a refusal with the kernel's words. */
export function acknowledgement(sequence: number, errno = 0, words?: string): Buffer {
  const head = Buffer.alloc(4 + 16);
  head.writeInt32LE(-errno, 0);
  if (words === undefined) return message(2, sequence, head, 0x100);
  const text = Buffer.alloc(4 + ((words.length + 4) & ~3));
  text.writeUInt16LE(4 + words.length + 1, 0);
  text.writeUInt16LE(1, 2);
  text.write(words, 4, 'latin1');
  return message(2, sequence, Buffer.concat([head, text]), 0x300);
}

/** NLMSG_DONE. */
export function done(sequence: number, errno = 0, flags = 0): Buffer {
  const status = Buffer.alloc(4);
  status.writeInt32LE(-errno, 0);
  return message(3, sequence, status, flags);
}
