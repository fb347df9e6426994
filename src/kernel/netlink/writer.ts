import { badArgument } from '../errors.ts';
import {
  ATTRIBUTE_HEADER_LENGTH,
  HEADER_LENGTH,
  MAX_ATTRIBUTE_LENGTH,
  NLA_F_NESTED,
  align4,
} from './constants.ts';

const INITIAL_SIZE = 4096;
/** A buffer that grew beyond this is given back on {@link NetlinkWriter.reset}. */
const KEEP_SIZE = 1 << 20;
/** Up to this length a loop beats TypedArray.set(). */
const SHORT = 64;

/**
 * Writes netlink messages one behind the other into one growing buffer (struct nlmsghdr and nlattr of
 * linux/netlink.h). Used again after {@link reset}. Numbers are in the machine's byte order unless the
 * method's name says `be`.
 *
 * What begins must end: {@link begin} with {@link end}, {@link beginNested} with {@link endNested}.
 */
export class NetlinkWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_SIZE);
  /** The same bytes; its setters are several times faster than those of Buffer. */
  #view = viewOf(this.#bytes);
  #length = 0;
  #message = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** The bytes written so far from `start`, valid until the next write. */
  written(start = 0): Buffer {
    return this.#bytes.subarray(start, this.#length);
  }

  /** Forgets everything written. */
  reset(): void {
    if (this.#bytes.length > KEEP_SIZE) this.#use(Buffer.allocUnsafeSlow(INITIAL_SIZE));
    this.#length = 0;
  }

  /** The bytes of what `write` writes, and of nothing before it; they stay as they are until the next write. */
  message(write: (writer: this) => void): Buffer {
    this.reset();
    write(this);
    return this.written();
  }

  /** Forgets what was written behind `length`. The bytes stay where they are until the next write. */
  truncate(length: number): void {
    this.#length = Math.min(length, this.#length);
  }

  /** Starts a message; returns its offset. */
  begin(type: number, flags: number, sequence: number): number {
    this.#reserve(HEADER_LENGTH);
    const at = this.#length;
    this.#view.setUint32(at, 0, true);
    this.#view.setUint16(at + 4, type, true);
    this.#view.setUint16(at + 6, flags, true);
    this.#view.setUint32(at + 8, sequence, true);
    // Port id 0: the kernel fills in the sender's.
    this.#view.setUint32(at + 12, 0, true);
    this.#length = at + HEADER_LENGTH;
    this.#message = at;
    return at;
  }

  /** Ends the message started last. */
  end(): void {
    this.#view.setUint32(this.#message, this.#length - this.#message, true);
  }

  /** Sets the sequence number of the message at an offset {@link begin} returned. */
  setSequence(message: number, sequence: number): void {
    this.#view.setUint32(message + 8, sequence, true);
  }

  /** Sets the type of the message at an offset {@link begin} returned. */
  setType(message: number, type: number): void {
    this.#view.setUint16(message + 4, type, true);
  }

  /** Sets more flags of the message at an offset {@link begin} returned. */
  addFlags(message: number, flags: number): void {
    this.#view.setUint16(message + 6, this.#bytes.readUInt16LE(message + 6) | flags, true);
  }

  /** struct nfgenmsg (linux/netfilter/nfnetlink.h): family, version 0, resource id in network order. */
  nfgenmsg(family: number, resource: number): void {
    this.#reserve(4);
    this.#bytes[this.#length] = family;
    this.#bytes[this.#length + 1] = 0;
    this.#view.setUint16(this.#length + 2, resource);
    this.#length += 4;
  }

  /** struct genlmsghdr (linux/genetlink.h): command, version, reserved. */
  genlmsghdr(command: number, version: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, (version << 8) | command, true);
    this.#length += 4;
  }

  /** Bytes without an attribute around them, padded to 4: fixed headers and copied attributes. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length + 3);
    this.#copy(value);
  }

  /** Writes again what was written from `start` to `end`: that costs less than to make it. */
  repeat(start: number, end: number): void {
    this.#reserve(end - start);
    this.#bytes.copyWithin(this.#length, start, end);
    this.#length += end - start;
  }

  /** Puts bytes in the place of those written at an offset. */
  overwrite(at: number, value: Uint8Array): void {
    for (let index = 0; index < value.length; index++) this.#bytes[at + index] = value[index] ?? 0;
  }

  /** Puts a number in the place of the one written at an offset. */
  overwriteU16be(at: number, value: number): void {
    this.#view.setUint16(at, unsigned(value, 0xffff));
  }

  u8(type: number, value: number): void {
    this.#reserve(8);
    this.#header(type, 5);
    this.#view.setUint32(this.#length, unsigned(value, 0xff), true);
    this.#length += 4;
  }

  u16(type: number, value: number): void {
    this.#reserve(8);
    this.#header(type, 6);
    this.#view.setUint32(this.#length, unsigned(value, 0xffff), true);
    this.#length += 4;
  }

  u16be(type: number, value: number): void {
    this.#reserve(8);
    this.#header(type, 6);
    this.#view.setUint16(this.#length, unsigned(value, 0xffff));
    this.#view.setUint16(this.#length + 2, 0);
    this.#length += 4;
  }

  u32(type: number, value: number): void {
    this.#reserve(8);
    this.#header(type, 8);
    this.#view.setUint32(this.#length, unsigned(value, 0xffff_ffff), true);
    this.#length += 4;
  }

  u32be(type: number, value: number): void {
    this.#reserve(8);
    this.#header(type, 8);
    this.#view.setUint32(this.#length, unsigned(value, 0xffff_ffff));
    this.#length += 4;
  }

  /** A signed 32-bit number in network order (verdicts, hook priorities). */
  i32be(type: number, value: number): void {
    if ((value | 0) !== value) throw badArgument(`${value} is not a signed 32-bit integer`);
    this.u32be(type, value >>> 0);
  }

  /** An unsigned integer up to 2^53 - 1 as 64 bits in network order. */
  u64be(type: number, value: number): void {
    this.#reserve(12);
    this.#header(type, 12);
    const high = Math.floor(unsigned(value, Number.MAX_SAFE_INTEGER) / 0x1_0000_0000);
    this.#view.setUint32(this.#length, high);
    this.#view.setUint32(this.#length + 4, value % 0x1_0000_0000);
    this.#length += 8;
  }

  /** NUL-terminated text. */
  string(type: number, value: string): void {
    const bytes = Buffer.byteLength(value) + 1;
    this.#reserve(ATTRIBUTE_HEADER_LENGTH + bytes + 3);
    this.#header(type, ATTRIBUTE_HEADER_LENGTH + bytes);
    this.#bytes.write(value, this.#length);
    this.#bytes[this.#length + bytes - 1] = 0;
    this.#length += bytes;
    this.#pad();
  }

  bytes(type: number, value: Uint8Array): void {
    const length = ATTRIBUTE_HEADER_LENGTH + value.length;
    this.#reserve(length + 3);
    this.#header(type, length);
    this.#copy(value);
  }

  /** An attribute that holds just one attribute of bytes. In one step, as there are very many of them. */
  nestedBytes(type: number, innerType: number, value: Uint8Array): void {
    const inner = ATTRIBUTE_HEADER_LENGTH + value.length;
    const outer = ATTRIBUTE_HEADER_LENGTH + align4(inner);
    this.#reserve(outer);
    this.#header(type | NLA_F_NESTED, outer);
    this.#header(innerType, inner);
    this.#copy(value);
  }

  /** Starts an attribute that holds attributes; returns its offset for {@link endNested}. */
  beginNested(type: number): number {
    this.#reserve(ATTRIBUTE_HEADER_LENGTH);
    const at = this.#length;
    this.#header(type | NLA_F_NESTED, 0);
    return at;
  }

  endNested(at: number): void {
    const length = this.#length - at;
    if (length > MAX_ATTRIBUTE_LENGTH) {
      throw badArgument(`an attribute of ${length} bytes does not fit the 16 bits of its length`);
    }
    this.#view.setUint16(at, length, true);
  }

  #header(type: number, length: number): void {
    if (length > MAX_ATTRIBUTE_LENGTH) {
      throw badArgument(`an attribute of ${length} bytes does not fit the 16 bits of its length`);
    }
    this.#view.setUint32(this.#length, ((type << 16) | length) >>> 0, true);
    this.#length += ATTRIBUTE_HEADER_LENGTH;
  }

  #copy(value: Uint8Array): void {
    const bytes = this.#bytes;
    const at = this.#length;
    if (value.length <= SHORT) {
      for (let index = 0; index < value.length; index++) bytes[at + index] = value[index] ?? 0;
    } else {
      bytes.set(value, at);
    }
    this.#length = at + value.length;
    this.#pad();
  }

  #pad(): void {
    while ((this.#length & 3) !== 0) this.#bytes[this.#length++] = 0;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#use(grown);
  }

  #use(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function unsigned(value: number, largest: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= largest) return value;
  throw badArgument(`${value} is not an integer from 0 to ${largest}`);
}
