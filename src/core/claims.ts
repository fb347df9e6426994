/**
 * Who owns a frontend. Two Services may ask for the same address, protocol and port (an external IP or a
 * node port given twice, even a cluster IP), but the kernel can send a connection to only one of them.
 */
import type { ObjectKey } from './model.ts';
import type { RouteKey } from './route.ts';

/** A Route that asks for frontends. */
export interface Claimant {
  readonly route: RouteKey;
  readonly service: ObjectKey;
  /** Creation time of the Service, RFC 3339 in UTC, or `''`. */
  readonly createdAt: string;
}

/** Two claimants of one frontend, of which only `winner` is served on it. */
export interface Contest {
  readonly winner: Claimant;
  readonly loser: Claimant;
}

/**
 * All claims, by frontend (`address:port/PROTOCOL`). The oldest Service owns a frontend, one without a
 * creation time last; between equals the smaller key. So the owner does not depend on the order of claims.
 */
export class Claims {
  /** Owner first. A list is never empty. */
  readonly #claimants = new Map<string, Claimant[]>();

  /** The Route that is served on a frontend. */
  owner(frontend: string): RouteKey | undefined {
    return this.#claimants.get(frontend)?.[0]?.route;
  }

  /** Adds a claim. Returns the contest when it is lost, or takes the frontend from an owner. */
  add(frontend: string, claimant: Claimant): Contest | undefined {
    const claimants = this.#claimants.get(frontend);
    const owner = claimants?.[0];
    if (claimants === undefined || owner === undefined) {
      this.#claimants.set(frontend, [claimant]);
      return undefined;
    }
    const rank = claimants.findIndex((other) => precedes(claimant, other));
    claimants.splice(rank < 0 ? claimants.length : rank, 0, claimant);
    return rank === 0 ? { winner: claimant, loser: owner } : { winner: owner, loser: claimant };
  }

  /** Takes a claim back. Returns the Route that owns the frontend from now on, if that changes. */
  remove(frontend: string, route: RouteKey): RouteKey | undefined {
    const claimants = this.#claimants.get(frontend) ?? [];
    const rank = claimants.findIndex((other) => other.route === route);
    if (rank >= 0) claimants.splice(rank, 1);
    if (claimants.length === 0) this.#claimants.delete(frontend);
    return rank === 0 ? claimants[0]?.route : undefined;
  }
}

function precedes(a: Claimant, b: Claimant): boolean {
  if (a.createdAt !== b.createdAt) {
    return a.createdAt !== '' && (b.createdAt === '' || a.createdAt < b.createdAt);
  }
  return a.service === b.service ? a.route < b.route : a.service < b.service;
}
