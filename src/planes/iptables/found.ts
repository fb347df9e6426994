/** What is in the kernel, as `iptables -S` lists it. */
import { isOurs } from './schema.ts';

/** What a table holds of us. */
export interface FoundTable {
  /** Our chains and their rules, without `-A CHAIN`. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Rules of other chains that lead to ours, by chain, in their order. */
  readonly jumps: ReadonlyMap<string, readonly string[]>;
}

const TARGET = / -[jg] (SWY-\S+)/;

/** Reads a listing. */
export function readListing(lines: readonly string[]): FoundTable {
  const chains = new Map<string, string[]>();
  const jumps = new Map<string, string[]>();
  for (const line of lines) {
    const end = line.indexOf(' ', 3);
    if (line.startsWith('-N ')) {
      const name = line.slice(3).trimEnd();
      if (isOurs(name)) chains.set(name, chains.get(name) ?? []);
      continue;
    }
    if (!line.startsWith('-A ') || end < 0) continue;
    const chain = line.slice(3, end);
    const rule = line.slice(end + 1).trimEnd();
    if (isOurs(chain)) {
      append(chains, chain, rule);
      continue;
    }
    const [, target] = TARGET.exec(` ${rule}`) ?? [];
    if (target !== undefined && isOurs(target)) append(jumps, chain, rule);
  }
  return { chains, jumps };
}

function append(lists: Map<string, string[]>, name: string, rule: string): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, [rule]);
  else list.push(rule);
}
