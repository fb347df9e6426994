/** From facts to findings. */
import type { Fact, Facts } from './facts/facts.ts';
import type { Finding, Severity } from './rule.ts';
import { RULE_GROUPS } from './rules/rules.ts';

/** A fact that could not be looked at; rules that need it found nothing. */
interface UnknownFact {
  readonly fact: string;
  readonly why: string;
}

/** What the doctor has to say. */
export interface Diagnosis {
  /** The worst first. */
  readonly findings: readonly Finding[];
  readonly unknown: readonly UnknownFact[];
}

const ORDER: readonly Severity[] = ['critical', 'warning', 'notice'];

/** Asks all rules. */
export function diagnose(facts: Facts): Diagnosis {
  const findings = RULE_GROUPS.flatMap(({ rules }) => rules).flatMap(({ seen: look, ...rule }) => {
    const seen = look(facts);
    return seen.length === 0 ? [] : [{ ...rule, seen }];
  });
  return {
    findings: ORDER.flatMap((severity) => findings.filter((one) => one.severity === severity)),
    unknown: Object.entries<Fact<unknown>>({ ...facts }).flatMap(([name, fact]) =>
      fact.known ? [] : [{ fact: name, why: fact.why }],
    ),
  };
}
