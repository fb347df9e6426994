/** Our chains among those of others: reads them from a listing of iptables, and makes what changes them. */
import type { TableBatch } from '../../kernel/iptables/iptables.ts';
import { CHAIN, type TableRules } from './rules.ts';

/** Rules of a table by chain, each without `-A CHAIN`. */
export type Chains = ReadonlyMap<string, readonly string[]>;

/** Leads to a chain of ours. */
const LEADS_HERE = new RegExp(`(?:^| )-[jg] ${CHAIN}(?:-[A-Z]+)?(?: |$)`);

/** Sorts what {@link Iptables.list} told of a table. */
export function parseChains(listed: readonly string[]): Chains {
  const chains = new Map<string, string[]>();
  for (const line of listed) {
    const [kind = '', chain = ''] = line.split(' ', 2);
    if (kind === '-A')
      chains.get(chain)?.push(line.slice(kind.length + chain.length + 2).trimEnd());
    else chains.set(chain, []);
  }
  return chains;
}

/** Only what is ours in a table, as text to compare: chains of ours, and rules of others that lead there. */
export function ourPart(chains: Chains): string {
  const lines: string[] = [];
  for (const [chain, rules] of chains) {
    const ours = isOurs(chain) ? rules : rules.filter((rule) => LEADS_HERE.test(rule));
    if (isOurs(chain)) lines.push(`:${chain}`);
    lines.push(...ours.map((rule) => `${chain} ${rule}`));
  }
  return lines.join('\n');
}

/** True when these are the rules, as far as can be told: iptables may spell them in another way. */
export function isInForce(rules: TableRules, chains: Chains): boolean {
  const names = [...chains.keys()].filter(isOurs);
  const jumps = [...chains].flatMap(([chain, found]) =>
    isOurs(chain) ? [] : found.filter((rule) => LEADS_HERE.test(rule)).map(() => chain),
  );
  return (
    names.length === rules.chains.size &&
    names.every((name) => chains.get(name)?.length === rules.chains.get(name)?.length) &&
    chains.get(CHAIN)?.[0]?.includes(commentOf(rules)) === true &&
    jumps.length === rules.jumps.size &&
    jumps.every((chain) => rules.jumps.has(chain))
  );
}

/** Puts these rules in the place of whatever we have in the table. */
export function writeTable(rules: TableRules, chains: Chains): TableBatch {
  const lines = [...rules.chains.keys()].map((name) => `:${name} - [0:0]`);
  lines.push(...deletedJumps(chains));
  const stale = [...chains.keys()].filter((name) => isOurs(name) && !rules.chains.has(name));
  for (const name of stale) lines.push(`-F ${name}`);
  let comment = ` -m comment --comment "${commentOf(rules)}"`;
  for (const [name, list] of rules.chains) {
    for (const rule of list) {
      lines.push(`-A ${name}${comment} ${rule}`);
      comment = '';
    }
  }
  for (const name of stale) lines.push(`-X ${name}`);
  for (const [chain, rule] of rules.jumps) lines.push(`-I ${chain} 1 ${rule}`);
  return { table: rules.table, lines };
}

/** Removes what is ours from a table; nothing when there is nothing. */
export function removeFromTable(table: string, chains: Chains): readonly TableBatch[] {
  const ours = [...chains.keys()].filter(isOurs);
  const lines = [
    ...deletedJumps(chains),
    ...ours.map((name) => `-F ${name}`),
    ...ours.map((name) => `-X ${name}`),
  ];
  return lines.length === 0 ? [] : [{ table, lines }];
}

function deletedJumps(chains: Chains): readonly string[] {
  return [...chains].flatMap(([chain, found]) =>
    isOurs(chain)
      ? []
      : found.filter((rule) => LEADS_HERE.test(rule)).map((rule) => `-D ${chain} ${rule}`),
  );
}

function isOurs(chain: string): boolean {
  return chain === CHAIN || chain.startsWith(`${CHAIN}-`);
}

function commentOf({ digest }: TableRules): string {
  return `switchyard ${digest}`;
}
