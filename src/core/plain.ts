/** Objects as Kubernetes completes them where a manifest says little: for whoever makes objects up. */
import { familyOf } from './ip.ts';
import type { EndpointSlice, Service, SliceEndpoint } from './model.ts';

/** A Service of type ClusterIP, both traffic policies Cluster, and nothing else asked for. */
export function plainService(
  fields: Pick<Service, 'namespace' | 'name' | 'clusterIPs' | 'ports'> & Partial<Service>,
): Service {
  return {
    createdAt: '',
    foreignProxy: false,
    type: 'ClusterIP',
    ipFamilies: fields.clusterIPs.map(familyOf),
    externalIPs: [],
    loadBalancerIPs: [],
    loadBalancerSourceRanges: [],
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Cluster',
    affinitySeconds: undefined,
    healthCheckNodePort: 0,
    scheduler: undefined,
    weights: undefined,
    drainSeconds: undefined,
    ...fields,
  };
}

/** A slice of that Service, IPv4 unless told otherwise. */
export function plainSlice(
  { namespace, name }: Pick<Service, 'namespace' | 'name'>,
  fields: Pick<EndpointSlice, 'ports' | 'endpoints'> & Partial<EndpointSlice>,
): EndpointSlice {
  return {
    namespace,
    name: `${name}-x7k2p`,
    serviceName: name,
    family: 'IPv4',
    triggeredAt: undefined,
    weights: undefined,
    ...fields,
  };
}

/** An endpoint that is ready, without hints. */
export function plainEndpoint(
  fields: Pick<SliceEndpoint, 'address'> & Partial<SliceEndpoint>,
): SliceEndpoint {
  return {
    nodeName: undefined,
    zone: undefined,
    ready: true,
    serving: true,
    terminating: false,
    forZones: [],
    forNodes: [],
    ...fields,
  };
}
