/** Our chains among those of others, as iptables-save tells them and iptables-restore takes them. */
import { CHAIN, type TableRules } from './rules.ts';

/** Rules of a table by chain, each without `-A CHAIN`. */
type Chains = Map<string, string[]>;

/** Tables by name. */
export type SavedTables = ReadonlyMap<string, Chains>;

/** Leads to a chain of ours. */
const LEADS_HERE = new RegExp(`(?:^| )-[jg] ${CHAIN}(?:-[A-Z]+)?(?: |$)`);

/** Reads what iptables-save printed. */
export function parseTables(saved: string): SavedTables {
  const tables = new Map<string, Chains>();
  let chains: Chains = new Map();
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) {
      chains = new Map();
      tables.set(line.slice(1).trim(), chains);
    } else if (line.startsWith(':')) {
      chains.set(line.slice(1, line.indexOf(' ')), []);
    } else if (line.startsWith('-A ')) {
      const end = line.indexOf(' ', 3);
      chains.get(line.slice(3, end))?.push(line.slice(end + 1).trimEnd());
    }
  }
  return tables;
}

/** Only what is ours in a table, as text to compare: chains of ours, and rules of others that lead there. */
export function ourPart(chains: Chains | undefined): string {
  const lines: string[] = [];
  for (const [chain, rules] of chains ?? []) {
    const ours = isOurs(chain) ? rules : rules.filter((rule) => LEADS_HERE.test(rule));
    if (isOurs(chain)) lines.push(`:${chain}`);
    lines.push(...ours.map((rule) => `${chain} ${rule}`));
  }
  return lines.join('\n');
}

/** True when these are the rules, as far as iptables-save tells: it may spell them in another way. */
export function isInForce(rules: TableRules, chains: Chains | undefined): boolean {
  if (chains === undefined) return false;
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

/** Input of iptables-restore that puts these rules in the place of whatever we have in the table. */
export function writeTable(rules: TableRules, chains: Chains | undefined): string {
  const lines = [`*${rules.table}`];
  for (const name of rules.chains.keys()) lines.push(`:${name} - [0:0]`);
  lines.push(...deletedJumps(chains));
  const stale = [...(chains?.keys() ?? [])].filter(
    (name) => isOurs(name) && !rules.chains.has(name),
  );
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
  return `${lines.join('\n')}\nCOMMIT\n`;
}

/** Input of iptables-restore that removes what is ours from all tables; empty when there is nothing. */
export function removeTables(tables: SavedTables): string {
  let input = '';
  for (const [table, chains] of tables) {
    const ours = [...chains.keys()].filter(isOurs);
    const lines = [
      ...deletedJumps(chains),
      ...ours.map((name) => `-F ${name}`),
      ...ours.map((name) => `-X ${name}`),
    ];
    if (lines.length > 0) input += `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
  }
  return input;
}

function deletedJumps(chains: Chains | undefined): readonly string[] {
  return [...(chains ?? [])].flatMap(([chain, found]) =>
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
