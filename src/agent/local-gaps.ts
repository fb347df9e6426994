/** Counts the Service ports that others could serve and this node cannot, because of a Local policy. */
import type { Family } from '../core/ip.ts';
import type { Route, RouteChange } from '../core/route.ts';

/** The traffic policy that leaves a Service port without endpoints. */
export type PolicySide = 'internal' | 'external';

/** Numbers of Service ports, by traffic policy and family. */
export type LocalGapCounts = Readonly<Record<PolicySide, Readonly<Record<Family, number>>>>;

/** Keeps count while Routes change (kube-proxy: `sync_proxy_rules_no_local_endpoints_total`). */
export class LocalGaps {
  readonly #counts = {
    internal: { IPv4: 0, IPv6: 0 },
    external: { IPv4: 0, IPv6: 0 },
  } satisfies LocalGapCounts;

  /** The counts as they are now; the object changes with them. */
  get counts(): LocalGapCounts {
    return this.#counts;
  }

  /** Takes changes of Routes. */
  take(changes: readonly RouteChange[]): void {
    for (const { before, after } of changes) {
      if (before !== undefined) this.#add(before, -1);
      if (after !== undefined) this.#add(after, 1);
    }
  }

  #add(route: Route, by: number): void {
    const { internal, external, externalFromInside, family } = route;
    if (internal.kind === 'drop') this.#counts.internal[family] += by;
    // Only a Local policy for outside traffic tells insiders apart.
    if (externalFromInside !== undefined && external.kind === 'drop') {
      this.#counts.external[family] += by;
    }
  }
}
