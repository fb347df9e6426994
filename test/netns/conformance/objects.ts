/** Kubernetes objects of the cases, as the API server would send them, from a few words each. */
import { nodeAddress, nodeName, servers, type ServerName } from '../../lab/topology.ts';
import type { Place } from './place.ts';

/** A Service, an EndpointSlice or a Node as JSON. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: 'Service' | 'EndpointSlice' | 'Node';
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
  };
  readonly [field: string]: unknown;
}

/** Namespace of every object of the suite. */
const namespace = 'shop';

interface Port {
  readonly name?: string;
  readonly port: number;
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
  readonly nodePort?: number;
}

/** Without `ports` a Service answers on port 80 over TCP and UDP, and its slices name port 8080 of each endpoint. */
const defaultPorts: readonly Port[] = [
  { name: 'tcp', port: 80 },
  { name: 'udp', port: 80, protocol: 'UDP' },
];
const defaultSlicePorts: readonly Port[] = [
  { name: 'tcp', port: 8080 },
  { name: 'udp', port: 8080, protocol: 'UDP' },
];

export interface ServiceOptions {
  readonly name?: string;
  /** Follows from the other fields when absent. */
  readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  readonly clusterIP?: string;
  readonly ports?: readonly Port[];
  /** Node port of every port that has none of its own. */
  readonly nodePort?: number;
  readonly externalIPs?: readonly string[];
  readonly loadBalancerIPs?: readonly (string | { readonly ip: string; readonly ipMode: string })[];
  readonly sourceRanges?: readonly string[];
  readonly internal?: 'Cluster' | 'Local';
  readonly external?: 'Cluster' | 'Local';
  readonly affinitySeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly createdAt?: string;
}

/** A Service of the place's family; without options it has a cluster IP and the default ports. */
export function service(at: Place, options: ServiceOptions = {}): KubeObject {
  const { nodePort, loadBalancerIPs, clusterIP = at.clusterIP() } = options;
  const ports = (options.ports ?? defaultPorts).map((port) => {
    const own = port.nodePort ?? nodePort;
    return own === undefined ? port : Object.assign({ nodePort: own }, port);
  });
  const hasNodePort = ports.some((port) => port.nodePort !== undefined);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace,
      name: options.name ?? 'web',
      labels: options.labels ?? {},
      creationTimestamp: options.createdAt ?? '2026-01-01T00:00:00Z',
    },
    spec: {
      type:
        options.type ?? (loadBalancerIPs ? 'LoadBalancer' : hasNodePort ? 'NodePort' : 'ClusterIP'),
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: [at.family],
      ports,
      externalIPs: options.externalIPs ?? [],
      loadBalancerSourceRanges: options.sourceRanges ?? [],
      internalTrafficPolicy: options.internal ?? 'Cluster',
      externalTrafficPolicy: options.external ?? 'Cluster',
      ...(options.affinitySeconds === undefined
        ? { sessionAffinity: 'None' }
        : {
            sessionAffinity: 'ClientIP',
            sessionAffinityConfig: { clientIP: { timeoutSeconds: options.affinitySeconds } },
          }),
    },
    status: {
      loadBalancer: {
        ingress: (loadBalancerIPs ?? []).map((ip) => (typeof ip === 'string' ? { ip } : ip)),
      },
    },
  };
}

export interface EndpointOptions {
  readonly server: ServerName;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
  readonly forZones?: readonly string[];
  readonly forNodes?: readonly string[];
}

export interface SliceOptions {
  readonly name?: string;
  readonly service?: string;
  readonly ports?: readonly Port[];
  readonly labels?: Readonly<Record<string, string>>;
}

/** A slice of Service `web`, or of another, with these echo servers as endpoints. */
export function slice(
  at: Place,
  endpoints: readonly (ServerName | EndpointOptions)[],
  options: SliceOptions = {},
): KubeObject {
  return sliceOf(
    at,
    endpoints.map((endpoint) => {
      const { server, forZones, forNodes, ...conditions } =
        typeof endpoint === 'string' ? { server: endpoint } : endpoint;
      return {
        addresses: [servers[server].address[at.family]],
        nodeName: servers[server].nodeName,
        conditions: { ready: true, ...conditions },
        ...hints(forZones, forNodes),
      };
    }),
    options,
  );
}

/** A slice with these entries of `endpoints`. */
export function sliceOf(
  at: Place,
  endpoints: readonly object[],
  options: SliceOptions = {},
): KubeObject {
  const serviceName = options.service ?? 'web';
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace,
      name: options.name ?? `${serviceName}-1`,
      labels: { 'kubernetes.io/service-name': serviceName, ...options.labels },
    },
    addressType: at.family,
    ports: options.ports ?? defaultSlicePorts,
    endpoints,
  };
}

function named(names: readonly string[]): readonly object[] {
  return names.map((name) => ({ name }));
}

function hints(
  forZones: readonly string[] | undefined,
  forNodes: readonly string[] | undefined,
): object {
  if (forZones === undefined && forNodes === undefined) return {};
  return {
    hints: {
      ...(forZones === undefined ? {} : { forZones: named(forZones) }),
      ...(forNodes === undefined ? {} : { forNodes: named(forNodes) }),
    },
  };
}

/** The Node under test, in a zone. */
export function node(zone: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: nodeName, labels: { 'topology.kubernetes.io/zone': zone } },
    spec: { podCIDRs: ['10.244.1.0/24', 'fd00:244:1::/64'] },
    status: {
      addresses: Object.values(nodeAddress).map((address) => ({ type: 'InternalIP', address })),
    },
  };
}
