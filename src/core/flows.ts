/**
 * Stale UDP flows. The kernel keeps sending the packets of a UDP flow where its first packet went, and a
 * client that goes on sending keeps the flow alive for ever. TCP and SCTP peers notice; UDP ones do not.
 */
import { hostPort } from './ip.ts';
import type { Address, Family } from './ip.ts';
import type { Route, RouteChange } from './route.ts';

/**
 * UDP conntrack entries to delete: those whose original destination is `address:port`, whose reply source
 * (`ip:port`) is not in `keep` and, where `only` is present, is in `only`.
 */
export interface StaleFlows {
  readonly family: Family;
  readonly address: Address;
  readonly port: number;
  readonly keep: ReadonlySet<string>;
  readonly only: ReadonlySet<string> | undefined;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Decides which UDP flows the changes leave behind.
 *
 * * A frontend that is **served** now, and is new on its Route, or whose Route lost a good place or had
 *   none until now: every flow through it must lead to a good place. The others lead to an endpoint that
 *   is gone, or (begun before the frontend was programmed) to no endpoint at all.
 * * A frontend that is served **no longer**: only flows that lead to endpoints its Route had are deleted
 *   (`only`). The address may belong to somebody else now, a process of this node or another program's
 *   rules, whose flows are none of our business.
 *
 * Good places of a Route are all its serving endpoints wherever they are, ready or not: a terminating pod finishes what
 * it has begun, and a change of policy or topology moves new flows only. Endpoints that receive new flows
 * are good too, serving or not (pods published before they are ready). A change that only adds endpoints
 * leaves nothing stale.
 *
 * Unlike kube-proxy this also follows changes of the Service (frontends come and go), deletes the flows of
 * deleted Services, and matches a node port together with its address.
 *
 * @param changes - At most one for each Route, as applied to the data plane together.
 */
export function staleUdpFlows(changes: readonly RouteChange[]): readonly StaleFlows[] {
  const stale = new Map<string, StaleFlows>();
  const udp = changes.filter((change) => (change.after ?? change.before)?.protocol === 'UDP');
  // A frontend that changed hands is served again: what its new Route says counts, so that comes last.
  for (const { before, after } of udp) if (before !== undefined) addGone(stale, before, after);
  for (const { before, after } of udp) if (after !== undefined) addServed(stale, before, after);
  return [...stale.values()];
}

function addGone(stale: Map<string, StaleFlows>, before: Route, after: Route | undefined): void {
  const only = goodPlaces(before);
  if (only.size === 0) return;
  const still = frontendTexts(after);
  for (const { address, port } of before.frontends) {
    const text = hostPort(address, port);
    if (still.has(text)) continue;
    stale.set(text, { family: before.family, address, port, keep: NONE, only });
  }
}

function addServed(stale: Map<string, StaleFlows>, before: Route | undefined, after: Route): void {
  const keep = goodPlaces(after);
  const previous = before === undefined ? NONE : goodPlaces(before);
  const isCut = previous.size === 0 ? keep.size > 0 : !previous.isSubsetOf(keep);
  const known = frontendTexts(before);
  for (const { address, port } of after.frontends) {
    const text = hostPort(address, port);
    if (!isCut && known.has(text)) continue;
    stale.set(text, { family: after.family, address, port, keep, only: undefined });
  }
}

/** `ip:port` of every endpoint a flow of the Route may rightly lead to. */
function goodPlaces(route: Route): ReadonlySet<string> {
  const places = new Set(route.serving);
  for (const target of [route.internal, route.external, route.externalFromInside]) {
    if (target?.kind !== 'endpoints') continue;
    for (const { address, port } of target.endpoints) places.add(hostPort(address, port));
  }
  return places;
}

function frontendTexts(route: Route | undefined): ReadonlySet<string> {
  return new Set(route?.frontends.map(({ address, port }) => hostPort(address, port)));
}
