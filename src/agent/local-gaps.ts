/** Counts the Service ports that others could serve and this node cannot, because of a Local policy. */
import type { Family } from '../core/ip.ts';
import type { Route, RouteChange } from '../core/route.ts';

/** Numbers of Service ports of one family, by the traffic policy that leaves them without endpoints. */
export interface LocalGapCounts {
  readonly family: Family;
  readonly internal: number;
  readonly external: number;
}

/** Keeps count while Routes change (kube-proxy: `sync_proxy_rules_no_local_endpoints_total`). */
export class LocalGaps {
  readonly #counts = { IPv4: { internal: 0, external: 0 }, IPv6: { internal: 0, external: 0 } };

  /** The counts as they are now. */
  counts(): readonly LocalGapCounts[] {
    const { IPv4, IPv6 } = this.#counts;
    return [
      { family: 'IPv4', ...IPv4 },
      { family: 'IPv6', ...IPv6 },
    ];
  }

  /** Takes changes of Routes. */
  take(changes: readonly RouteChange[]): void {
    for (const { before, after } of changes) {
      if (before !== undefined) this.#add(before, -1);
      if (after !== undefined) this.#add(after, 1);
    }
  }

  #add({ internal, external, externalFromInside, family }: Route, by: number): void {
    const counts = this.#counts[family];
    if (internal.kind === 'drop') counts.internal += by;
    // Only a Local policy for outside traffic tells insiders apart.
    if (externalFromInside !== undefined && external.kind === 'drop') counts.external += by;
  }
}
