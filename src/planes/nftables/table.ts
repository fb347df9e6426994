/**
 * One family's table: what we programmed (plans of all frontends and what follows from them), and the
 * operations that take the kernel from one state to the next. Writing is split from deciding: methods
 * fill a batch, the plane commits it.
 */
import type { Family } from '../../core/ip.ts';
import type { Route } from '../../core/route.ts';
import type { NftBatch } from '../../kernel/nftables/batch.ts';
import { type ElementSink, type PlanChange, lostEndpoints, writeChanges } from './diff.ts';
import type { CountedPorts } from './counted-ports.ts';
import { CounterObjects } from './counter-objects.ts';
import { type FrontendPlan, planRoute } from './plan.ts';
import { type Layout, stickyTimeouts } from './layout.ts';
import type { TableContents } from './read.ts';
import { addPickChain, deletePickChain } from './rules.ts';
import {
  DROP,
  type PickKind,
  REFUSE,
  SETS,
  TABLE,
  parsePickChain,
  stickySet,
  stickySetDefinition,
} from './schema.ts';
import type { Packed } from './keys.ts';
import { SharedSet } from './shared-set.ts';

/** Up to this many slots a pick chain is kept when nobody needs it any more. */
const KEEP_PICKS = 64;

const PICK_KINDS: readonly PickKind[] = ['outside', 'inside'];

/** Remembered clients to forget: by frontend, the endpoints that are gone. */
export type Forgotten = Map<Packed, Set<Packed>>;

/** What one family's table should hold, and how to get it there. */
export class FamilyTable {
  readonly family: Family;
  readonly layout: Layout;
  readonly #countedPorts: CountedPorts;
  readonly #counters: CounterObjects;
  readonly #plans = new Map<Packed, FrontendPlan>();
  readonly #clusterIps = new SharedSet(SETS.clusterIps);
  readonly #hairpin = new SharedSet(SETS.hairpin);
  readonly #picks: Record<PickKind, Set<number>> = { outside: new Set(), inside: new Set() };
  /** Affinity timeouts that have a set in the kernel. */
  #sticky = new Set<number>();
  /** How many frontends have each affinity timeout. */
  readonly #stickyUsers = new Map<number, number>();

  constructor(layout: Layout, countedPorts: CountedPorts) {
    this.family = layout.family;
    this.layout = layout;
    this.#countedPorts = countedPorts;
    this.#counters = new CounterObjects(layout.family);
  }

  get plans(): ReadonlyMap<Packed, FrontendPlan> {
    return this.#plans;
  }

  /** Plans of a Route as things are. */
  plan(
    route: Route,
    current = (key: Packed): FrontendPlan | undefined => this.#plans.get(key),
  ): readonly FrontendPlan[] {
    return planRoute(route, current, this.#countedPorts.countersOf(route));
  }

  /** Records which pick chains, affinity timeouts and counters the kernel has, once its layout is in order. */
  adopt(contents: TableContents | undefined): void {
    for (const kind of PICK_KINDS) this.#picks[kind] = new Set([REFUSE, DROP]);
    for (const name of contents?.chains.keys() ?? []) {
      const parsed = parsePickChain(name);
      if (parsed !== undefined) this.#picks[parsed.kind].add(parsed.slots);
    }
    this.#sticky = new Set(contents === undefined ? [] : stickyTimeouts(contents));
    this.#counters.adopt(contents?.counters ?? []);
  }

  /**
   * What takes the kernel from `found` to the plans of these Routes, or else to those we hold, portion by
   * portion; frontends that should not be there come last. The plans become ours as the portions are taken.
   */
  *differences(
    found: ReadonlyMap<Packed, FrontendPlan>,
    routes: readonly Route[] | undefined,
  ): Generator<readonly PlanChange[]> {
    const surplus = new Set(found.keys());
    const toChange = (after: FrontendPlan): PlanChange => {
      surplus.delete(after.key);
      return { before: found.get(after.key), after };
    };
    if (routes === undefined) {
      for (const plans of portions([...this.#plans.values()])) yield plans.map(toChange);
    } else {
      this.#forgetPlans();
      for (const portion of portions(routes.filter(({ family }) => family === this.family))) {
        const plans = portion.flatMap((route) => this.plan(route, (key) => found.get(key)));
        for (const plan of plans) {
          this.#share(plan, 'retain');
          this.#plans.set(plan.key, plan);
        }
        yield plans.map(toChange);
      }
    }
    for (const keys of portions([...surplus])) {
      yield keys.map((key) => ({ before: found.get(key), after: undefined }));
    }
  }

  /** Replaces plans and returns the changes to write. An absent plan means the frontend is gone. */
  replace(plans: ReadonlyMap<Packed, FrontendPlan | undefined>): readonly PlanChange[] {
    const changes: PlanChange[] = [];
    for (const [key, after] of plans) {
      const before = this.#plans.get(key);
      if (before !== undefined) this.#share(before, 'release');
      if (after === undefined) this.#plans.delete(key);
      else {
        this.#share(after, 'retain');
        this.#plans.set(key, after);
      }
      if (before !== undefined || after !== undefined) changes.push({ before, after });
    }
    return changes;
  }

  /**
   * Adds the pick chains that these changes need. Where packets come by, it is to be committed before {@link write}: one that
   * is on its way then meets rules of before, and a chain that comes with the element that leads there would be empty for
   * it. Returns whether there are any.
   */
  addPicks(batch: NftBatch, changes: readonly PlanChange[]): boolean {
    let isAny = false;
    for (const { after } of changes) {
      for (const kind of PICK_KINDS) {
        const slots = after?.[kind].code;
        if (slots === undefined || this.#picks[kind].has(slots)) continue;
        addPickChain(batch, this.family, kind, slots);
        this.#picks[kind].add(slots);
        isAny = true;
      }
    }
    return isAny;
  }

  /** Adds the sets and counters that these changes need, then their elements. */
  write(batch: NftBatch, changes: readonly PlanChange[], sink: ElementSink): void {
    for (const { after } of changes) {
      if (after === undefined) continue;
      for (const seconds of after.sticky.keys()) this.#needSticky(batch, seconds);
      this.#counters.add(batch, after.counters);
    }
    writeChanges(changes, sink);
  }

  /** Writes the shared sets after changes of plans. */
  writeShared(sink: ElementSink): void {
    this.#clusterIps.write(sink);
    this.#hairpin.write(sink);
  }

  /** Writes the difference of the shared sets to what was found. */
  reconcileShared(
    found: { readonly clusterIps: ReadonlySet<Packed>; readonly hairpin: ReadonlySet<Packed> },
    sink: ElementSink,
  ): void {
    this.#clusterIps.reconcile(found.clusterIps, sink);
    this.#hairpin.reconcile(found.hairpin, sink);
  }

  /** Removes the affinity timeouts that no frontend has any more, behind the elements of the last ones. */
  dropUnusedSticky(batch: NftBatch): void {
    const unused = [...this.#sticky].filter((seconds) => !this.#stickyUsers.has(seconds));
    if (unused.length === 0) return;
    for (const seconds of unused) this.#sticky.delete(seconds);
    this.layout.rewriteRemember(batch, [...this.#sticky]);
    for (const seconds of unused) batch.deleteSet(this.family, TABLE, stickySet(seconds));
  }

  /** Removes the counters that no frontend leads to any more, behind the last elements, and names them. */
  dropUnusedCounters(batch: NftBatch): readonly string[] {
    return this.#counters.dropUnused(batch);
  }

  /** Removes large pick chains that no frontend uses any more. */
  dropUnusedPicks(batch: NftBatch): void {
    const used: Record<PickKind, Set<number>> = { outside: new Set(), inside: new Set() };
    for (const plan of this.#plans.values()) {
      for (const kind of PICK_KINDS) used[kind].add(plan[kind].code ?? REFUSE);
    }
    for (const kind of PICK_KINDS) {
      for (const slots of this.#picks[kind]) {
        if (slots <= KEEP_PICKS || slots === DROP || used[kind].has(slots)) continue;
        deletePickChain(batch, this.family, kind, slots);
        this.#picks[kind].delete(slots);
      }
    }
  }

  /** True when a client may be remembered at this endpoint of this frontend. */
  mayRemember(frontend: Packed, endpoint: Packed): boolean {
    const plan = this.#plans.get(frontend);
    if (plan === undefined || plan.sticky.size === 0) return false;
    return plan.outside.slots.includes(endpoint) || plan.inside.slots.includes(endpoint);
  }

  #forgetPlans(): void {
    for (const plan of this.#plans.values()) this.#share(plan, 'release');
    this.#plans.clear();
  }

  #needSticky(batch: NftBatch, seconds: number): void {
    if (this.#sticky.has(seconds)) return;
    this.#sticky.add(seconds);
    batch.addSet(this.family, TABLE, stickySetDefinition(this.family, seconds));
    this.layout.rewriteRemember(batch, [...this.#sticky]);
  }

  #share(plan: FrontendPlan, use: 'retain' | 'release'): void {
    if (plan.clusterIp !== undefined) this.#clusterIps[use](plan.clusterIp);
    for (const address of plan.localEndpoints) this.#hairpin[use](address + address);
    this.#counters[use](plan.counters);
    for (const seconds of plan.sticky.keys()) {
      const users = (this.#stickyUsers.get(seconds) ?? 0) + (use === 'retain' ? 1 : -1);
      if (users === 0) this.#stickyUsers.delete(seconds);
      else this.#stickyUsers.set(seconds, users);
    }
  }
}

/** Frontends looked at in one turn of the event loop: about 1 ms. */
const PORTION = 100;

/** Cuts a list into portions. */
export function* portions<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += PORTION) yield items.slice(at, at + PORTION);
}

/** Adds what these changes make clients forget. */
export function collectForgotten(changes: readonly PlanChange[], into: Forgotten): void {
  for (const change of changes) {
    const lost = lostEndpoints(change);
    const key = change.before?.key;
    if (key === undefined || lost.size === 0) continue;
    const known = into.get(key);
    if (known === undefined) into.set(key, new Set(lost));
    else for (const endpoint of lost) known.add(endpoint);
  }
}
