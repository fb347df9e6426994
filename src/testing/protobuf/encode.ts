/** From the JSON of an API object to its protobuf message, byte for byte as the API server writes it. */
import { type Json, type JsonObject, isObject } from '../json.ts';
import type { Field, Message } from './schema.ts';
import { BackwardWriter } from './writer.ts';

// One for all messages: growing it is what costs.
const shared = new BackwardWriter();

/** Encodes an object. Fields the message does not have, and values of the wrong type, are left out. */
export function encodeMessage(message: Message, object: JsonObject): Buffer {
  writeMessage(shared, message, object);
  return shared.take();
}

function writeMessage(writer: BackwardWriter, message: Message, object: JsonObject): void {
  for (let index = message.length - 1; index >= 0; index--) {
    const field = message[index];
    if (field === undefined) continue;
    const value = object[field.name];
    if (field.repeated) {
      if (!Array.isArray(value)) continue;
      const entries: readonly Json[] = value;
      for (let entry = entries.length - 1; entry >= 0; entry--)
        writeValue(writer, field, entries[entry]);
    } else if (field.always || (value !== undefined && value !== null)) {
      writeValue(writer, field, value);
    }
  }
}

function writeValue(writer: BackwardWriter, field: Field, value: Json | undefined): void {
  const before = writer.length;
  switch (field.kind) {
    case 'text':
      writer.text(field.number, typeof value === 'string' ? value : '');
      return;
    case 'integer':
      writer.integer(field.number, typeof value === 'number' ? value : 0);
      return;
    case 'boolean':
      writer.integer(field.number, value === true ? 1 : 0);
      return;
    case 'time':
    case 'microTime':
      writeTime(writer, value, field.kind === 'microTime');
      break;
    case 'fields':
      writer.bytes(1, Buffer.from(JSON.stringify(value)));
      break;
    case 'intOrString':
      writer.text(3, typeof value === 'string' ? value : '');
      writer.integer(2, typeof value === 'number' ? value : 0);
      writer.integer(1, typeof value === 'string' ? 1 : 0);
      break;
    case 'message':
      writeMessage(writer, field.message, isObject(value) ? value : {});
      break;
    case 'textMap':
    case 'quantityMap':
      if (isObject(value)) writeMap(writer, field, value);
      return;
  }
  writer.enclose(field.number, before);
}

function writeMap(writer: BackwardWriter, field: Field, map: JsonObject): void {
  for (const key of Object.keys(map).toSorted().toReversed()) {
    const value = map[key];
    const before = writer.length;
    if (field.kind === 'quantityMap') {
      writer.text(1, typeof value === 'string' ? value : '');
      writer.enclose(2, before);
    } else {
      writer.text(2, typeof value === 'string' ? value : '');
    }
    writer.text(1, key);
    writer.enclose(field.number, before);
  }
}

/** Writes nothing for a time that is missing: Go's zero time is an empty message. */
function writeTime(writer: BackwardWriter, value: Json | undefined, micro: boolean): void {
  const milliseconds = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (typeof value !== 'string' || Number.isNaN(milliseconds)) return;
  const fraction = /\.(\d{1,6})/.exec(value)?.[1] ?? '';
  writer.integer(2, micro ? Number(fraction.padEnd(6, '0')) * 1000 : 0);
  writer.integer(1, Math.floor(milliseconds / 1000));
}
