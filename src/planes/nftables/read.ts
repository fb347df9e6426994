/**
 * Reads a family's table back from the kernel as plans, the same values that Routes are turned into.
 * Adopting an earlier run, repair and inspection all start here. Anything can be missing or wrong.
 */
import type { Family } from '../../core/ip.ts';
import type { ElementView, NftSocket } from '../../kernel/nftables/socket.ts';
import type { FrontendPlan } from './plan.ts';
import {
  CHAINS,
  DROP,
  type PickKind,
  REFUSE,
  SETS,
  TABLE,
  parseStickySet,
  pickChain,
} from './schema.ts';
import { type Packed, frontendLength, unpackNumber } from './keys.ts';

export interface TableContents {
  /** The table's comment: what layout and rules it was made with. */
  readonly comment: string;
  /** Comments of the rules of every chain, in order. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly sets: ReadonlySet<string>;
  readonly plans: ReadonlyMap<Packed, FrontendPlan>;
  readonly clusterIps: ReadonlySet<Packed>;
  readonly hairpin: ReadonlySet<Packed>;
  /** Values (numbers of slots, REFUSE, DROP) that the pick map sends where they belong. */
  readonly picks: Readonly<Record<PickKind, ReadonlySet<number>>>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Pick = { code: number | undefined; slots: (Packed | undefined)[] };
type PlanDraft = Omit<Mutable<FrontendPlan>, 'outside' | 'inside' | 'sources' | 'stickySeconds'> & {
  outside: Pick;
  inside: Pick;
  sources: { first: Packed; last: Packed }[];
  stickySeconds: number[];
};

/** Reads the table, or returns `undefined` when there is none. */
export function readTable(socket: NftSocket, family: Family): TableContents | undefined {
  const table = socket.tables(family).find(({ name }) => name === TABLE);
  if (table === undefined) return undefined;
  const sets = new Set(socket.sets(family, TABLE).map(({ name }) => name));
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
  return {
    comment: table.comment ?? '',
    chains,
    sets,
    plans: readPlans(family, sets, each),
    clusterIps: keysOf(SETS.clusterIps),
    hairpin: keysOf(SETS.hairpin),
    picks: { outside: picksOf(SETS.pick, 'outside'), inside: picksOf(SETS.pickInside, 'inside') },
  };
}

function readPlans(
  family: Family,
  sets: ReadonlySet<string>,
  each: (set: string, visit: (key: Packed, element: ElementView) => void) => void,
): ReadonlyMap<Packed, FrontendPlan> {
  const length = frontendLength(family);
  const drafts = new Map<Packed, PlanDraft>();
  const draftOf = (key: Packed): PlanDraft => {
    const known = drafts.get(key);
    if (known !== undefined) return known;
    const draft = emptyDraft(key);
    drafts.set(key, draft);
    return draft;
  };
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
  for (const [set, side] of [
    [SETS.endpoints, 'outside'],
    [SETS.insideEndpoints, 'inside'],
  ] as const) {
    each(set, (key, element) => {
      draftOf(key.slice(0, length))[side].slots[unpackNumber(key.slice(length))] = dataOf(element);
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
  for (const set of sets) {
    const seconds = parseStickySet(set);
    if (seconds === undefined) continue;
    each(set, (key) => draftOf(key).stickySeconds.push(seconds));
  }
  return drafts;
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
    stickySeconds: [],
    clusterIp: undefined,
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
