import type { ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';

/** Small pieces that wait are written together, up to this many bytes. */
const CHUNK_BYTES = 256 * 1024;

/** Writes a stream no faster than its reader reads. A reader that takes nothing for too long is given up. */
export class Outbox {
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #onSlow: () => void;
  #waiting: Uint8Array[] = [];
  #blocked = false;
  #ended = false;
  #cancelPatience: (() => void) | undefined;

  /** @param onSlow Called when pieces have waited for `patienceMs` milliseconds without any being taken. */
  constructor(response: ServerResponse, clock: Clock, patienceMs: number, onSlow: () => void) {
    this.#response = response;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#onSlow = onSlow;
    response.on('drain', () => this.#drained());
    response.once('close', () => this.#cancelPatience?.());
  }

  send(piece: Uint8Array): void {
    if (this.#ended) return;
    this.#waiting.push(piece);
    this.#write();
  }

  /** Calls `run` once everything sent so far is on its way. */
  flushed(run: () => void): void {
    this.#response.write('', run);
  }

  /** Ends the stream. What waits for a reader that is too slow is thrown away. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting = [];
    this.#cancelPatience?.();
    this.#response.end();
  }

  #drained(): void {
    this.#cancelPatience?.();
    this.#cancelPatience = undefined;
    this.#blocked = false;
    this.#write();
  }

  #write(): void {
    let next = 0;
    while (next < this.#waiting.length && !this.#blocked) {
      const pieces: Uint8Array[] = [];
      for (let size = 0; next < this.#waiting.length && size < CHUNK_BYTES; next++) {
        const piece = this.#waiting[next];
        if (piece === undefined) break;
        size += piece.length;
        pieces.push(piece);
      }
      const [first] = pieces;
      const chunk = pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces);
      this.#blocked = !this.#response.write(chunk);
    }
    if (next > 0) this.#waiting = this.#waiting.slice(next);
    // Being behind for a moment is no fault; being behind with news waiting is.
    if (this.#waiting.length > 0 && !this.#ended) {
      this.#cancelPatience ??= this.#clock.after(this.#patienceMs, this.#onSlow);
    }
  }
}
