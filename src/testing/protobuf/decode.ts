/** From a protobuf message to the JSON of the API object. */
import { type Json, type JsonObject, parseObject } from '../json.ts';
import { type Field, type Message, integer, text } from './schema.ts';
import { DELIMITED, VARINT } from './writer.ts';

/** One field as it is on the wire: a number, or bytes. */
interface WireField {
  readonly number: number;
  readonly integer: number;
  readonly bytes: Buffer;
}

const NO_BYTES = Buffer.alloc(0);

const INT_OR_STRING: Message = [integer(1, 'type'), integer(2, 'number'), text(3, 'text')];

/**
 * Decodes a message. What Go's `omitempty` leaves out of JSON (empty text, 0 and false where Go has no pointer) is left
 * out; unknown fields are passed over. Throws a RangeError when the bytes are no message.
 */
export function decodeMessage(message: Message, bytes: Buffer): JsonObject {
  const object: Record<string, Json> = {};
  for (const wire of wireFields(bytes)) {
    const field = message.find(({ number }) => number === wire.number);
    if (field === undefined) continue;
    const value = decodeValue(field, wire);
    const known = object[field.name];
    if (field.repeated) {
      const list: readonly Json[] = Array.isArray(known) ? known : [];
      object[field.name] = [...list, value];
    } else if (field.kind === 'textMap' || field.kind === 'quantityMap') {
      object[field.name] = Object.assign({}, known, value);
    } else if (!field.always || (value !== '' && value !== 0 && value !== false)) {
      object[field.name] = value;
    }
  }
  return object;
}

/** The content of the first field with that number; no bytes when there is none. Throws a RangeError as above. */
export function bytesOf(message: Buffer, number: number): Buffer {
  for (const field of wireFields(message)) if (field.number === number) return field.bytes;
  return NO_BYTES;
}

function decodeValue(field: Field, wire: WireField): Json {
  const { bytes } = wire;
  switch (field.kind) {
    case 'text':
      return bytes.toString();
    case 'integer':
      return wire.integer;
    case 'boolean':
      return wire.integer !== 0;
    case 'time':
      return decodeTime(bytes, false);
    case 'microTime':
      return decodeTime(bytes, true);
    case 'fields':
      return parseObject(bytesOf(bytes, 1).toString()) ?? {};
    case 'intOrString': {
      const parts = decodeMessage(INT_OR_STRING, bytes);
      return parts['type'] === 1 ? (parts['text'] ?? '') : (parts['number'] ?? 0);
    }
    case 'textMap':
      return { [bytesOf(bytes, 1).toString()]: bytesOf(bytes, 2).toString() };
    case 'quantityMap':
      return { [bytesOf(bytes, 1).toString()]: bytesOf(bytesOf(bytes, 2), 1).toString() };
    case 'message':
      break;
  }
  return decodeMessage(field.message, bytes);
}

/** `''` for Go's zero time. */
function decodeTime(bytes: Buffer, micro: boolean): string {
  if (bytes.length === 0) return '';
  let seconds = 0;
  let nanos = 0;
  for (const field of wireFields(bytes)) {
    if (field.number === 1) seconds = field.integer;
    if (field.number === 2) nanos = field.integer;
  }
  const date = new Date(seconds * 1000).toISOString().slice(0, 19);
  const fraction = String(Math.floor(nanos / 1000)).padStart(6, '0');
  return micro ? `${date}.${fraction}Z` : `${date}Z`;
}

function* wireFields(bytes: Buffer): Generator<WireField> {
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const digit = bytes[at++];
      if (digit === undefined) throw new RangeError('a protobuf message ends inside of a number');
      value |= BigInt(digit & 0x7f) << shift;
      if (digit < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw new RangeError('a number in a protobuf message has more than ten bytes');
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (wireType === VARINT) {
      yield { number, integer: varint(), bytes: NO_BYTES };
    } else if (wireType === DELIMITED) {
      const size = varint();
      if (size < 0 || at + size > bytes.length) {
        throw new RangeError('a protobuf message ends inside of a field');
      }
      at += size;
      yield { number, integer: 0, bytes: bytes.subarray(at - size, at) };
    } else {
      throw new RangeError(`the Kubernetes API has no fields of wire type ${wireType}`);
    }
  }
}
