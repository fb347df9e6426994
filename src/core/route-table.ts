/** All Routes of the node: what changed when one Service did. */
import { Claims } from './claims.ts';
import { hostPort } from './ip.ts';
import type { ObjectKey } from './model.ts';
import type { Route, RouteChange, RouteKey } from './route.ts';
import { sameRoute } from './same-route.ts';

/** Two Routes ask for the same frontend. `loser` is not served on it as long as `winner` has it. */
export interface Conflict {
  /** `address:port/PROTOCOL`. */
  readonly frontend: string;
  readonly winner: RouteKey;
  readonly loser: RouteKey;
}

interface Known {
  readonly createdAt: string;
  readonly keys: readonly RouteKey[];
}

const UNKNOWN: Known = { createdAt: '', keys: [] };

/**
 * Holds the Routes of every Service and turns each new selection into the changes that have an effect.
 * A frontend that several Services claim is published for one of them only (see {@link Claims}); the
 * others keep their Routes, without it, and get it when its owner goes.
 *
 * The cost of {@link replace} depends on the Service alone, never on how many there are.
 */
export class RouteTable {
  readonly #services = new Map<ObjectKey, Known>();
  /** As selected, before conflicts are settled. */
  readonly #wanted = new Map<RouteKey, Route>();
  /** As data planes know them: the same objects as in `#wanted` except where a conflict was lost. */
  readonly #published = new Map<RouteKey, Route>();
  readonly #claims = new Claims();
  #conflicts: Conflict[] = [];

  /** Number of Services that have Routes. */
  get services(): number {
    return this.#services.size;
  }

  /** Number of published Routes. */
  get size(): number {
    return this.#published.size;
  }

  /** All published Routes, in no particular order. */
  routes(): IterableIterator<Route> {
    return this.#published.values();
  }

  /**
   * Sets the Routes of one Service; an empty list removes it. Returns what changed for data planes, at most
   * one change for each Route, removals first. Changes of other Services are among them when a frontend
   * changed hands: all of the list together is consistent, a part of it may not be.
   *
   * @param createdAt - Creation time of the Service, RFC 3339 in UTC, or `''`; the oldest wins a conflict.
   */
  replace(service: ObjectKey, routes: readonly Route[], createdAt: string): readonly RouteChange[] {
    const known = this.#services.get(service) ?? UNKNOWN;
    const next = new Map(routes.map((route) => [route.key, route]));
    const touched = new Set<RouteKey>([...known.keys, ...next.keys()]);
    // A Service of another age ranks anew on everything it claims.
    const isSameAge = known.createdAt === createdAt;

    // What is released goes to its heir before anything is claimed, so ports may swap frontends.
    for (const key of known.keys) {
      const kept = isSameAge ? next.get(key) : undefined;
      for (const frontend of claimsOnlyOf(this.#wanted.get(key), kept)) {
        const heir = this.#claims.remove(frontend, key);
        if (heir !== undefined) touched.add(heir);
      }
    }
    for (const [key, route] of next) {
      const kept = isSameAge ? this.#wanted.get(key) : undefined;
      for (const frontend of claimsOnlyOf(route, kept)) {
        const contest = this.#claims.add(frontend, { route: key, service, createdAt });
        if (contest === undefined) continue;
        const { winner, loser } = contest;
        touched.add(loser.route);
        this.#conflicts.push({ frontend, winner: winner.route, loser: loser.route });
      }
    }

    for (const key of known.keys) if (!next.has(key)) this.#wanted.delete(key);
    for (const [key, route] of next) {
      const same = this.#wanted.get(key);
      // Keeping the old one of two equal objects lets the new one go, and all that it refers to.
      if (same === undefined || !sameRoute(same, route)) this.#wanted.set(key, route);
    }
    if (next.size === 0) this.#services.delete(service);
    else this.#services.set(service, { createdAt, keys: [...next.keys()] });
    return this.#publish(touched);
  }

  /** The conflicts that arose since the last call, for people to read. */
  takeConflicts(): readonly Conflict[] {
    const conflicts = this.#conflicts;
    this.#conflicts = [];
    return conflicts;
  }

  #publish(keys: Iterable<RouteKey>): readonly RouteChange[] {
    const removals: RouteChange[] = [];
    const others: RouteChange[] = [];
    for (const key of keys) {
      const before = this.#published.get(key);
      const wanted = this.#wanted.get(key);
      const after = wanted === undefined ? undefined : this.#withOwnFrontends(wanted);
      if (after === undefined) {
        this.#published.delete(key);
        if (before !== undefined) removals.push({ key, before, after });
      } else if (before === undefined || !sameRoute(before, after)) {
        this.#published.set(key, after);
        others.push(before === undefined ? { key, before, after } : { key, before, after });
      }
    }
    return [...removals, ...others];
  }

  #withOwnFrontends(route: Route): Route {
    const own = route.frontends.filter(
      (frontend) => this.#claims.owner(claimText(route, frontend)) === route.key,
    );
    return own.length === route.frontends.length ? route : { ...route, frontends: own };
  }
}

/** What `route` claims and `other` does not. */
function claimsOnlyOf(route: Route | undefined, other: Route | undefined): readonly string[] {
  if (route === undefined) return [];
  const claims = route.frontends.map((frontend) => claimText(route, frontend));
  if (other === undefined) return claims;
  const others = new Set(other.frontends.map((frontend) => claimText(other, frontend)));
  return claims.filter((claim) => !others.has(claim));
}

function claimText(route: Route, frontend: Route['frontends'][number]): string {
  return `${hostPort(frontend.address, frontend.port)}/${route.protocol}`;
}
