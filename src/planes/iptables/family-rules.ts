/**
 * What one family is to have in the kernel, and how it gets from what it has to that. Does no I/O. Chains of Routes are
 * made from the Routes whenever they are needed, and not kept: at 10,000 Services they are tens of megabytes.
 */
import { setImmediate } from 'node:timers/promises';
import type { Route, RouteChange, RouteKey } from '../../core/route.ts';
import { MAX_DRIFT_LINES } from '../report.ts';
import {
  type BaseOptions,
  type ChainRules,
  type Jump,
  firstChains,
  jumps,
  lastChains,
} from './base.ts';
import type { FoundTable } from './found.ts';
import { matchPrefix, prefixChain } from './keys.ts';
import { type RoutePlan, planRoute } from './plan.ts';
import { CHAINS, TABLES, type Table } from './schema.ts';
import {
  EMPTY_TREE,
  type Entry,
  type Tree,
  type TreeNode,
  buildTree,
  changedNodes,
  drop,
  goneSlots,
  nodesOf,
  put,
  rulesOf,
} from './tree.ts';
import type { Writes } from './writes.ts';

interface TreeDefinition {
  readonly table: Table;
  /** Chain of its root. */
  readonly root: string;
  /** In the names of its other chains. */
  readonly letter: string;
  readonly entries: (plan: RoutePlan) => readonly Entry[];
}

const TREES = [
  { table: 'nat', root: CHAINS.frontends, letter: 'S', entries: (plan) => plan.services },
  { table: 'nat', root: CHAINS.hairpin, letter: 'H', entries: (plan) => plan.hairpins },
  { table: 'filter', root: CHAINS.refused, letter: 'R', entries: (plan) => plan.refused },
  { table: 'filter', root: CHAINS.clusterIps, letter: 'C', entries: (plan) => plan.clusterIps },
] as const satisfies readonly TreeDefinition[];

/** A tree, and how many Routes have each of its entries. */
interface CountedTree {
  readonly definition: TreeDefinition;
  readonly counts: Map<string, number>;
  tree: Tree;
}

/** What was found in the kernel, and what is wrong with it. It is found out while `writes` are read. */
export interface Comparison {
  readonly writes: Writes;
  /** A line for each thing that was other than it should be, at most {@link MAX_DRIFT_LINES}. */
  readonly drift: readonly string[];
  /** Chains that are there and have to be written again, by table and name. */
  readonly rewritten: ReadonlySet<string>;
}

/** Routes that are planned before other work gets its turn. */
const PLANNED_AT_ONCE = 64;

/** From opening the plane to opening it again. */
export class FamilyRules {
  readonly base: BaseOptions;
  readonly #routes: Map<RouteKey, Route>;
  readonly #trees: readonly CountedTree[];
  /** How the kernel lists chains that were written and yet look otherwise, by table and name. */
  readonly #spellings = new Map<string, string>();

  private constructor(base: BaseOptions, routes: readonly Route[], trees: readonly CountedTree[]) {
    this.base = base;
    this.#routes = new Map(routes.map((route) => [route.key, route]));
    this.#trees = trees;
  }

  /** Plans these Routes, all of this family. */
  static async of(base: BaseOptions, routes: readonly Route[]): Promise<FamilyRules> {
    const all = TREES.map((definition) => ({
      definition,
      counts: new Map<string, number>(),
      entries: new Map<string, Entry>(),
    }));
    for await (const plan of plansOf(routes, base)) {
      for (const { definition, counts, entries } of all) {
        for (const entry of definition.entries(plan)) {
          counts.set(entry.key, (counts.get(entry.key) ?? 0) + 1);
          entries.set(entry.key, entry);
        }
      }
    }
    const trees = all.map(({ definition, counts, entries }) => ({
      definition,
      counts,
      tree: buildTree(entries.values()),
    }));
    return new FamilyRules(base, routes, trees);
  }

  /** Takes over changes of Routes of this family. Returns what has to be written for them. */
  change(changes: readonly RouteChange[]): Writes {
    const before = this.#trees.map(({ tree }) => tree);
    const plans = changes.map(({ key, after }) => {
      const known = this.#routes.get(key);
      return {
        key,
        after,
        was: known && planRoute(known, this.base),
        is: after && planRoute(after, this.base),
      };
    });
    // All of them first: a frontend may move from one Route to another.
    for (const { key, was, is } of plans) {
      this.#routes.delete(key);
      for (const tree of this.#trees) dropAll(tree, unlike(tree, was, is));
    }
    const chains: ChainRules[] = [];
    const gone: { table: Table; name: string }[] = [];
    for (const { after, was, is } of plans) {
      if (after !== undefined) this.#routes.set(after.key, after);
      for (const tree of this.#trees) putAll(tree, unlike(tree, is, was));
      for (const table of TABLES) {
        for (const [name, rules] of is?.[table] ?? []) {
          if (!isSame(was?.[table].get(name), rules)) chains.push({ table, name, rules });
        }
        for (const name of was?.[table].keys() ?? []) {
          if (is?.[table].has(name) !== true) gone.push({ table, name });
        }
      }
    }
    for (const [index, { definition, tree }] of this.#trees.entries()) {
      const old = before[index] ?? EMPTY_TREE;
      if (old === tree) continue;
      for (const node of changedNodes(old, tree)) chains.push(this.#nodeChain(definition, node));
      for (const slot of goneSlots(old, tree)) {
        gone.push({ table: definition.table, name: this.#nodeName(definition, slot) });
      }
    }
    for (const { table, name } of chains) this.#spellings.delete(`${table} ${name}`);
    return {
      chains: (table) => chains.filter((each) => each.table === table),
      gone: (table) => gone.filter((each) => each.table === table).map(({ name }) => name),
      removedJumps: [],
      addedJumps: [],
    };
  }

  /** Compares the kernel with what it should hold. */
  compare(found: ReadonlyMap<Table, FoundTable>): Comparison {
    const { family } = this.base;
    const drift: string[] = [];
    const note = (table: Table, chain: string, what: string): void => {
      if (drift.length < MAX_DRIFT_LINES) drift.push(`${family} ${table} chain ${chain}: ${what}`);
    };
    const { removed, added } = this.compareJumps(found);
    for (const { table, chain, rule } of added) note(table, chain, `${rule} was missing`);
    for (const { table, chain, rule } of removed) note(table, chain, `${rule} was not ours`);
    const rewritten = new Set<string>();
    const left = new Map<Table, Set<string>>();
    const differs = ({ table, name, rules }: ChainRules, listed?: readonly string[]): void => {
      if (listed !== undefined) rewritten.add(`${table} ${name}`);
      note(table, name, difference(listed, rules));
    };
    const chains = (table: Table): AsyncIterable<ChainRules> => {
      const listed = found.get(table)?.chains ?? new Map<string, readonly string[]>();
      const unknown = new Set(listed.keys());
      left.set(table, unknown);
      return this.#differing(table, listed, unknown, differs);
    };
    const gone = (table: Table): readonly string[] => {
      const names = [...(left.get(table) ?? [])];
      for (const name of names) note(table, name, 'was not ours');
      return names;
    };
    return {
      writes: { chains, gone, removedJumps: removed, addedJumps: added },
      drift,
      rewritten,
    };
  }

  /**
   * To be called when these chains were written just now: what looks otherwise even so is only spelt otherwise, unless
   * others wrote since. Theirs is not to be taken for a spelling: it would stay for good.
   */
  async learn(
    found: ReadonlyMap<Table, FoundTable>,
    rewritten: Comparison['rewritten'],
  ): Promise<void> {
    for (const table of TABLES) {
      for await (const { name, rules } of this.#chainsOf(table)) {
        const key = `${table} ${name}`;
        const listed = found.get(table)?.chains.get(name);
        if (!rewritten.has(key) || listed === undefined || isSame(listed, rules)) continue;
        if (isSame(listed.map(targetOf), rules.map(targetOf))) {
          this.#spellings.set(key, listed.join('\n'));
        }
      }
    }
  }

  /** Which rules that lead to our chains are missing, and which are too many. */
  compareJumps(found: ReadonlyMap<Table, FoundTable>): {
    readonly removed: readonly Jump[];
    readonly added: readonly Jump[];
  } {
    const missing = new Map(jumps(this.base).map((jump) => [jumpKey(jump), jump]));
    const removed: Jump[] = [];
    for (const [table, { jumps: there }] of found) {
      for (const [chain, rules] of there) {
        for (const rule of rules) {
          const jump = { table, chain, rule };
          if (!missing.delete(jumpKey(jump))) removed.push(jump);
        }
      }
    }
    return { removed, added: [...missing.values()] };
  }

  /** Chains that are listed otherwise or not at all. Takes all names of ours from `unknown`. */
  async *#differing(
    table: Table,
    listed: FoundTable['chains'],
    unknown: Set<string>,
    differs: (chain: ChainRules, listed: readonly string[] | undefined) => void,
  ): AsyncIterable<ChainRules> {
    for await (const chain of this.#chainsOf(table)) {
      unknown.delete(chain.name);
      const there = listed.get(chain.name);
      if (isSame(there, chain.rules)) continue;
      const spelling = this.#spellings.get(`${table} ${chain.name}`);
      if (there !== undefined && spelling === there.join('\n')) continue;
      differs(chain, there);
      yield chain;
    }
  }

  /** Every chain of a table, each after those it leads to. */
  async *#chainsOf(table: Table): AsyncIterable<ChainRules> {
    const isHere = (chain: ChainRules): boolean => chain.table === table;
    yield* [...lastChains(this.base)].filter(isHere);
    const routes = [...this.#routes.values()];
    // Only source ranges need chains of their own in the table filter.
    const own =
      table === 'nat'
        ? routes
        : routes.filter(({ allowedSources }) => allowedSources !== undefined);
    for await (const plan of plansOf(own, this.base)) {
      for (const [name, rules] of plan[table]) yield { table, name, rules };
    }
    for (const { definition, tree } of this.#trees) {
      if (definition.table !== table) continue;
      for (const node of nodesOf(tree)) yield this.#nodeChain(definition, node);
    }
    yield* [...firstChains(this.base)].filter(isHere);
  }

  #nodeChain(definition: TreeDefinition, { slot, tree }: TreeNode): ChainRules {
    const { family } = this.base;
    const rules: string[] = [];
    for (const content of rulesOf(tree)) {
      rules.push(
        typeof content === 'string'
          ? `${matchPrefix(family, content)} -g ${this.#nodeName(definition, content)}`
          : content.rule,
      );
    }
    return { table: definition.table, name: this.#nodeName(definition, slot), rules };
  }

  #nodeName({ root, letter }: TreeDefinition, slot: string): string {
    return slot === '' ? root : prefixChain(this.base.family, letter, slot);
  }
}

async function* plansOf(routes: readonly Route[], base: BaseOptions): AsyncIterable<RoutePlan> {
  for (const [index, route] of routes.entries()) {
    if (index % PLANNED_AT_ONCE === 0) await setImmediate();
    yield planRoute(route, base);
  }
}

/** Entries of a plan that another plan does not have. */
function unlike(
  { definition }: CountedTree,
  plan: RoutePlan | undefined,
  other: RoutePlan | undefined,
): readonly Entry[] {
  if (plan === undefined) return [];
  const entries = definition.entries(plan);
  if (other === undefined) return entries;
  const known = new Map(definition.entries(other).map(({ key, rule }) => [key, rule]));
  return entries.filter(({ key, rule }) => known.get(key) !== rule);
}

function putAll(counted: CountedTree, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const count = counted.counts.get(entry.key) ?? 0;
    counted.counts.set(entry.key, count + 1);
    if (count === 0) counted.tree = put(counted.tree, entry);
  }
}

function dropAll(counted: CountedTree, entries: readonly Entry[]): void {
  for (const { key } of entries) {
    const count = (counted.counts.get(key) ?? 0) - 1;
    if (count > 0) {
      counted.counts.set(key, count);
      continue;
    }
    counted.counts.delete(key);
    counted.tree = drop(counted.tree, key);
  }
}

function isSame(one: readonly string[] | undefined, other: readonly string[]): boolean {
  return (
    one !== undefined &&
    one.length === other.length &&
    one.every((rule, index) => rule === other[index])
  );
}

/** `-j DNAT`, without what follows; empty where a rule has none. */
function targetOf(rule: string): string {
  return /^.* (-[jg] \S+)/.exec(` ${rule}`)?.[1] ?? '';
}

function difference(there: readonly string[] | undefined, rules: readonly string[]): string {
  if (there === undefined) return 'was missing';
  const lost = rules.find((rule) => !there.includes(rule));
  if (lost !== undefined) return `${lost} was missing`;
  const extra = there.find((rule) => !rules.includes(rule));
  return extra === undefined ? 'rules were in another order' : `${extra} was not ours`;
}

function jumpKey({ table, chain, rule }: Jump): string {
  return `${table} ${chain} ${rule}`;
}
