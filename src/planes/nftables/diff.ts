/**
 * From plans to elements: what has to be added and deleted to get from one plan of a frontend to another.
 * Everything that touches elements (a change, the first load, adopting an earlier run, repair) comes
 * through here.
 */
import { type FrontendPlan, NOT_STICKY, type PickPlan } from './plan.ts';
import { COUNTER_MAPS, type CounterKind, SETS, stickySet } from './schema.ts';
import { type Packed, packNumber } from './keys.ts';

/** Contents of an element besides its key. */
interface ElementContent {
  readonly data?: Packed;
  readonly keyEnd?: Packed;
  readonly comment?: string;
  readonly counter?: string;
}

/** Where element changes go: a batch, or a batch and a list of findings. */
export interface ElementSink {
  add(set: string, key: Packed, content: ElementContent): void;
  delete(set: string, key: Packed, content: ElementContent): void;
}

/** One frontend before and after. */
export interface PlanChange {
  readonly before: FrontendPlan | undefined;
  readonly after: FrontendPlan | undefined;
}

/**
 * Writes all changes, set by set so that neighbouring elements share a message. Within one transaction
 * the order means nothing to packets; a changed element is deleted and added again.
 */
export function writeChanges(changes: readonly PlanChange[], sink: ElementSink): void {
  for (const change of changes) writeSlots(change, 'outside', SETS.endpoints, sink);
  for (const change of changes) writeSlots(change, 'inside', SETS.insideEndpoints, sink);
  for (const change of changes) writeService(change, 'outside', SETS.serviceIps, sink);
  for (const change of changes) writeService(change, 'inside', SETS.insideIps, sink);
  for (const [set, holds] of MEMBERSHIPS) {
    for (const change of changes) writeMembership(change, set, holds, sink);
  }
  for (const change of changes) writeSources(change, sink);
  for (const change of changes) writeSticky(change, sink);
  for (const [kind, map] of COUNTER_MAPS) {
    for (const change of changes) writeCounter(change, kind, map, sink);
  }
}

const MEMBERSHIPS = [
  [SETS.localIps, (plan: FrontendPlan) => plan.localPolicy],
  [SETS.masqueradeIps, (plan: FrontendPlan) => plan.masquerade],
  [SETS.restrictedIps, (plan: FrontendPlan) => plan.restricted],
] as const;

type Side = 'outside' | 'inside';

function writeSlots(
  { before, after }: PlanChange,
  side: Side,
  set: string,
  sink: ElementSink,
): void {
  const plan = after ?? before;
  if (plan === undefined) return;
  const old = before?.[side].slots ?? [];
  const wanted = after?.[side].slots ?? [];
  if (old === wanted) return;
  for (let slot = 0; slot < Math.max(old.length, wanted.length); slot++) {
    const was = old[slot];
    const is = wanted[slot];
    if (was === is) continue;
    const key = plan.key + packNumber(slot);
    if (was !== undefined) sink.delete(set, key, {});
    if (is !== undefined) sink.add(set, key, { data: is });
  }
}

function writeService(
  { before, after }: PlanChange,
  side: Side,
  set: string,
  sink: ElementSink,
): void {
  const old = before?.[side];
  const wanted = after?.[side];
  if (old?.code === wanted?.code && before?.label === after?.label) return;
  if (before !== undefined && old?.code !== undefined) sink.delete(set, before.key, {});
  if (after !== undefined && wanted?.code !== undefined) {
    sink.add(set, after.key, { data: packNumber(wanted.code), comment: after.label });
  }
}

function writeMembership(
  { before, after }: PlanChange,
  set: string,
  holds: (plan: FrontendPlan) => boolean,
  sink: ElementSink,
): void {
  const was = before !== undefined && holds(before);
  const is = after !== undefined && holds(after);
  if (was && !is) sink.delete(set, before.key, {});
  if (is && !was) sink.add(set, after.key, {});
}

function writeSources({ before, after }: PlanChange, sink: ElementSink): void {
  const key = (after ?? before)?.key;
  if (key === undefined) return;
  const old = rangesOf(before);
  const wanted = rangesOf(after);
  for (const [range, [first, last]] of old) {
    if (!wanted.has(range)) {
      sink.delete(SETS.allowedSources, key + first, { keyEnd: key + last });
    }
  }
  for (const [range, [first, last]] of wanted) {
    if (!old.has(range)) sink.add(SETS.allowedSources, key + first, { keyEnd: key + last });
  }
}

const NO_RANGES: ReadonlyMap<Packed, readonly [Packed, Packed]> = new Map();

function rangesOf(plan: FrontendPlan | undefined): ReadonlyMap<Packed, readonly [Packed, Packed]> {
  if (plan === undefined || plan.sources.length === 0) return NO_RANGES;
  return new Map(plan.sources.map(({ first, last }) => [first + last, [first, last]]));
}

function writeSticky({ before, after }: PlanChange, sink: ElementSink): void {
  const key = (after ?? before)?.key;
  if (key === undefined) return;
  for (const [seconds, endpoints] of before?.sticky ?? NOT_STICKY) {
    const wanted = after?.sticky.get(seconds);
    for (const endpoint of endpoints) {
      if (wanted?.has(endpoint) !== true) sink.delete(stickySet(seconds), key + endpoint, {});
    }
  }
  for (const [seconds, endpoints] of after?.sticky ?? NOT_STICKY) {
    const found = before?.sticky.get(seconds);
    for (const endpoint of endpoints) {
      if (found?.has(endpoint) !== true) sink.add(stickySet(seconds), key + endpoint, {});
    }
  }
}

function writeCounter(
  { before, after }: PlanChange,
  kind: CounterKind,
  map: string,
  sink: ElementSink,
): void {
  const old = before?.counters[kind];
  const wanted = after?.counters[kind];
  if (old === wanted) return;
  if (before !== undefined && old !== undefined) sink.delete(map, before.key, {});
  if (after !== undefined && wanted !== undefined) sink.add(map, after.key, { counter: wanted });
}

/** Slots that can no longer be chosen: clients remembered there must be forgotten. */
export function lostEndpoints({ before, after }: PlanChange): ReadonlySet<Packed> {
  const lost = new Set<Packed>();
  if (before === undefined || before.sticky.size === 0) return lost;
  const stays = after !== undefined && after.sticky.size > 0;
  const compare = (old: PickPlan, wanted: PickPlan | undefined): void => {
    const kept = new Set(stays ? wanted?.slots : []);
    for (const slot of old.slots) if (slot !== undefined && !kept.has(slot)) lost.add(slot);
  };
  compare(before.outside, after?.outside);
  compare(before.inside, after?.inside);
  return lost;
}
