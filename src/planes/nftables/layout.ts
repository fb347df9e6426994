/**
 * The fixed part of a family's table, what it is called in the table's comment, and how it is written.
 */
import { createHash } from 'node:crypto';
import type { Family } from '../../core/ip.ts';
import type { PlaneSettings } from '../../core/node.ts';
import type { NftBatch } from '../../kernel/nftables/batch.ts';
import { countChains } from './count-rules.ts';
import type { TableContents } from './read.ts';
import {
  type Chain,
  type Rule,
  addChain,
  addFixedPicks,
  addPickChain,
  addRules,
  pickRules,
  staticChains,
} from './rules.ts';
import {
  CHAINS,
  DROP,
  type PickKind,
  REFUSE,
  SETS,
  TABLE,
  parsePickChain,
  parseStickySet,
  pickChain,
  setDefinitions,
} from './schema.ts';

/** Chains by which new connections come. */
const WAYS_IN = [CHAINS.prerouting, CHAINS.output] as const;

/** How much of the fixed part of a table found in the kernel can stay. */
export type LayoutState = 'absent' | 'foreign layout' | 'foreign rules' | 'ours';

/** The fixed part of one family's table: judged when found, written when missing. */
export class Layout {
  readonly family: Family;
  readonly #settings: PlaneSettings;
  /** The table's comment. A change of sets or hooks needs a new table, so the comment can stay as it is. */
  readonly #comment: string;
  /** Stands in a rule comment and changes with any rule. */
  readonly #mark: string;

  constructor(family: Family, settings: PlaneSettings) {
    this.family = family;
    this.#settings = settings;
    // Those that count are part of it also while they are not wanted: they come and go without a new table.
    const chains = [...staticChains(family, settings, [1], ''), ...countChains(family)];
    const hooks = chains.map(({ name, hook }) => [name, hook]);
    this.#comment = `switchyard layout ${digest([setDefinitions(family), hooks])}`;
    // Rules of pick chains and of affinity timeouts differ in a number only; one of each stands for all.
    this.#mark = `rules ${digest([
      chains,
      pickRules(family, 'outside', 1),
      pickRules(family, 'inside', 1),
    ])}`;
  }

  /** Compares what was read with what we would write. */
  judge(contents: TableContents | undefined): LayoutState {
    if (contents === undefined) return 'absent';
    const complete = setDefinitions(this.family).every(({ name }) => contents.sets.has(name));
    if (!complete || contents.comment !== this.#comment) return 'foreign layout';
    const expected = new Map<string, readonly Rule[]>();
    for (const { name, rules } of this.#chains(stickyTimeouts(contents))) expected.set(name, rules);
    for (const { kind, slots } of pickChainsOf(contents)) {
      if (!contents.picks[kind].has(slots)) return 'foreign rules';
      expected.set(pickChain(kind, slots), pickRules(this.family, kind, slots));
    }
    if (contents.chains.size !== expected.size) return 'foreign rules';
    for (const [name, rules] of expected) {
      const found = contents.chains.get(name);
      const same =
        found?.length === rules.length && rules.every(({ comment }, at) => comment === found[at]);
      if (!same) return 'foreign rules';
    }
    const fixed = Object.values(contents.picks).every((led) => led.has(REFUSE) && led.has(DROP));
    return fixed ? 'ours' : 'foreign rules';
  }

  /** True when a table that was found takes new connections. */
  takesConnections({ chains }: TableContents): boolean {
    return WAYS_IN.some((name) => (chains.get(name)?.length ?? 0) > 0);
  }

  /** Has it take new connections. */
  openWaysIn(batch: NftBatch): void {
    for (const { name, rules } of this.#chains([])) {
      if (isWayIn(name)) addRules(batch, this.family, name, rules);
    }
  }

  /** Writes table, sets and chains where there is no table. It takes no connections yet. */
  create(batch: NftBatch): void {
    batch.addTable(this.family, TABLE, this.#comment);
    for (const set of setDefinitions(this.family)) batch.addSet(this.family, TABLE, set);
    for (const chain of this.#chains([])) addChain(batch, this.family, closed(chain));
    addFixedPicks(batch, this.family);
  }

  /**
   * Writes every rule anew into a table of our layout. Sets and their elements stay; chains and rules that
   * are none of ours go. It takes connections if it did before.
   */
  rewriteRules(batch: NftBatch, contents: TableContents): void {
    const { family } = this;
    const chains = this.#chains(stickyTimeouts(contents));
    const picks = pickChainsOf(contents);
    const keep = new Set([
      ...chains.map(({ name }) => name),
      ...picks.map(({ kind, slots }) => pickChain(kind, slots)),
    ]);
    for (const name of contents.chains.keys()) batch.flushChain(family, TABLE, name);
    batch.flushSet(family, TABLE, SETS.pick);
    batch.flushSet(family, TABLE, SETS.pickInside);
    for (const name of contents.chains.keys()) {
      if (!keep.has(name)) batch.deleteChain(family, TABLE, name);
    }
    const isOpen = this.takesConnections(contents);
    for (const chain of chains) addChain(batch, family, isOpen ? chain : closed(chain));
    for (const { kind, slots } of picks) addPickChain(batch, family, kind, slots);
    addFixedPicks(batch, family);
  }

  /** Replaces the rules that remember clients, after the timeouts in use changed. */
  rewriteRemember(batch: NftBatch, sticky: readonly number[]): void {
    const chain = this.#chains(sticky).find(({ name }) => name === CHAINS.remember);
    if (chain === undefined) return;
    batch.flushChain(this.family, TABLE, chain.name);
    addChain(batch, this.family, chain);
  }

  #chains(sticky: readonly number[]): readonly Chain[] {
    return [
      ...staticChains(this.family, this.#settings, sticky, this.#mark),
      ...(this.#settings.countedPorts > 0 ? countChains(this.family) : []),
    ];
  }
}

function isWayIn(chain: string): boolean {
  return WAYS_IN.some((name) => name === chain);
}

function closed(chain: Chain): Chain {
  return isWayIn(chain.name) ? { ...chain, rules: [] } : chain;
}

function pickChainsOf(contents: TableContents): readonly { kind: PickKind; slots: number }[] {
  return [...contents.chains.keys()].map(parsePickChain).filter((parsed) => parsed !== undefined);
}

/** Affinity timeouts that have a set. */
export function stickyTimeouts(contents: TableContents): readonly number[] {
  return [...contents.sets].map(parseStickySet).filter((seconds) => seconds !== undefined);
}

function digest(value: unknown): string {
  const text = JSON.stringify(value, (_, inner: unknown) =>
    inner instanceof Uint8Array ? Buffer.from(inner).toString('hex') : inner,
  );
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
