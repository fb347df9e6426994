/** From changes of chains to batches for iptables-restore. */
import type { TableBatch } from '../../kernel/iptables/iptables.ts';
import type { ChainRules, Jump } from './base.ts';
import type { Table } from './schema.ts';

/** What is to be written, in this order. */
export interface Writes {
  /** New and changed chains, each after those it leads to. */
  readonly chains: readonly ChainRules[];
  /** Rules of chains that are not ours which are to go, and those that are to come. */
  readonly removedJumps: readonly Jump[];
  readonly addedJumps: readonly Jump[];
  /** Chains that nothing leads to any more. */
  readonly gone: readonly { readonly table: Table; readonly name: string }[];
}

/** Kernel objects that a batch writes. */
interface CountedBatch {
  readonly batch: TableBatch;
  readonly operations: number;
}

/**
 * Batches of at most about so many rules. The table filter comes first: its rules are only for what nat left as it is, so
 * they never stand in the way of a Service that is served, but are there when it no longer is. Where nothing leads to
 * our rules of nat yet, these come first: another plane (ipvs) may serve without nat until then.
 */
export function* batchesOf(writes: Writes, largest: number): Iterable<CountedBatch> {
  const isFirst = writes.addedJumps.some(({ table }) => table === 'nat');
  for (const table of isFirst ? (['nat', 'filter'] as const) : (['filter', 'nat'] as const)) {
    const chains = writes.chains.filter((each) => each.table === table);
    const ending = endLines(writes, table);
    let first = 0;
    while (first < chains.length) {
      let next = first;
      let rules = 0;
      for (; next < chains.length && rules < largest; next++) rules += cost(chains[next]);
      yield batch(table, chains.slice(first, next), next < chains.length ? NOTHING : ending);
      first = next;
    }
    if (chains.length === 0 && ending.operations > 0) yield batch(table, [], ending);
  }
}

interface Ending {
  readonly declared: readonly string[];
  readonly lines: readonly string[];
  readonly operations: number;
}

const NOTHING: Ending = { declared: [], lines: [], operations: 0 };

function batch(table: Table, chains: readonly ChainRules[], ending: Ending): CountedBatch {
  const lines = [
    ...chains.map(({ name }) => `:${name} - [0:0]`),
    ...ending.declared,
    ...chains.flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${rule}`)),
    ...ending.lines,
  ];
  const operations = chains.reduce((sum, chain) => sum + cost(chain), ending.operations);
  return { batch: { table, lines }, operations };
}

function endLines({ removedJumps, addedJumps, gone }: Writes, table: Table): Ending {
  const ours = <T extends { readonly table: Table }>(all: readonly T[]): readonly T[] =>
    all.filter((each) => each.table === table);
  const names = ours(gone).map(({ name }) => name);
  const lines = [
    ...ours(removedJumps).map(({ chain, rule }) => `-D ${chain} ${rule}`),
    // Each goes in front, so that the last one is the first.
    ...ours(addedJumps)
      .map(({ chain, rule }) => `-I ${chain} 1 ${rule}`)
      .toReversed(),
    ...names.map((name) => `-X ${name}`),
  ];
  // This also empties them.
  return { declared: names.map((name) => `:${name} - [0:0]`), lines, operations: lines.length };
}

function cost(chain: ChainRules | undefined): number {
  return 1 + (chain?.rules.length ?? 0);
}
