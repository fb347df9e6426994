/**
 * Narrow readers for plain values as JSON and YAML parsers give them. A reader never throws: a value
 * that is missing or `null` is `undefined`, a value of the wrong kind is reported and `undefined` too.
 * Each takes as its last argument what follows from a wrong value (`the port is left out`).
 */
import type { Problem } from './problem.ts';

/** An object of a parser, with unknown contents. */
export type Fields = Readonly<Record<string, unknown>>;

/** An object that is being read: its fields, its place, and where its problems go. */
export interface Cursor {
  readonly fields: Fields;
  /** The object it is in. */
  readonly parent: Cursor | undefined;
  /** Field of the parent that has it, `''` for the root. */
  readonly key: string;
  /** Its number in that field's list; -1 when it is no list. A path is made of these only when it is reported. */
  readonly index: number;
  readonly problems: Problem[];
}

const NO_FIELDS: Fields = {};
/** Longest piece of a wrong string that a message repeats. */
const QUOTE_LENGTH = 60;

/** True for what a parser gives for `{…}`. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reports a problem with one field of the object, or with the object itself (`key` is `''`). */
export function report(cursor: Cursor, key: string, message: string): void {
  cursor.problems.push({ field: join(pathOf(cursor), key), message });
}

/** True when the field is there and not `null`. */
export function has(cursor: Cursor, key: string): boolean {
  return cursor.fields[key] !== undefined && cursor.fields[key] !== null;
}

/** A string. */
export function text(cursor: Cursor, key: string, effect: string): string | undefined {
  const value = cursor.fields[key];
  if (typeof value === 'string') return value;
  if (has(cursor, key)) report(cursor, key, `must be a string, not ${describe(value)}; ${effect}`);
  return undefined;
}

/** A boolean. */
export function flag(cursor: Cursor, key: string, effect: string): boolean | undefined {
  const value = cursor.fields[key];
  if (typeof value === 'boolean') return value;
  if (has(cursor, key)) {
    report(cursor, key, `must be true or false, not ${describe(value)}; ${effect}`);
  }
  return undefined;
}

/** A whole number from `min` to `max`. */
export function integer(
  cursor: Cursor,
  key: string,
  [min, max]: readonly [number, number],
  effect: string,
): number | undefined {
  const value = cursor.fields[key];
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  if (has(cursor, key)) {
    const range = `must be a whole number from ${min} to ${max}`;
    report(cursor, key, `${range}, not ${describe(value)}; ${effect}`);
  }
  return undefined;
}

/** One of some words; `fallback` when the field is missing, `undefined` when it is another word. */
export function oneOf<T extends string>(
  cursor: Cursor,
  key: string,
  words: readonly T[],
  fallback: T,
  effect: string,
): T | undefined {
  if (!has(cursor, key)) return fallback;
  const value = cursor.fields[key];
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) {
    report(cursor, key, `must be ${words.join(' or ')}, not ${describe(value)}; ${effect}`);
  }
  return word;
}

/** An object inside the object; an empty one when it is missing or of the wrong kind. */
export function child(cursor: Cursor, key: string, effect: string): Cursor {
  const value = cursor.fields[key];
  const { problems } = cursor;
  if (isFields(value)) return { fields: value, parent: cursor, key, index: -1, problems };
  if (has(cursor, key)) {
    report(cursor, key, `must be an object, not ${describe(value)}; ${effect}`);
  }
  return { fields: NO_FIELDS, parent: cursor, key, index: -1, problems };
}

/** The items of a list, of whatever kind they are; empty when it is missing or no list. */
export function list(cursor: Cursor, key: string, effect: string): readonly unknown[] {
  const value: unknown = cursor.fields[key];
  if (Array.isArray(value)) return value;
  if (has(cursor, key)) report(cursor, key, `must be a list, not ${describe(value)}; ${effect}`);
  return [];
}

/** The objects in a list. Items of another kind are reported and left out. */
export function items(cursor: Cursor, key: string, effect: string): readonly Cursor[] {
  const cursors: Cursor[] = [];
  list(cursor, key, effect).forEach((fields, index) => {
    if (isFields(fields)) {
      cursors.push({ fields, parent: cursor, key, index, problems: cursor.problems });
    } else {
      report(cursor, at(key, index), `must be an object, not ${describe(fields)}; it is left out`);
    }
  });
  return cursors;
}

/** Name of an item of a list: `ports[1]`. */
export function at(key: string, index: number): string {
  return `${key}[${index}]`;
}

/** Names a wrong value in a message, briefly and without running code of the value. */
export function describe(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > QUOTE_LENGTH ? `${value.slice(0, QUOTE_LENGTH)}…` : value);
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a value of type ${typeof value}`;
}

function pathOf({ parent, key, index }: Cursor): string {
  if (parent === undefined) return key;
  return join(pathOf(parent), index < 0 ? key : at(key, index));
}

function join(path: string, key: string): string {
  if (path === '') return key;
  return key === '' ? path : `${path}.${key}`;
}
