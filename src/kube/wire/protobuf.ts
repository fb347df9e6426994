/**
 * Reads protocol buffers (proto2) into the plain values that the JSON of the same object would give,
 * driven by tables of the fields that are wanted. All other fields are passed over unread.
 */
import { malformed } from './fault.ts';

/** The wanted fields of a message by their number. */
export type Message = readonly (Field | undefined)[];

/** One wanted field: its name in JSON, and how its bytes become a value. */
export type Field = { readonly name: string } & (
  | {
      readonly kind: 'string' | 'int' | 'bool';
      /** The Go field has `omitempty` and is no pointer: `''`, 0 and false are not in the JSON. */
      readonly omitEmpty: boolean;
    }
  /** `repeated string`; the bytes themselves, not copied; a `metav1.Time` as RFC 3339 text. */
  | { readonly kind: 'strings' | 'bytes' | 'time' }
  /** `map<string, string>`, of which only these keys are wanted. */
  | { readonly kind: 'entries'; readonly keys: ReadonlySet<string> }
  /** A message, or `repeated` ones. */
  | { readonly kind: 'one' | 'many'; readonly message: Message }
);

/** What a message becomes. */
export type Values = Record<string, unknown>;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** Strings up to this length are put together here: a call into the engine costs more. */
const SHORT = 24;
/** Field numbers of the entries of a map. */
const KEY = 1;
const VALUE = 2;
/** Field number in `metav1.Time`. */
const SECONDS = 1;

/**
 * Reads the message that fills `bytes`.
 * @throws WireFault malformed.
 */
export function readMessage(bytes: Buffer, message: Message): Values {
  return new Reader(bytes).message(message, bytes.length);
}

/** The number of a field, its wire type, and its content's place, which may lie behind the bytes there are. */
export interface FieldHeader {
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Reads the header of a length-delimited field; `undefined` when it is not complete yet.
 * @throws WireFault malformed: the field is of another type.
 */
export function readHeader(bytes: Buffer): FieldHeader | undefined {
  // A tag and a length take at most five bytes each.
  let continues = 2;
  for (let index = 0; index < bytes.length && continues > 0; index++) {
    if ((bytes[index] ?? 0) < 0x80) continues--;
  }
  if (continues > 0 && bytes.length < 10) return undefined;
  const reader = new Reader(bytes);
  const tag = reader.int(bytes.length);
  if ((tag & 7) !== LENGTH) throw malformed(`a field has wire type ${tag & 7}`);
  const length = reader.int(bytes.length) >>> 0;
  return { number: tag >>> 3, start: reader.at, end: reader.at + length };
}

/** A place in some bytes. Never reads behind the `end` it is given. */
class Reader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  message(message: Message, end: number): Values {
    const values: Values = {};
    while (this.at < end) {
      const tag = this.int(end);
      const field = message[tag >>> 3];
      if (field === undefined) this.#skip(tag & 7, end);
      else this.#field(field, tag & 7, end, values);
    }
    return values;
  }

  /** A varint, of which the low 32 bits count. */
  int(end: number): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte(end);
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw malformed('a number has more than ten bytes');
  }

  #field(field: Field, wireType: number, end: number, values: Values): void {
    const isNumber = field.kind === 'int' || field.kind === 'bool';
    if (wireType !== (isNumber ? VARINT : LENGTH)) {
      throw malformed(`the field ${field.name} has wire type ${wireType}`);
    }
    if (isNumber) {
      const value = this.int(end);
      if (value === 0 && field.omitEmpty) return;
      values[field.name] = field.kind === 'int' ? value : value !== 0;
      return;
    }
    const limit = this.#limit(end);
    switch (field.kind) {
      case 'string':
        if (limit > this.at || !field.omitEmpty) values[field.name] = this.#text(limit);
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
        if (limit > this.at) values[field.name] = this.#time(limit);
        return;
      case 'bytes':
        values[field.name] = this.#bytes.subarray(this.at, limit);
        this.at = limit;
    }
  }

  #entry(name: string, keys: ReadonlySet<string>, end: number, values: Values): void {
    let key = '';
    let value = '';
    while (this.at < end) {
      const tag = this.int(end);
      if (tag === ((KEY << 3) | LENGTH)) {
        key = this.#text(this.#limit(end));
        if (!keys.has(key)) {
          this.at = end;
          return;
        }
      } else if (tag === ((VALUE << 3) | LENGTH)) value = this.#text(this.#limit(end));
      else this.#skip(tag & 7, end);
    }
    if (keys.has(key)) values[name] = { ...fieldsOf(values[name]), [key]: value };
  }

  #time(end: number): string {
    let seconds = 0;
    while (this.at < end) {
      const tag = this.int(end);
      if (tag === ((SECONDS << 3) | VARINT)) seconds = this.#long(end);
      else this.#skip(tag & 7, end);
    }
    const time = new Date(seconds * 1000);
    if (Number.isNaN(time.getTime())) throw malformed(`${seconds} seconds are no time`);
    return `${time.toISOString().slice(0, -'.000Z'.length)}Z`;
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
    const length = this.int(end) >>> 0;
    const left = end - this.at;
    if (length > left) throw malformed(`a field of ${length} bytes where ${left} are left`);
    return this.at + length;
  }

  #text(end: number): string {
    const bytes = this.#bytes;
    const start = this.at;
    this.at = end;
    if (end - start > SHORT) return bytes.toString('utf8', start, end);
    let text = '';
    for (let index = start; index < end; index++) {
      const byte = bytes[index] ?? 0;
      if (byte >= 0x80) return bytes.toString('utf8', start, end);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  #skip(wireType: number, end: number): void {
    if (wireType === VARINT) this.int(end);
    else if (wireType === LENGTH) this.at = this.#limit(end);
    else if (wireType === FIXED64 || wireType === FIXED32) {
      this.at += wireType === FIXED64 ? 8 : 4;
      if (this.at > end) throw malformed('a field ends too early');
    } else throw malformed(`a field has wire type ${wireType}`);
  }

  #byte(end: number): number {
    const byte = this.at < end ? this.#bytes[this.at] : undefined;
    if (byte === undefined) throw malformed('a field ends too early');
    this.at++;
    return byte;
  }
}

function append(values: Values, name: string, item: unknown): void {
  const list = values[name];
  if (Array.isArray(list)) list.push(item);
  else values[name] = [item];
}

function fieldsOf(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}
