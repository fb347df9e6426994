/**
 * Which endpoints a Service port has: joined from its slices, without duplicates, and sorted into the
 * lists that traffic policies choose from (KEP-1669 terminating fallback, KEP-2433 and KEP-3015 hints).
 */
import { hostPort } from '../ip.ts';
import type { Family } from '../ip.ts';
import type { EndpointSlice, ServicePort, SliceEndpoint } from '../model.ts';
import type { NodeView } from '../node.ts';
import type { Endpoint } from '../route.ts';

/** One endpoint of a Service port, before any policy. */
export interface Candidate {
  /** `ip:port`, unique in a list and its order. */
  readonly key: string;
  readonly port: number;
  readonly source: SliceEndpoint;
}

/** What a Service port offers on this node. Equal lists are the same array. */
export interface Categories {
  /** Somebody somewhere serves: without it traffic is refused, with it an empty list means silence. */
  readonly hasAny: boolean;
  /** For traffic policy Cluster: ready endpoints as hints allow, else serving ones that terminate. */
  readonly cluster: readonly Endpoint[];
  /** For traffic policy Local: the same on this node only, hints ignored. */
  readonly local: readonly Endpoint[];
}

/**
 * Joins the slices of a Service to one of its ports by port name and protocol. The result is ordered by
 * {@link Candidate.key} and does not depend on the order of slices or of endpoints in them.
 */
export function joinEndpoints(
  port: ServicePort,
  family: Family,
  slices: readonly EndpointSlice[],
): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.family !== family) continue;
    for (const { name, protocol, port: number } of slice.ports) {
      if (name !== port.name || protocol !== port.protocol) continue;
      for (const source of slice.endpoints) {
        const key = hostPort(source.address, number);
        const known = found.get(key);
        if (known === undefined || outranks(source, known.source)) {
          found.set(key, { key, port: number, source });
        }
      }
    }
  }
  return [...found.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** Sorts joined endpoints into the lists of {@link Categories}. */
export function categorise(candidates: readonly Candidate[], view: NodeView): Categories {
  const ready = candidates.filter(({ source }) => source.ready);
  const fallback = candidates.filter(({ source }) => source.serving && source.terminating);
  const isHere = ({ source }: Candidate): boolean => source.nodeName === view.name;
  const cluster = ready.length > 0 ? preferClose(ready, view) : fallback;
  const localReady = ready.filter(isHere);
  const local = localReady.length > 0 ? localReady : fallback.filter(isHere);

  const endpoints = new Map<Candidate, Endpoint>();
  for (const candidate of cluster) endpoints.set(candidate, toEndpoint(candidate, view));
  const clusterList = [...endpoints.values()];
  const isSame =
    local.length === cluster.length && local.every((candidate) => endpoints.has(candidate));
  return {
    hasAny: cluster.length > 0,
    cluster: clusterList,
    local: isSame
      ? clusterList
      : local.map((candidate) => endpoints.get(candidate) ?? toEndpoint(candidate, view)),
  };
}

/**
 * Which of two slice entries for the same `ip:port` counts. A pod that moves between slices, or an
 * address that is used again, is in both for a while: the one that is not going away counts, as in
 * kube-proxy. Where kube-proxy lets the last one seen win, the more useful one does, then the smaller text.
 */
function outranks(challenger: SliceEndpoint, holder: SliceEndpoint): boolean {
  const difference = usefulness(challenger) - usefulness(holder);
  return difference === 0 ? tieBreaker(challenger) < tieBreaker(holder) : difference > 0;
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

function toEndpoint({ port, source }: Candidate, view: NodeView): Endpoint {
  return {
    address: source.address,
    port,
    // On a single machine nobody sets node names, and without hairpin handling an endpoint that does run
    // here could not reach itself. Traffic policies are stricter: an unknown place is not "this node".
    local: source.nodeName === undefined || source.nodeName === view.name,
    weight: 1,
  };
}
