/** What a rule is, and what it finds. */
import type { Facts } from './facts/facts.ts';

/**
 * - `critical`: some traffic fails now, or the proxy cannot start.
 * - `warning`: it will fail in cases that are likely, or it costs without use.
 * - `notice`: something to know before the next change or upgrade.
 */
export type Severity = 'critical' | 'warning' | 'notice';

/** One thing that can be wrong with a node, and all there is to say about it. */
export interface Rule {
  /** Stable, in kebab case. */
  readonly id: string;
  readonly severity: Severity;
  /** What is wrong, in a few words. */
  readonly title: string;
  /** What was seen, one line for each place; empty when all is well or nothing is known. */
  readonly seen: (facts: Facts) => readonly string[];
  /** What follows from it. */
  readonly why: string;
  /** How to see it without the doctor: a command. */
  readonly prove: string;
  readonly fix: string;
  /** Where this is known from. */
  readonly source: string;
  /** When that was last checked: `2026-08`. */
  readonly date: string;
}

/** A rule that found something. */
export interface Finding extends Omit<Rule, 'seen'> {
  /** At least one line. */
  readonly seen: readonly string[];
}
