/**
 * Reads protocol buffers (proto2) into the plain values that the JSON of the same object would give,
 * driven by tables of the fields that are wanted. All other fields are passed over unread.
 */
import { malformed } from './fault.ts';
import type { Field, Message, Values } from './message.ts';
import type { StringPool } from './string-pool.ts';

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** Most bytes of a varint. */
const VARINT_LENGTH = 10;
/** Field numbers in the entries of a map. */
const KEY = 1;
const VALUE = 2;
/** Field number in `metav1.Time`. */
const SECONDS = 1;

/**
 * Reads the message that fills `bytes`.
 * @throws WireFault malformed.
 */
export function readMessage(bytes: Buffer, message: Message, pool: StringPool): Values {
  return new Reader(bytes, pool).message(message, bytes.length);
}

/** Number of a length-delimited field, and where its content starts and ends. */
export interface FieldHeader {
  readonly number: number;
  readonly start: number;
  /** May lie behind the bytes there are. */
  readonly end: number;
}

/**
 * Reads the header of a length-delimited field at the start of `bytes`; `undefined` when there are too
 * few bytes.
 * @throws WireFault malformed: the field is of another wire type.
 */
export function readHeader(bytes: Buffer): FieldHeader | undefined {
  const tag = readVarint(bytes, 0);
  if (tag === undefined) return undefined;
  if ((tag.value & 7) !== LENGTH) throw malformed(`a field has wire type ${tag.value & 7}`);
  const length = readVarint(bytes, tag.end);
  if (length === undefined) return undefined;
  return { number: tag.value >>> 3, start: length.end, end: length.end + length.value };
}

function readVarint(
  bytes: Buffer,
  start: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let index = start; index < bytes.length; index++) {
    if (index - start === VARINT_LENGTH) throw malformed('a number has more than ten bytes');
    const byte = bytes[index] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (index - start));
    if (byte < 0x80) return { value, end: index + 1 };
  }
  return undefined;
}

/** A place in some bytes. Never reads behind the `end` it is given. */
class Reader {
  #at = 0;
  readonly #bytes: Buffer;
  readonly #pool: StringPool;

  constructor(bytes: Buffer, pool: StringPool) {
    this.#bytes = bytes;
    this.#pool = pool;
  }

  message(message: Message, end: number): Values {
    const values: Values = {};
    while (this.#at < end) {
      const tag = this.#int(end);
      const field = message[tag >>> 3];
      if (field === undefined) this.#skip(tag & 7, end);
      else this.#field(field, tag & 7, end, values);
    }
    return values;
  }

  #field(field: Field, wireType: number, end: number, values: Values): void {
    const isNumber = field.kind === 'int' || field.kind === 'bool';
    if (wireType !== (isNumber ? VARINT : LENGTH)) {
      throw malformed(`the field ${field.name} has wire type ${wireType}`);
    }
    if (isNumber) {
      const value = this.#int(end);
      values[field.name] = field.kind === 'int' ? value : value !== 0;
      return;
    }
    const limit = this.#limit(end);
    switch (field.kind) {
      case 'string':
        if (limit > this.#at || !field.omitEmpty) {
          values[field.name] = field.shared ? this.#shared(limit) : this.#text(limit);
        }
        return;
      case 'strings':
        append(values, field.name, this.#text(limit));
        return;
      case 'one':
        values[field.name] = this.message(field.message, limit);
        return;
      case 'many':
        append(values, field.name, this.message(field.message, limit));
        return;
      case 'entries':
        this.#entry(field.name, field.keys, limit, values);
        return;
      case 'time':
        // The zero time has no bytes.
        if (limit > this.#at) values[field.name] = this.#time(limit);
        return;
      case 'bytes':
        values[field.name] = this.#bytes.subarray(this.#at, limit);
        this.#at = limit;
    }
  }

  #entry(name: string, keys: ReadonlySet<string>, end: number, values: Values): void {
    let key = '';
    let value = '';
    while (this.#at < end) {
      const tag = this.#int(end);
      if (tag === ((KEY << 3) | LENGTH)) {
        key = this.#shared(this.#limit(end));
        if (!keys.has(key)) {
          this.#at = end;
          return;
        }
      } else if (tag === ((VALUE << 3) | LENGTH)) value = this.#text(this.#limit(end));
      else this.#skip(tag & 7, end);
    }
    if (keys.has(key)) values[name] = { ...objectOf(values[name]), [key]: value };
  }

  #time(end: number): string {
    let seconds = 0;
    while (this.#at < end) {
      const tag = this.#int(end);
      if (tag === ((SECONDS << 3) | VARINT)) seconds = this.#long(end);
      else this.#skip(tag & 7, end);
    }
    const time = new Date(seconds * 1000);
    if (Number.isNaN(time.getTime())) throw malformed(`a time is ${seconds} s after 1970`);
    return `${time.toISOString().slice(0, -'.000Z'.length)}Z`;
  }

  /** A varint of which the low 32 bits count. */
  #int(end: number): number {
    const first = this.#byte(end);
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let shift = 7; shift < 7 * VARINT_LENGTH; shift += 7) {
      const byte = this.#byte(end);
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw malformed('a number has more than ten bytes');
  }

  /** A varint of 64 bits. */
  #long(end: number): number {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte(end);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw malformed('a number has more than ten bytes');
  }

  /** Reads the length in front of a value and returns where the value ends. */
  #limit(end: number): number {
    const length = this.#int(end) >>> 0;
    const left = end - this.#at;
    if (length > left) throw malformed(`a field of ${length} bytes where ${left} are left`);
    return this.#at + length;
  }

  #text(end: number): string {
    const start = this.#at;
    this.#at = end;
    return this.#bytes.toString('utf8', start, end);
  }

  #shared(end: number): string {
    const start = this.#at;
    this.#at = end;
    return this.#pool.read(this.#bytes, start, end);
  }

  #skip(wireType: number, end: number): void {
    if (wireType === VARINT) this.#int(end);
    else if (wireType === LENGTH) this.#at = this.#limit(end);
    else if (wireType === FIXED64 || wireType === FIXED32) {
      this.#at += wireType === FIXED64 ? 8 : 4;
      if (this.#at > end) throw malformed('a field ends too early');
    } else throw malformed(`a field has wire type ${wireType}`);
  }

  #byte(end: number): number {
    const byte = this.#at < end ? this.#bytes[this.#at] : undefined;
    if (byte === undefined) throw malformed('a field ends too early');
    this.#at++;
    return byte;
  }
}

function append(values: Values, name: string, item: unknown): void {
  const list = values[name];
  if (Array.isArray(list)) list.push(item);
  else values[name] = [item];
}

function objectOf(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}
