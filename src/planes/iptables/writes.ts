/** From changes of chains to batches for iptables-restore. */
import type { TableBatch } from '../../kernel/iptables/iptables.ts';
import type { ChainRules, Jump } from './base.ts';
import type { Table } from './schema.ts';

/** What is to be written. At 10,000 Services that is tens of megabytes, so it is made when it is asked for. */
export interface Writes {
  /** New and changed chains of a table, each after those it leads to. */
  readonly chains: (table: Table) => AsyncIterable<ChainRules> | Iterable<ChainRules>;
  /** Chains of a table that nothing leads to any more. To be asked after {@link Writes.chains} of that table. */
  readonly gone: (table: Table) => readonly string[];
  /** Rules of chains that are not ours which are to go, and those that are to come. */
  readonly removedJumps: readonly Jump[];
  readonly addedJumps: readonly Jump[];
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
export async function* batchesOf(writes: Writes, largest: number): AsyncIterable<CountedBatch> {
  const isFirst = writes.addedJumps.some(({ table }) => table === 'nat');
  for (const table of isFirst ? (['nat', 'filter'] as const) : (['filter', 'nat'] as const)) {
    let chains: ChainRules[] = [];
    let rules = 0;
    for await (const chain of writes.chains(table)) {
      if (rules >= largest) {
        yield batch(table, chains, NOTHING);
        chains = [];
        rules = 0;
      }
      chains.push(chain);
      rules += cost(chain);
    }
    const ending = endLines(writes, table);
    if (chains.length + ending.operations > 0) yield batch(table, chains, ending);
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
  const isHere = (jump: Jump): boolean => jump.table === table;
  const names = gone(table);
  const lines = [
    ...removedJumps.filter(isHere).map(({ chain, rule }) => `-D ${chain} ${rule}`),
    // Each goes in front, so that the last one is the first.
    ...addedJumps
      .filter(isHere)
      .map(({ chain, rule }) => `-I ${chain} 1 ${rule}`)
      .toReversed(),
    ...names.map((name) => `-X ${name}`),
  ];
  // This also empties them.
  return { declared: names.map((name) => `:${name} - [0:0]`), lines, operations: lines.length };
}

function cost({ rules }: ChainRules): number {
  return 1 + rules.length;
}
