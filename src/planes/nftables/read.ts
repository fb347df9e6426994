/**
 * Reads a family's table back from the kernel as plans, the same values that Routes are turned into.
 * Adopting an earlier run, repair and inspection all start here. Anything can be missing or wrong.
 */
import { setImmediate } from 'node:timers/promises';
import type { Family } from '../../core/ip.ts';
import { type ElementView, MAX_FIND_KEYS, type NftSocket } from '../../kernel/nftables/socket.ts';
import { type FrontendPlan, NOT_COUNTED } from './plan.ts';
import {
  CHAINS,
  COUNTER_MAPS,
  DROP,
  MAX_SLOTS,
  type PickKind,
  REFUSE,
  SETS,
  TABLE,
  parseStickySet,
  pickChain,
} from './schema.ts';
import { type Packed, bytesOf, frontendLength, packNumber, unpackNumber } from './keys.ts';

const SLOT_MAPS = [
  [SETS.endpoints, 'outside'],
  [SETS.insideEndpoints, 'inside'],
] as const;

/** A table as it was found. */
export interface TableContents {
  /** The table's comment: what layout and rules it was made with. */
  readonly comment: string;
  /** Comments of the rules of every chain, in order. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly sets: ReadonlySet<string>;
  readonly plans: ReadonlyMap<Packed, FrontendPlan>;
  readonly clusterIps: ReadonlySet<Packed>;
  readonly hairpin: ReadonlySet<Packed>;
  /** Names of its counters. */
  readonly counters: readonly string[];
  /** Values (numbers of slots, REFUSE, DROP) that the pick map sends where they belong. */
  readonly picks: Readonly<Record<PickKind, ReadonlySet<number>>>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Pick = { code: number | undefined; slots: (Packed | undefined)[] };
type PlanDraft = Omit<Mutable<FrontendPlan>, 'outside' | 'inside' | 'sources' | 'sticky'> & {
  outside: Pick;
  inside: Pick;
  sources: { first: Packed; last: Packed }[];
  sticky: Map<number, Set<Packed>>;
};

/**
 * Reads the table, or returns `undefined` when there is none. Lets the event loop run in between; whoever
 * writes afterwards does so with the generation from before, and reads again if it is refused.
 */
export async function readTable(
  socket: NftSocket,
  family: Family,
): Promise<TableContents | undefined> {
  const table = socket.tables(family).find(({ name }) => name === TABLE);
  if (table === undefined) return undefined;
  const sets = new Map(socket.sets(family, TABLE).map((set) => [set.name, set.count]));
  const chains = new Map<string, string[]>();
  for (const { name } of socket.chains(family, TABLE)) chains.set(name, []);
  for (const { chain, comment } of socket.rules(family, TABLE))
    chains.get(chain)?.push(comment ?? '');

  const each = (set: string, visit: (key: Packed, element: ElementView) => void): void => {
    if (!sets.has(set)) return;
    socket.eachElement(family, TABLE, set, (element) => {
      visit(keyOf(element), element);
    });
  };
  const keysOf = (set: string): ReadonlySet<Packed> => {
    const keys = new Set<Packed>();
    each(set, (key) => keys.add(key));
    return keys;
  };
  const picksOf = (set: string, kind: PickKind): ReadonlySet<number> => {
    const led = new Set<number>();
    each(set, (key, element) => {
      const verdict = element.verdict();
      const value = unpackNumber(key);
      const chain = verdict?.code === 'goto' ? verdict.chain : undefined;
      const right =
        value === DROP
          ? verdict?.code === 'drop'
          : chain === (value === REFUSE ? CHAINS.refuse : pickChain(kind, value));
      if (right) led.add(value);
    });
    return led;
  };
  const plans = readPlans(family, sets.keys(), each);
  for (const [set, side] of SLOT_MAPS) {
    if (sets.has(set)) await readSlots(socket, family, set, side, sets.get(set), plans);
  }
  return {
    comment: table.comment ?? '',
    chains,
    sets: new Set(sets.keys()),
    plans,
    clusterIps: keysOf(SETS.clusterIps),
    hairpin: keysOf(SETS.hairpin),
    counters: socket
      .counters(family, TABLE)
      .map(({ name }) => name)
      .toArray(),
    picks: { outside: picksOf(SETS.pick, 'outside'), inside: picksOf(SETS.pickInside, 'inside') },
  };
}

function readPlans(
  family: Family,
  sets: Iterable<string>,
  each: (set: string, visit: (key: Packed, element: ElementView) => void) => void,
): Map<Packed, PlanDraft> {
  const length = frontendLength(family);
  const drafts = new Map<Packed, PlanDraft>();
  const draftOf = (key: Packed): PlanDraft => draftIn(drafts, key);
  for (const [set, side] of [
    [SETS.serviceIps, 'outside'],
    [SETS.insideIps, 'inside'],
  ] as const) {
    each(set, (key, element) => {
      const draft = draftOf(key);
      draft[side].code = unpackNumber(dataOf(element));
      if (side === 'outside') draft.label = element.comment() ?? '';
    });
  }
  each(SETS.localIps, (key) => {
    draftOf(key).localPolicy = true;
  });
  each(SETS.masqueradeIps, (key) => {
    draftOf(key).masquerade = true;
  });
  each(SETS.restrictedIps, (key) => {
    draftOf(key).restricted = true;
  });
  each(SETS.allowedSources, (key, { bytes, lastKeyStart, lastKeyEnd }) => {
    const last = lastKeyStart === lastKeyEnd ? key : latin1(bytes, lastKeyStart, lastKeyEnd);
    draftOf(key.slice(0, length)).sources.push({
      first: key.slice(length),
      last: last.slice(length),
    });
  });
  for (const [kind, map] of COUNTER_MAPS) {
    each(map, (key, element) => {
      const draft = draftOf(key);
      draft.counters = { ...draft.counters, [kind]: element.counter() };
    });
  }
  for (const set of sets) {
    const seconds = parseStickySet(set);
    if (seconds === undefined) continue;
    each(set, (key) => {
      const { sticky } = draftOf(key.slice(0, length));
      const endpoints = sticky.get(seconds) ?? new Set();
      sticky.set(seconds, endpoints.add(key.slice(length)));
    });
  }
  return drafts;
}

/**
 * Reads a slot map. How many slots each frontend has is known by now, so they are asked for by key; only if
 * the map holds others, or the kernel does not say how many it holds, is it listed.
 */
async function readSlots(
  socket: NftSocket,
  family: Family,
  set: string,
  side: 'outside' | 'inside',
  count: number | undefined,
  drafts: Map<Packed, PlanDraft>,
): Promise<void> {
  const length = frontendLength(family);
  let found = 0;
  const visit = (element: ElementView): void => {
    const key = keyOf(element);
    const { slots } = draftIn(drafts, key.slice(0, length))[side];
    slots[unpackNumber(key.slice(length))] = dataOf(element);
    found += 1;
  };
  if (count !== undefined) {
    for (const keys of slotKeys(drafts, side)) {
      socket.findElements(family, TABLE, set, keys, visit);
      await setImmediate();
    }
  }
  if (found !== count) socket.eachElement(family, TABLE, set, visit);
}

/** Keys of all slots that the service map speaks of, in portions. */
function* slotKeys(
  drafts: ReadonlyMap<Packed, PlanDraft>,
  side: 'outside' | 'inside',
): Generator<readonly Uint8Array[]> {
  let keys: Uint8Array[] = [];
  for (const { key, [side]: pick } of drafts.values()) {
    const slots = pick.code === undefined || pick.code > MAX_SLOTS ? 0 : pick.code;
    for (let slot = 0; slot < slots; slot++) {
      if (keys.push(bytesOf(key + packNumber(slot))) < MAX_FIND_KEYS) continue;
      yield keys;
      keys = [];
    }
  }
  if (keys.length > 0) yield keys;
}

function draftIn(drafts: Map<Packed, PlanDraft>, key: Packed): PlanDraft {
  const known = drafts.get(key);
  if (known !== undefined) return known;
  const draft = emptyDraft(key);
  drafts.set(key, draft);
  return draft;
}

function emptyDraft(key: Packed): PlanDraft {
  return {
    key,
    label: '',
    outside: { code: undefined, slots: [] },
    inside: { code: undefined, slots: [] },
    localPolicy: false,
    masquerade: false,
    restricted: false,
    sources: [],
    sticky: new Map(),
    clusterIp: undefined,
    counters: NOT_COUNTED,
    localEndpoints: [],
  };
}

/** Key of an element. */
export function keyOf({ bytes, keyStart, keyEnd }: ElementView): Packed {
  return latin1(bytes, keyStart, keyEnd);
}

/** Data of an element; every map we read has some. */
export function dataOf({ bytes, dataStart, dataEnd }: ElementView): Packed {
  return latin1(bytes, dataStart, dataEnd);
}

function latin1(bytes: Buffer, start: number, end: number): Packed {
  return bytes.toString('latin1', start, end);
}
