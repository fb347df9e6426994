const INITIAL_SIZE = 64 * 1024;
const CONTINUES = 0x80;
/** Wire types of the protobuf encoding. */
export const VARINT = 0;
export const DELIMITED = 2;

/**
 * Writes protobuf from its end to its start, as the API server does: the length of what is inside is then known when
 * the length in front of it is written. What shall come last is written first.
 */
export class BackwardWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_SIZE);
  #at = INITIAL_SIZE;

  /** Bytes written so far. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  /** A copy of what was written; the writer is empty again. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(this.#at));
    this.#at = this.#bytes.length;
    return taken;
  }

  /** Bytes as they are. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#at -= value.length;
    this.#bytes.set(value, this.#at);
  }

  /** An integer between -2^53 and 2^53; negative ones in ten bytes, as two's complement of 64 bits. */
  varint(value: number): void {
    if (value < 0) {
      this.#negative(value);
      return;
    }
    let size = 1;
    for (let rest = value; rest >= CONTINUES; rest = Math.floor(rest / CONTINUES)) size++;
    this.#reserve(size);
    this.#at -= size;
    let rest = value;
    for (let at = this.#at; at < this.#at + size - 1; at++) {
      this.#bytes[at] = (rest % CONTINUES) | CONTINUES;
      rest = Math.floor(rest / CONTINUES);
    }
    this.#bytes[this.#at + size - 1] = rest;
  }

  tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType);
  }

  /** A field of text. */
  text(field: number, value: string): void {
    const size = Buffer.byteLength(value);
    this.#reserve(size);
    this.#at -= size;
    this.#bytes.write(value, this.#at);
    this.varint(size);
    this.tag(field, DELIMITED);
  }

  /** A field of bytes. */
  bytes(field: number, value: Uint8Array): void {
    this.raw(value);
    this.varint(value.length);
    this.tag(field, DELIMITED);
  }

  /** A field of a number. */
  integer(field: number, value: number): void {
    this.varint(value);
    this.tag(field, VARINT);
  }

  /** Ends, that is starts, a field whose content was written since {@link length} had this value. */
  enclose(field: number, lengthBefore: number): void {
    this.varint(this.length - lengthBefore);
    this.tag(field, DELIMITED);
  }

  #negative(value: number): void {
    const digits: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) digits.push(Number(rest & 0x7fn) | CONTINUES);
    this.raw(Uint8Array.from([...digits, Number(rest)]));
  }

  #reserve(size: number): void {
    if (size <= this.#at) return;
    const used = this.length;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, used + size));
    this.#bytes.copy(grown, grown.length - used, this.#at);
    this.#bytes = grown;
    this.#at = grown.length - used;
  }
}
