/** Bytes that arrived and were not used yet. Copies only what spans more than one chunk. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  /** Bytes of the first chunk that are used up. */
  #used = 0;
  #length = 0;

  /** Number of bytes there are. */
  get length(): number {
    return this.#length;
  }

  /** Takes bytes in. They must not change afterwards. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** The first `count` bytes, or as many as there are. They stay. */
  peek(count: number): Buffer {
    const [first] = this.#chunks;
    const end = this.#used + Math.min(count, this.#length);
    if (first !== undefined && end <= first.length) return first.subarray(this.#used, end);
    return Buffer.concat(this.#chunks).subarray(this.#used, end);
  }

  /** Takes out the first `count` bytes, or as many as there are. */
  take(count: number): Buffer {
    const taken = this.peek(count);
    this.#length -= taken.length;
    let left = this.#used + taken.length;
    let whole = 0;
    for (const chunk of this.#chunks) {
      if (left < chunk.length) break;
      left -= chunk.length;
      whole++;
    }
    if (whole > 0) this.#chunks.splice(0, whole);
    this.#used = left;
    return taken;
  }
}
