/**
 * The Kubernetes objects a Service proxy reads, cut down to the fields it reads.
 *
 * Decoders (JSON, YAML, protobuf) produce these values; everything behind them trusts the types and
 * nothing else. Values that a decoder could not make sense of are left out and reported there.
 */
import type { Address, Cidr, Family } from './ip.ts';

/** Transport protocols a Service port can have. A missing protocol means TCP. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** `namespace/name`, the identity of a Service or an EndpointSlice. */
export type ObjectKey = `${string}/${string}`;

/** Builds the {@link ObjectKey} of a namespaced object. */
export function objectKey(namespace: string, name: string): ObjectKey {
  return `${namespace}/${name}`;
}

/** The opposite of {@link objectKey}. */
export function splitKey(key: ObjectKey): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}

/** `spec.type` of a Service. Missing means ClusterIP. */
export type ServiceType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';

/** `spec.internalTrafficPolicy` and `spec.externalTrafficPolicy`. Missing means Cluster. */
export type TrafficPolicy = 'Cluster' | 'Local';

/** One entry of `spec.ports`. An unnamed port has the name `''`; a port without node port has 0. */
export interface ServicePort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly nodePort: number;
}

/** How the kernel is to choose endpoints, where the data plane leaves that to it (ipvs). */
export interface Scheduler {
  /** As the kernel calls it: `mh`. */
  readonly name: string;
  /** Such as `mh-port`, sorted. */
  readonly flags: readonly string[];
}

/** Weights by IP address, by zone, or `*` for all others. */
export type Weights = ReadonlyMap<string, number>;

/** core/v1 Service. */
export interface Service {
  readonly namespace: string;
  readonly name: string;
  /** `metadata.creationTimestamp` (RFC 3339) or `''`; decides who owns an address two Services claim. */
  readonly createdAt: string;
  /** Label `service.kubernetes.io/service-proxy-name` is present: another proxy serves it. */
  readonly foreignProxy: boolean;
  readonly type: ServiceType;
  /** `spec.clusterIPs` (or `clusterIP`), first one primary. Empty for headless and ExternalName Services. */
  readonly clusterIPs: readonly Address[];
  /** `spec.ipFamilies`, index for index the family of `clusterIPs`; empty on old objects. */
  readonly ipFamilies: readonly Family[];
  readonly ports: readonly ServicePort[];
  readonly externalIPs: readonly Address[];
  /** `status.loadBalancer.ingress` entries with an `ip` and ipMode absent or `VIP`. */
  readonly loadBalancerIPs: readonly Address[];
  readonly loadBalancerSourceRanges: readonly Cidr[];
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly externalTrafficPolicy: TrafficPolicy;
  /** Seconds of `sessionAffinity: ClientIP`; `undefined` for `None`. */
  readonly affinitySeconds: number | undefined;
  /** `spec.healthCheckNodePort`, 0 when absent. */
  readonly healthCheckNodePort: number;
  /** Annotation `switchyard.dev/ipvs-scheduler` and its aliases. */
  readonly scheduler: Scheduler | undefined;
  /** Annotation `switchyard.dev/weight`; that of a slice counts more for its endpoints. */
  readonly weights: Weights | undefined;
  /** Annotation `switchyard.dev/drain-seconds`. */
  readonly drainSeconds: number | undefined;
}

/** One entry of an EndpointSlice's `endpoints`, reduced to its first address. */
export interface SliceEndpoint {
  readonly address: Address;
  readonly nodeName: string | undefined;
  readonly zone: string | undefined;
  /** Conditions: absent means ready and serving, and not terminating. */
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly forZones: readonly string[];
  readonly forNodes: readonly string[];
}

/** One usable entry of an EndpointSlice's `ports` (neither name nor port null). */
export interface SlicePort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** discovery.k8s.io/v1 EndpointSlice of an IP address type. */
export interface EndpointSlice {
  readonly namespace: string;
  readonly name: string;
  /** Label `kubernetes.io/service-name`. */
  readonly serviceName: string;
  readonly family: Family;
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
  /** Annotation `endpoints.kubernetes.io/last-change-trigger-time`: what made the slice change happened then. */
  readonly triggeredAt: string | undefined;
  /** Annotation `switchyard.dev/weight`. */
  readonly weights: Weights | undefined;
}

/** core/v1 Node. */
export interface NodeObject {
  readonly name: string;
  /** Label `topology.kubernetes.io/zone`. */
  readonly zone: string | undefined;
  /** InternalIPs, then ExternalIPs, in the order of `status.addresses`. */
  readonly addresses: readonly Address[];
  readonly podCIDRs: readonly Cidr[];
  /** Load balancers may send traffic here: not being deleted, and the cluster autoscaler will not remove it. */
  readonly eligible: boolean;
}

/** networking.k8s.io/v1 ServiceCIDR: ranges from which cluster IPs are taken. */
export interface ServiceCidr {
  readonly name: string;
  readonly cidrs: readonly Cidr[];
}
