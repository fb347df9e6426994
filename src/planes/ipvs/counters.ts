/**
 * Traffic of Service ports. IPVS counts for each virtual server anyway; here the virtual servers of a Route are
 * added up, and those that went meanwhile stay in the sum.
 */
import { splitKey } from '../../core/model.ts';
import type { Route, RouteChange, RouteKey } from '../../core/route.ts';
import {
  type ServerStats,
  type VirtualServerInfo,
  describeVirtual,
} from '../../kernel/ipvs/servers.ts';
import type { ServiceCounters } from '../plane.ts';
import type { RoutePlan } from './plan.ts';

type Counts = Pick<
  ServiceCounters,
  'connections' | 'packetsIn' | 'packetsOut' | 'bytesIn' | 'bytesOut'
>;

const NOTHING: Counts = { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 };

/** Sums of the Service ports that came first, as many as there are places for. */
export class TrafficCounters {
  readonly #places: number;
  /** Routes of each Service port, the ports in the order in which they came. */
  readonly #ports = new Map<string, Set<RouteKey>>();
  readonly #sums = new Map<RouteKey, Counts>();
  /** What each virtual server of a Route had counted when it was read last. */
  readonly #last = new Map<RouteKey, ReadonlyMap<string, Counts>>();

  constructor(places: number) {
    this.#places = places;
  }

  /** False when no port is to be counted. */
  get isCounting(): boolean {
    return this.#places > 0;
  }

  /** Starts with these Routes. */
  start(routes: readonly Route[]): void {
    for (const route of routes) this.#join(route);
  }

  /** Follows changes of Routes. */
  follow(changes: readonly RouteChange[]): void {
    // Who comes first: a port that loses one family and gets the other was there all the time.
    for (const { after } of changes) if (after !== undefined) this.#join(after);
    for (const { before, after } of changes) {
      if (before !== undefined && after === undefined) this.#leave(before);
    }
  }

  /** What the counted ports have come to, by what the kernel says now. */
  read(
    found: readonly VirtualServerInfo[],
    plans: ReadonlyMap<RouteKey, RoutePlan>,
  ): readonly ServiceCounters[] {
    const stats = new Map(found.map(({ name, stats: each }) => [describeVirtual(name), each]));
    const told: ServiceCounters[] = [];
    for (const routes of [...this.#ports.values()].slice(0, this.#places)) {
      for (const key of routes) {
        const plan = plans.get(key);
        if (plan !== undefined) told.push({ ...identity(plan.route), ...this.#sum(plan, stats) });
      }
    }
    return told;
  }

  #sum({ route, servers }: RoutePlan, stats: ReadonlyMap<string, ServerStats>): Counts {
    const before = this.#last.get(route.key);
    const last = new Map<string, Counts>();
    let sum = this.#sums.get(route.key) ?? NOTHING;
    for (const key of servers.keys()) {
      const now = countsOf(stats.get(key));
      sum = added(sum, grown(before?.get(key) ?? NOTHING, now));
      last.set(key, now);
    }
    this.#sums.set(route.key, sum);
    this.#last.set(route.key, last);
    return sum;
  }

  #join(route: Route): void {
    if (!this.isCounting) return;
    const port = portOf(route);
    const routes = this.#ports.get(port) ?? new Set();
    this.#ports.set(port, routes.add(route.key));
  }

  #leave(route: Route): void {
    const port = portOf(route);
    const routes = this.#ports.get(port);
    routes?.delete(route.key);
    if (routes?.size === 0) this.#ports.delete(port);
    this.#sums.delete(route.key);
    this.#last.delete(route.key);
  }
}

/** The Service port of a Route, both families in one. */
function portOf({ key, family }: Route): string {
  return key.slice(0, -family.length);
}

function identity({ key, service, protocol, family }: Route) {
  const [port = ''] = key.slice(service.length + 1).split('/', 1);
  return { ...splitKey(service), port, protocol, family };
}

function countsOf(stats: ServerStats | undefined): Counts {
  if (stats === undefined) return NOTHING;
  const { connections, inPackets, outPackets, inBytes, outBytes } = stats;
  return {
    connections,
    packetsIn: inPackets,
    packetsOut: outPackets,
    bytesIn: inBytes,
    bytesOut: outBytes,
  };
}

/** How much was counted between two readings; a virtual server that was made again starts at 0. */
function grown(before: Counts, now: Counts): Counts {
  const isNew = now.connections < before.connections || now.packetsIn < before.packetsIn;
  return isNew ? now : combined(now, before, (one, other) => one - other);
}

function added(one: Counts, other: Counts): Counts {
  return combined(one, other, (left, right) => left + right);
}

function combined(
  one: Counts,
  other: Counts,
  combine: (left: number, right: number) => number,
): Counts {
  return {
    connections: combine(one.connections, other.connections),
    packetsIn: combine(one.packetsIn, other.packetsIn),
    packetsOut: combine(one.packetsOut, other.packetsOut),
    bytesIn: combine(one.bytesIn, other.bytesIn),
    bytesOut: combine(one.bytesOut, other.bytesOut),
  };
}
