/** Bounds the memory that clients hold by reading slowly, or by asking much at once. */
import type { Socket } from 'node:net';

/** Counts the bytes of answers that were made and not yet taken by their clients. */
export class Unsent {
  readonly #limit: number;
  /** The connection that waits the longest comes first. */
  readonly #waiting = new Map<Socket, number>();
  #total = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** An answer is handed to a connection. Breaks the slowest ones when there is too much; one answer always fits. */
  add(socket: Socket, bytes: number): void {
    this.#waiting.set(socket, (this.#waiting.get(socket) ?? 0) + bytes);
    this.#total += bytes;
    for (const [slowest, held] of this.#waiting) {
      if (this.#total <= this.#limit || (slowest === socket && held === bytes)) return;
      this.forget(slowest);
      slowest.destroy();
    }
  }

  /** The kernel has taken an answer. */
  sent(socket: Socket, bytes: number): void {
    const held = this.#waiting.get(socket);
    if (held === undefined) return;
    this.#total -= bytes;
    if (held === bytes) this.#waiting.delete(socket);
    else this.#waiting.set(socket, held - bytes);
  }

  /** A connection is gone. */
  forget(socket: Socket): void {
    this.#total -= this.#waiting.get(socket) ?? 0;
    this.#waiting.delete(socket);
  }
}
