/** Long listings, while the event loop and other exchanges go on. */
import { KernelError, interrupted } from '../errors.ts';
import type { MessageCursor } from './reader.ts';
import type { NetlinkSocket } from './socket.ts';
import { NetlinkWriter } from './writer.ts';

/** How often a listing is started again when changes disturb it. */
const ATTEMPTS = 10;

/** What to list. */
export interface Listing<T> {
  /** For messages of errors. */
  readonly doing: string;
  /** Writes the request, a message with NLM_F_DUMP. */
  readonly write: (request: NetlinkWriter, sequence: number) => void;
  /** Adds what a message tells to what was found. Its bytes are valid during the call. */
  readonly read: (message: MessageCursor, found: T[]) => void;
}

/**
 * Lists on a socket of its own, one listing after the other. The kernel is read on another thread; what it says is decoded
 * datagram by datagram (32 KiB), between which other work gets its turn.
 */
export class Listings {
  readonly #open: () => NetlinkSocket;
  readonly #request = new NetlinkWriter();
  #socket: NetlinkSocket | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** @param open Opens the socket when it is needed first. */
  constructor(open: () => NetlinkSocket) {
    this.#open = open;
  }

  /**
   * Changes made meanwhile may be in it or not.
   * @throws KernelError as the kernel says. INTERRUPTED: changes disturbed every attempt, where the kernel tells.
   *   CLOSED.
   */
  list<T>(listing: Listing<T>): Promise<readonly T[]> {
    const result = this.#queue.then(async () => this.#list(listing));
    this.#queue = result.catch(nothing);
    return result;
  }

  /** Frees the socket, after a listing that is under way. */
  close(): void {
    this.#queue = this.#queue.finally(() => {
      this.#socket?.close();
      this.#isClosed = true;
    });
  }

  async #list<T>({ doing, write, read }: Listing<T>): Promise<readonly T[]> {
    if (this.#isClosed) {
      throw new KernelError(`${doing}: the socket is closed`, { code: 'SY_KERNEL_CLOSED' });
    }
    const socket = (this.#socket ??= this.#open());
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found: T[] = [];
      try {
        const isWhole = await socket.dumpAsync(
          (sequence) =>
            this.#request.message((request) => {
              write(request, sequence);
            }),
          doing,
          (message) => {
            read(message, found);
          },
        );
        if (isWhole) return found;
      } catch (error) {
        // The kernel may not have told all: as long as it has not, it lists nothing else on this socket.
        socket.close();
        this.#socket = undefined;
        throw error;
      }
    }
    throw interrupted(doing, ATTEMPTS);
  }
}

function nothing(): void {
  // A failure that was told to who asked.
}
