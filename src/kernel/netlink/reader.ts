import { malformed } from '../errors.ts';
import {
  ATTRIBUTE_HEADER_LENGTH,
  HEADER_LENGTH,
  NLA_TYPE_MASK,
  NLM_F,
  NLMSG,
  NLMSGERR_ATTR,
  align4,
} from './constants.ts';

/**
 * Walks over the messages of one received datagram (struct nlmsghdr, linux/netlink.h) without copying.
 * Every offset it gives lies inside the datagram.
 */
export class MessageCursor {
  /** Type, flags and sequence number of the current message. */
  type = 0;
  flags = 0;
  sequence = 0;
  /** Netlink port of the socket that the message answers, or whose request it reports. */
  port = 0;
  /** Where the payload of the current message starts and ends. */
  start = 0;
  end = 0;
  readonly bytes: Buffer;
  #next = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /**
   * Goes to the next message; false at the end.
   * @throws KernelError MALFORMED: a length that is too small or reaches beyond the datagram.
   */
  next(): boolean {
    const at = this.#next;
    const left = this.bytes.length - at;
    if (left === 0) return false;
    const length = left < HEADER_LENGTH ? 0 : this.bytes.readUInt32LE(at);
    if (length < HEADER_LENGTH || length > left) {
      throw malformed(`message of ${length} bytes where ${left} are left`);
    }
    this.type = this.bytes.readUInt16LE(at + 4);
    this.flags = this.bytes.readUInt16LE(at + 6);
    this.sequence = this.bytes.readUInt32LE(at + 8);
    this.port = this.bytes.readUInt32LE(at + 12);
    this.start = at + HEADER_LENGTH;
    this.end = at + length;
    this.#next = Math.min(at + align4(length), this.bytes.length);
    return true;
  }
}

/**
 * Walks over attributes (struct nlattr, linux/netlink.h) without copying. Every offset it gives lies
 * inside the range it was given. One cursor can be used again with {@link enter}.
 */
export class AttributeCursor {
  /** Type of the current attribute, without its flags. */
  type = 0;
  /** Where the value of the current attribute starts and ends. */
  start = 0;
  end = 0;
  #bytes: Buffer;
  #next = 0;
  #limit = 0;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.enter(bytes, start, end);
  }

  /** Starts over with the attributes between two offsets. */
  enter(bytes: Buffer, start: number, end: number): this {
    if (start > end || end > bytes.length) throw malformed('attributes reach beyond the message');
    this.#bytes = bytes;
    this.#next = start;
    this.#limit = end;
    return this;
  }

  /** A cursor over the attributes inside the current one. */
  nested(): AttributeCursor {
    return new AttributeCursor(this.#bytes, this.start, this.end);
  }

  /**
   * Goes to the next attribute; false at the end.
   * @throws KernelError MALFORMED: a length that is too small or reaches beyond the range.
   */
  next(): boolean {
    const at = this.#next;
    const left = this.#limit - at;
    // Fewer bytes than a header at the end are padding (nla_ok() in the kernel).
    if (left < ATTRIBUTE_HEADER_LENGTH) return false;
    const length = this.#bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_LENGTH || length > left) {
      throw malformed(`attribute of ${length} bytes where ${left} are left`);
    }
    this.type = this.#bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK;
    this.start = at + ATTRIBUTE_HEADER_LENGTH;
    this.end = at + length;
    this.#next = Math.min(at + align4(length), this.#limit);
    return true;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#need(1));
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#need(2));
  }

  u16be(): number {
    return this.#bytes.readUInt16BE(this.#need(2));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#need(4));
  }

  u32be(): number {
    return this.#bytes.readUInt32BE(this.#need(4));
  }

  i32be(): number {
    return this.#bytes.readInt32BE(this.#need(4));
  }

  /** A number of 32 or 64 bits, as long as the value is; exact up to 2^53. */
  u32or64(): number {
    if (this.end - this.start < 8) return this.u32();
    const low = this.#bytes.readUInt32LE(this.start);
    return this.#bytes.readUInt32LE(this.start + 4) * 0x1_0000_0000 + low;
  }

  /** 64 bits in network order; exact up to 2^53. */
  u64be(): number {
    const at = this.#need(8);
    return this.#bytes.readUInt32BE(at) * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4);
  }

  /** Text up to its NUL, or all of it. */
  string(): string {
    return textBetween(this.#bytes, this.start, this.end);
  }

  /** The value itself, a view into the received bytes. */
  view(): Buffer {
    return this.#bytes.subarray(this.start, this.end);
  }

  #need(length: number): number {
    if (this.end - this.start < length) {
      throw malformed(`attribute ${this.type} has ${this.end - this.start} bytes, not ${length}`);
    }
    return this.start;
  }
}

/** Text between two offsets, up to its first NUL. */
export function textBetween(bytes: Buffer, start: number, end: number): string {
  const nul = bytes.indexOf(0, start);
  return bytes.toString('utf8', start, nul < 0 || nul > end ? end : nul);
}

/** What an NLMSG_ERROR says. */
export interface Acknowledgement {
  /** Positive error number, 0 for success. */
  readonly errno: number;
  /** The kernel's words. */
  readonly message: string | undefined;
  /** Offset of the offending attribute, from the start of the message that failed. */
  readonly attributeOffset: number | undefined;
}

/** Reads the payload of the NLMSG_ERROR under the cursor (struct nlmsgerr). */
export function readAcknowledgement(message: MessageCursor): Acknowledgement {
  const { bytes, start, end } = message;
  if (message.type !== NLMSG.ERROR || end - start < 4 + HEADER_LENGTH) {
    throw malformed('acknowledgement without the header of what it answers');
  }
  const errno = Math.abs(bytes.readInt32LE(start));
  let text: string | undefined;
  let attributeOffset: number | undefined;
  if ((message.flags & NLM_F.ACK_TLVS) !== 0) {
    const original = bytes.readUInt32LE(start + 4);
    const repeated = (message.flags & NLM_F.CAPPED) === 0 ? original : HEADER_LENGTH;
    const attributes = new AttributeCursor(bytes, start + 4 + align4(repeated), end);
    while (attributes.next()) {
      if (attributes.type === NLMSGERR_ATTR.MSG) text = attributes.string();
      if (attributes.type === NLMSGERR_ATTR.OFFS) attributeOffset = attributes.u32();
    }
  }
  return { errno, message: text, attributeOffset };
}
