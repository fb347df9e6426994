/** How messages of the API are described, one row a field. The same tables serve JSON and protobuf. */
import type { StringPool } from './string-pool.ts';

/** The wanted fields of a message by their number. */
export type Message = readonly (Field | undefined)[];

/** One wanted field: its name in JSON, and how the bytes of protobuf become its value. */
export type Field = { readonly name: string } & (
  | {
      readonly kind: 'string';
      /** The Go field has `omitempty` and is no pointer: JSON does not have it when it is `''`. */
      readonly omitEmpty: boolean;
      /** Many objects have the same text here. */
      readonly shared: boolean;
    }
  /**
   * - `int`, `bool`: `int32` and `bool`. A 0 that JSON leaves out means nothing else where it is there.
   * - `strings`: `repeated string`.
   * - `bytes`: as they are, not copied.
   * - `time`: `metav1.Time`, RFC 3339 in whole seconds.
   */
  | { readonly kind: 'int' | 'bool' | 'strings' | 'bytes' | 'time' }
  /** `map<string, string>`, of which only these keys are wanted. */
  | { readonly kind: 'entries'; readonly keys: ReadonlySet<string> }
  /** A message, or `repeated` ones. */
  | { readonly kind: 'one' | 'many'; readonly message: Message }
);

/** A message as a plain value. */
export type Values = Record<string, unknown>;

/** Puts fields into a table. */
export function message(fields: Readonly<Record<number, Field>>): Message {
  const table: (Field | undefined)[] = [];
  for (const [number, field] of Object.entries(fields)) {
    while (table.length < Number(number)) table.push(undefined);
    table.push(field);
  }
  return table;
}

/** A string that is not in the JSON when it is empty. */
export function text(name: string): Field {
  return { name, kind: 'string', omitEmpty: true, shared: false };
}

/** A string that is in the JSON whenever it is in the message: a pointer, or without `omitempty`. */
export function value(name: string): Field {
  return { name, kind: 'string', omitEmpty: false, shared: false };
}

/** The same field, for a text that many objects have in common. */
export function shared(field: Field): Field {
  return field.kind === 'string' ? { ...field, shared: true } : field;
}

/** An int32. */
export function int(name: string): Field {
  return { name, kind: 'int' };
}

/** A pointer to a bool. */
export function flag(name: string): Field {
  return { name, kind: 'bool' };
}

/** `repeated string`. */
export function strings(name: string): Field {
  return { name, kind: 'strings' };
}

/** Bytes as they are. */
export function bytes(name: string): Field {
  return { name, kind: 'bytes' };
}

/** A message. */
export function one(name: string, inner: Message): Field {
  return { name, kind: 'one', message: inner };
}

/** `repeated` messages. */
export function many(name: string, inner: Message): Field {
  return { name, kind: 'many', message: inner };
}

/** Replaces, in a value that came from JSON, the texts that many objects have in common. */
export function shareTexts(values: unknown, table: Message, pool: StringPool): void {
  if (!isValues(values)) return;
  for (const field of table) {
    if (field?.kind === 'one') shareTexts(values[field.name], field.message, pool);
    else if (field?.kind === 'many') {
      const items = values[field.name];
      if (Array.isArray(items)) for (const item of items) shareTexts(item, field.message, pool);
    } else if (field?.kind === 'string' && field.shared) {
      const known = values[field.name];
      if (typeof known === 'string') values[field.name] = pool.share(known);
    }
  }
}

function isValues(candidate: unknown): candidate is Values {
  return typeof candidate === 'object' && candidate !== null && !Array.isArray(candidate);
}
