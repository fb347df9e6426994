import { setImmediate } from 'node:timers/promises';
import { NLM_F } from './constants.ts';
import type { NetlinkSocket, Refusal } from './socket.ts';
import { NetlinkWriter } from './writer.ts';

/** Messages that go to the kernel at once: 1 ms for most. */
const MESSAGES_AT_ONCE = 64;
/** A part that takes longer is followed by one half its size: some commands cost the kernel tens of milliseconds. */
const SLOW_MS = 50;
/** Room for the answers, should the kernel refuse every message of a part. */
export const COMMAND_RECEIVE_BYTES = 1 << 20;

/** A command that the kernel refused. */
export interface RefusedCommand<C> {
  readonly command: C;
  readonly refusal: Refusal;
}

/**
 * Commands for a subsystem without transactions: each is one message, encoded as it is added, and takes
 * effect or is refused by itself.
 */
export class CommandList<C> {
  readonly #writer = new NetlinkWriter();
  readonly #offsets: number[] = [];
  readonly #commands: C[] = [];

  /** Number of commands. */
  get length(): number {
    return this.#commands.length;
  }

  /** Forgets all commands. */
  reset(): void {
    this.#writer.reset();
    this.#offsets.length = 0;
    this.#commands.length = 0;
  }

  /**
   * Adds a command.
   * @param type Of the message, unless {@link send} says otherwise.
   * @param flags Besides NLM_F_REQUEST.
   * @param write Writes the payload; when it throws, the list stays as it was. Called at once, with the command, so that
   * it need be no closure: there are very many commands.
   */
  add<D extends C>(
    command: D,
    type: number,
    flags: number,
    write: (writer: NetlinkWriter, command: D) => void,
  ): void {
    const offset = this.#writer.begin(type, NLM_F.REQUEST | flags, 0);
    try {
      write(this.#writer, command);
      this.#writer.end();
    } catch (error) {
      this.#writer.truncate(offset);
      throw error;
    }
    this.#offsets.push(offset);
    this.#commands.push(command);
  }

  /**
   * Sends the commands in their order, in parts between which other work gets its turn. The list must not
   * change meanwhile, and stays as it is.
   * @param type Of all messages, where it was not known when they were added.
   * @param now Milliseconds, on any clock.
   * @returns The commands that were refused.
   * @throws KernelError when the socket fails; some commands may then have taken effect.
   */
  async send(
    socket: NetlinkSocket,
    doing: string,
    type?: number,
    now = (): number => performance.now(),
  ): Promise<readonly RefusedCommand<C>[]> {
    const refused: RefusedCommand<C>[] = [];
    let atOnce = MESSAGES_AT_ONCE;
    let to = 0;
    for (let from = 0; from < this.length; from = to) {
      if (from > 0) await setImmediate();
      to = Math.min(from + atOnce, this.length);
      const started = now();
      const first = socket.sequences(to - from);
      const bytes = this.#encode(from, to, first, type);
      for (const refusal of socket.exchange(bytes, first, first + to - from - 1, doing)) {
        const command = this.#commands[from + refusal.sequence - first];
        if (command !== undefined) refused.push({ command, refusal });
      }
      const factor = now() - started > SLOW_MS ? 0.5 : 2;
      atOnce = Math.min(Math.max(1, Math.floor(atOnce * factor)), MESSAGES_AT_ONCE);
    }
    return refused;
  }

  #encode(from: number, to: number, first: number, type: number | undefined): Buffer {
    const start = this.#offsets[from] ?? 0;
    for (let index = from; index < to; index++) {
      const offset = this.#offsets[index] ?? 0;
      this.#writer.setSequence(offset, first + index - from);
      if (type !== undefined) this.#writer.setType(offset, type);
    }
    this.#writer.addFlags(this.#offsets[to - 1] ?? start, NLM_F.ACK);
    const end = this.#offsets[to] ?? this.#writer.length;
    return this.#writer.written(start).subarray(0, end - start);
  }
}
