/**
 * The plan of one frontend: what the maps and sets of a table hold for one `address . protocol . port`.
 * Plans are made from Routes ({@link planRoute}) or read back from the kernel (read.ts); the difference of
 * two plans is what has to be written (diff.ts).
 */
import { type Cidr, cidrContains } from '../../core/ip.ts';
import type { Endpoint, Frontend, Route, Target } from '../../core/route.ts';
import { type CounterKind, DROP, REFUSE } from './schema.ts';
import { type Packed, packFrontend, packPlainAddress, packRange } from './keys.ts';
import { assignSlots, wantedSlots } from './slots.ts';

/** What one class of traffic to a frontend gets. */
export interface PickPlan {
  /** Value in the service map: number of slots, {@link REFUSE} or {@link DROP}; `undefined`: no such element. */
  readonly code: number | undefined;
  /** Endpoint of each slot. Plans read from a damaged table can have holes. */
  readonly slots: readonly (Packed | undefined)[];
}

/** All that a table holds for one frontend. */
export interface FrontendPlan {
  /** Packed `address . protocol . port`. */
  readonly key: Packed;
  /** Comment of the service element: `namespace/name:port`. */
  readonly label: string;
  readonly outside: PickPlan;
  /** For this node's own traffic under external traffic policy Local; {@link NO_PICK} otherwise. */
  readonly inside: PickPlan;
  /** Is in `local-ips`. */
  readonly localPolicy: boolean;
  readonly masquerade: boolean;
  /** Is in `restricted-ips`. */
  readonly restricted: boolean;
  /** Allowed sources, first and last address. */
  readonly sources: readonly { readonly first: Packed; readonly last: Packed }[];
  /**
   * Session affinity: by timeout in seconds, the endpoints a client may be remembered at. One timeout or
   * none; a damaged table can hold more.
   */
  readonly sticky: ReadonlyMap<number, ReadonlySet<Packed>>;
  /** The address, packed, when it is a cluster IP. */
  readonly clusterIp: Packed | undefined;
  /** Names of the counters it leads to. */
  readonly counters: CounterNames;
  /** Addresses of endpoints on this node, packed. */
  readonly localEndpoints: readonly Packed[];
}

/** Counter of each kind, if any. A damaged table can have some of them. */
export type CounterNames = Readonly<Record<CounterKind, string | undefined>>;

/** No counters. */
export const NOT_COUNTED: CounterNames = { connections: undefined, in: undefined, out: undefined };

/** Nothing programmed. */
const NO_PICK: PickPlan = { code: undefined, slots: [] };

/** No session affinity. */
export const NOT_STICKY: FrontendPlan['sticky'] = new Map();

const NONE: readonly never[] = [];

/** nft 1.0.6 lists longer comments, but does not take them back (NFTNL_UDATA_COMMENT_MAXLEN, libnftnl). */
const MAX_LABEL_LENGTH = 127;

/**
 * Plans of all frontends of a Route. `current` gives what is programmed now, so that slots stay put;
 * `counters` are those of the Route.
 */
export function planRoute(
  route: Route,
  current: (key: Packed) => FrontendPlan | undefined,
  counters: CounterNames,
): readonly FrontendPlan[] {
  const wanted = new Map<readonly Endpoint[], readonly Packed[]>();
  const slotsOf = (endpoints: readonly Endpoint[]): readonly Packed[] => {
    const known = wanted.get(endpoints) ?? wantedSlots(endpoints);
    wanted.set(endpoints, known);
    return known;
  };
  const pick = (target: Target, now: PickPlan | undefined): PickPlan => {
    if (target.kind === 'drop') return { code: DROP, slots: NONE };
    const slots = target.kind === 'reject' ? NONE : slotsOf(target.endpoints);
    if (slots.length === 0) return { code: REFUSE, slots };
    return { code: slots.length, slots: assignSlots(now?.slots ?? NONE, slots) };
  };
  const plan = (frontend: Frontend): FrontendPlan => {
    const key = packFrontend(frontend.address, route.protocol, frontend.port);
    const now = current(key);
    const external = frontend.kind !== 'clusterIP';
    const inside = external ? route.externalFromInside : undefined;
    const target = external ? route.external : route.internal;
    const sources = frontend.kind === 'loadBalancer' ? route.allowedSources : undefined;
    const outside = pick(target, now?.outside);
    const beyond = inside === undefined ? NO_PICK : pick(inside, now?.inside);
    return {
      key,
      label: clip(route.label),
      outside,
      inside: beyond,
      localPolicy: inside !== undefined,
      masquerade: external && route.masqueradeExternal,
      restricted: sources !== undefined,
      sources: sources === undefined ? NONE : disjoint(sources).map(packRange),
      sticky: stickyOf(route.affinitySeconds, outside, beyond),
      clusterIp: external ? undefined : packPlainAddress(frontend.address),
      counters,
      localEndpoints: localEndpoints(target, inside),
    };
  };
  return route.frontends.map(plan);
}

function clip(label: string): string {
  return label.length <= MAX_LABEL_LENGTH ? label : `${label.slice(0, MAX_LABEL_LENGTH - 3)}...`;
}

/** Packed frontends of a Route. */
export function frontendKeys(route: Route): readonly Packed[] {
  return route.frontends.map(({ address, port }) => packFrontend(address, route.protocol, port));
}

function stickyOf(
  seconds: number | undefined,
  ...picks: readonly PickPlan[]
): FrontendPlan['sticky'] {
  if (seconds === undefined) return NOT_STICKY;
  const endpoints = picks.flatMap(({ slots }) => slots.filter((slot) => slot !== undefined));
  return new Map([[seconds, new Set(endpoints)]]);
}

/** Drops ranges inside others: an interval set refuses elements that overlap. */
function disjoint(cidrs: readonly Cidr[]): readonly Cidr[] {
  return cidrs.filter((cidr, index) =>
    cidrs.every((other, position) => {
      if (position === index || !cidrContains(other, cidr.address)) return true;
      // Of two equal ranges the first one stays.
      return other.prefix > cidr.prefix || (other.prefix === cidr.prefix && position > index);
    }),
  );
}

function localEndpoints(...targets: readonly (Target | undefined)[]): readonly Packed[] {
  let addresses: Packed[] | undefined;
  for (const target of targets) {
    if (target?.kind !== 'endpoints') continue;
    for (const { address, local } of target.endpoints) {
      if (local) (addresses ??= []).push(packPlainAddress(address));
    }
  }
  return addresses ?? NONE;
}
