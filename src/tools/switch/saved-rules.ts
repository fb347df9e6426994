/** Rules of iptables that are taken away, as values, and the lines that put them back between those of others. */
import type { Family } from '../../core/ip.ts';
import type { Variant } from '../../kernel/iptables/variant.ts';
import type { RuleRemoval } from '../cleanup/leftovers.ts';
import type { Chains } from '../cleanup/rule-plan.ts';

/** Rules of one variant and family. */
export interface SavedRules {
  readonly variant: Variant;
  readonly family: Family;
  readonly tables: readonly SavedTable[];
}

/** What is taken from a table. Rules have no `-A CHAIN`. */
export interface SavedTable {
  readonly table: string;
  /** Chains with all their rules. */
  readonly chains: readonly { readonly name: string; readonly rules: readonly string[] }[];
  /** Single rules of chains that stay. */
  readonly places: readonly SavedPlace[];
}

/** A chain that stays, from which some rules are taken. */
interface SavedPlace {
  readonly chain: string;
  /** All its rules; those of others only tell where ours stood, and are never written. */
  readonly rules: readonly string[];
  /** Which of them are taken; from 0, rising. */
  readonly taken: readonly number[];
}

/** What a removal is going to take. */
export function savedRules({ variant, family, batches, found }: RuleRemoval): SavedRules {
  const tables = batches.map(({ table, lines }) =>
    savedTable(table, lines, found.get(table) ?? new Map()),
  );
  return { variant, family, tables };
}

function savedTable(table: string, lines: readonly string[], found: Chains): SavedTable {
  const names = lines.flatMap((line) => /^:(\S+)/.exec(line)?.[1] ?? []);
  const taken = new Map<string, number[]>();
  for (const line of lines) {
    const [, chain, rule] = /^-D (\S+) (.*)$/.exec(line) ?? [];
    if (chain === undefined) continue;
    const indices = taken.get(chain) ?? [];
    // The kernel deletes the first that is the same.
    const index = found.get(chain)?.findIndex((each, at) => each === rule && !indices.includes(at));
    if (index !== undefined && index >= 0) taken.set(chain, [...indices, index]);
  }
  return {
    table,
    chains: names.map((name) => ({ name, rules: found.get(name) ?? [] })),
    places: [...taken].map(([chain, indices]) => ({
      chain,
      rules: found.get(chain) ?? [],
      taken: indices.toSorted((one, other) => one - other),
    })),
  };
}

/**
 * Lines for iptables-restore that put it back. A chain with rules, and a rule that is there, stay as they are. A single
 * rule gets its place behind the nearest of those that stood ahead of it, else in front of the nearest that stood
 * behind it, else at the end.
 *
 * @param now - What is there; empty when the kernel has no such table yet.
 */
export function linesThatRestore({ chains, places }: SavedTable, now: Chains): readonly string[] {
  const missing = chains.filter(
    ({ name, rules }) => !now.has(name) || (now.get(name)?.length === 0 && rules.length > 0),
  );
  return [
    ...missing.map(({ name }) => `:${name} - [0:0]`),
    ...missing.flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${rule}`)),
    ...places.flatMap((place) => {
      const rules = now.get(place.chain) ?? (now.size === 0 ? [] : undefined);
      return rules === undefined ? [] : insertions(place, rules);
    }),
  ];
}

function insertions({ chain, rules, taken }: SavedPlace, now: readonly string[]): string[] {
  const saved = numbered(rules);
  const present = numbered(now);
  const lines: string[] = [];
  for (const index of taken) {
    const key = saved[index];
    if (key === undefined || present.includes(key)) continue;
    const ahead = saved.slice(0, index).findLast((each) => present.includes(each));
    const behind = saved.slice(index + 1).find((each) => present.includes(each));
    let at = present.length;
    if (ahead !== undefined) at = present.indexOf(ahead) + 1;
    else if (behind !== undefined) at = present.indexOf(behind);
    present.splice(at, 0, key);
    lines.push(`-I ${chain} ${at + 1} ${rules[index]}`);
  }
  return lines;
}

/** Tells rules apart that are the same. */
function numbered(rules: readonly string[]): string[] {
  const counts = new Map<string, number>();
  return rules.map((rule) => {
    const count = (counts.get(rule) ?? 0) + 1;
    counts.set(rule, count);
    return `${count} ${rule}`;
  });
}
