/**
 * Which endpoints a Service port has: joined from its slices, without duplicates, and filtered for the two
 * traffic policies (KEP-1669 terminating fallback, KEP-2433 and KEP-3015 topology hints).
 */
import { hostPort } from '../ip.ts';
import type { Family } from '../ip.ts';
import type { EndpointSlice, Service, ServicePort, SliceEndpoint, Weights } from '../model.ts';
import type { NodeView } from '../node.ts';
import type { Endpoint } from '../route.ts';

/** One endpoint of a Service port, before any policy. */
export interface Candidate {
  /** `ip:port`, unique in a list and its order. */
  readonly key: string;
  readonly source: SliceEndpoint;
  readonly endpoint: Endpoint;
}

/**
 * Joins the slices of a Service to one of its ports by port name and protocol. The result is ordered by
 * {@link Candidate.key} and does not depend on the order of slices or of endpoints in them.
 */
export function joinEndpoints(
  service: Pick<Service, 'weights'>,
  port: ServicePort,
  family: Family,
  slices: readonly EndpointSlice[],
  view: NodeView,
): readonly Candidate[] {
  const found: Candidate[] = [];
  for (const slice of slices) {
    if (slice.family !== family) continue;
    for (const { name, protocol, port: number } of slice.ports) {
      if (name !== port.name || protocol !== port.protocol) continue;
      const weights = slice.weights ?? service.weights;
      for (const source of slice.endpoints) {
        found.push(toCandidate(source, number, weightOf(source, weights), view));
      }
    }
  }
  found.sort(
    (a, b) =>
      compare(a.key, b.key) || rank(a.source, b.source) || b.endpoint.weight - a.endpoint.weight,
  );
  return those(found, ({ key }, index) => key !== found[index - 1]?.key);
}

/**
 * The endpoints for traffic policy Cluster: ready ones as hints allow; where none is ready, those that still
 * serve while they terminate. Empty when nobody serves anywhere.
 */
export function clusterEndpoints(
  candidates: readonly Candidate[],
  view: NodeView,
): readonly Candidate[] {
  const wanted = those(candidates, hasWeight);
  const ready = those(wanted, ({ source }) => source.ready);
  return ready.length > 0 ? preferClose(ready, view) : wanted.filter(isFallback);
}

/** The endpoints for traffic policy Local: the same on this node alone, whatever hints say. */
export function localEndpoints(
  candidates: readonly Candidate[],
  view: NodeView,
): readonly Candidate[] {
  const here = candidates.filter(
    (candidate) => candidate.source.nodeName === view.name && hasWeight(candidate),
  );
  const ready = here.filter(({ source }) => source.ready);
  return ready.length > 0 ? ready : here.filter(isFallback);
}

/** Those that are so: the list itself where all are, as they mostly are. */
export function those(
  candidates: readonly Candidate[],
  isSo: (candidate: Candidate, index: number) => boolean,
): readonly Candidate[] {
  return candidates.every(isSo) ? candidates : candidates.filter(isSo);
}

/** A weight of 0 keeps new connections away; those that there are go on. */
function hasWeight({ endpoint }: Candidate): boolean {
  return endpoint.weight > 0;
}

function weightOf({ address, zone }: SliceEndpoint, weights: Weights | undefined): number {
  if (weights === undefined) return 1;
  const byZone = zone === undefined ? undefined : weights.get(zone);
  return weights.get(address) ?? byZone ?? weights.get('*') ?? 1;
}

function isFallback({ source }: Candidate): boolean {
  return source.serving && source.terminating;
}

function toCandidate(
  source: SliceEndpoint,
  port: number,
  weight: number,
  view: NodeView,
): Candidate {
  const { address, nodeName } = source;
  return {
    key: hostPort(address, port),
    source,
    endpoint: {
      address,
      port,
      // On a single machine nobody sets node names, and without hairpin handling an endpoint that does run
      // here could not reach itself. Traffic policies are stricter: an unknown place is not "this node".
      local: nodeName === undefined || nodeName === view.name,
      weight,
    },
  };
}

/**
 * Orders slice entries for the same `ip:port`; the first one counts. A pod that moves between slices, or an
 * address that is used again, is in both for a while: the one that is not going away counts, as in
 * kube-proxy. Where kube-proxy lets the last one seen win, the more useful one does, then the smaller text.
 */
function rank(a: SliceEndpoint, b: SliceEndpoint): number {
  const difference = usefulness(b) - usefulness(a);
  return difference === 0 ? compare(tieBreaker(a), tieBreaker(b)) : difference;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function usefulness({ terminating, ready, serving }: SliceEndpoint): number {
  return (terminating ? 0 : 4) + (ready ? 2 : 0) + (serving ? 1 : 0);
}

function tieBreaker({ nodeName, forZones, forNodes }: SliceEndpoint): string {
  return JSON.stringify([nodeName, forZones, forNodes]);
}

/** Applies topology hints. They count only when every ready endpoint has one and this node is named. */
function preferClose(ready: readonly Candidate[], view: NodeView): readonly Candidate[] {
  const { name, zone } = view;
  if (ready.every(({ source }) => source.forNodes.length > 0)) {
    const sameNode = ready.filter(({ source }) => source.forNodes.includes(name));
    if (sameNode.length > 0) return sameNode;
  }
  if (zone !== undefined && ready.every(({ source }) => source.forZones.length > 0)) {
    const sameZone = ready.filter(({ source }) => source.forZones.includes(zone));
    if (sameZone.length > 0) return sameZone;
  }
  return ready;
}
