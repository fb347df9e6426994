/**
 * A Route: everything a data plane must know about one Service port of one IP family, and nothing
 * about how to program it. Routes are immutable values; planes receive them as {@link RouteChange}s.
 */
import type { Address, Cidr, Family } from './ip.ts';
import type { ObjectKey, Protocol, Scheduler } from './model.ts';

/** Where traffic may arrive. A node port appears once for each node address it is served on. */
export type FrontendKind = 'clusterIP' | 'externalIP' | 'loadBalancer' | 'nodePort';

/** One address and port (in the Route's family and protocol) on which the Service answers. */
export interface Frontend {
  readonly kind: FrontendKind;
  readonly address: Address;
  readonly port: number;
}

/** One place a connection can be sent to. */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
  /** Runs on this node, or (endpoint without node name) may do so: it can be its own client. */
  readonly local: boolean;
  /** Share of new connections relative to the other endpoints of the same target, 1 by default. */
  readonly weight: number;
}

/**
 * What happens to new connections of one traffic class.
 *
 * `reject`: nobody serves this anywhere, refuse at once. `drop`: a Local policy found nothing on this
 * node but others serve it, stay silent so that a load balancer or client tries another node.
 */
export type Target =
  | { readonly kind: 'endpoints'; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: 'reject' }
  | { readonly kind: 'drop' };

/** Unique identity of a Route: `namespace/name:port/PROTOCOL/family`. */
export type RouteKey = `${ObjectKey}:${string}/${Protocol}/${Family}`;

/** What a node does with the traffic of one Service port in one IP family. */
export interface Route {
  readonly key: RouteKey;
  /** `namespace/name` of the Service. */
  readonly service: ObjectKey;
  /** What people and rule comments call it: `namespace/name:port`, or `namespace/name` if unnamed. */
  readonly label: string;
  readonly family: Family;
  readonly protocol: Protocol;
  /** Distinct by address and port, in a fixed order: clusterIP, externalIP, loadBalancer, nodePort. */
  readonly frontends: readonly Frontend[];
  /** Cluster-IP traffic (internal traffic policy applied). */
  readonly internal: Target;
  /** Traffic to every other kind of frontend (external traffic policy applied). */
  readonly external: Target;
  /**
   * Traffic to those same frontends when it comes from this node's pods or from the node itself, where
   * that differs: present exactly when the external traffic policy is Local (short-circuit, KEP-1864).
   */
  readonly externalFromInside: Target | undefined;
  /** External traffic is masqueraded (external traffic policy Cluster). */
  readonly masqueradeExternal: boolean;
  /** Client-IP affinity in seconds. */
  readonly affinitySeconds: number | undefined;
  /** How the kernel is to choose endpoints, where the data plane leaves that to it (ipvs). */
  readonly scheduler: Scheduler | undefined;
  /** Longest time that connections to an endpoint that goes away may last, where a plane can end them (ipvs). */
  readonly drainSeconds: number | undefined;
  /** Sources that may use the loadBalancer frontends; `undefined` means everybody. Never empty. */
  readonly allowedSources: readonly Cidr[] | undefined;
  /** `ip:port` of every serving endpoint, wherever it is: UDP flows to these are never cut. */
  readonly serving: readonly string[];
}

/** The difference between two states of one Route. At least one side is present. */
export type RouteChange =
  | { readonly key: RouteKey; readonly before: undefined; readonly after: Route }
  | { readonly key: RouteKey; readonly before: Route; readonly after: Route | undefined };
