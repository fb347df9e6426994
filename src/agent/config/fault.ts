/** What is wrong with settings. All faults are collected before they are reported. */
import type { Key } from './options.ts';

/** Settings that came from somewhere, before their rules are checked. */
export interface Fault {
  /** The settings it is about. */
  readonly keys: readonly Key[];
  /** Names the flag or field, what is wrong, and what is allowed. */
  readonly message: string;
}

/** Longer values are cut in messages. */
const MAX_SHOWN = 60;

/** `name must be expected, not value`. */
export function mustBe(name: string, expected: string, value: unknown): string {
  const json = JSON.stringify(value);
  const shown = json.length > MAX_SHOWN ? `${json.slice(0, MAX_SHOWN)}…` : json;
  return `${name} must be ${expected}, not ${shown}`;
}
