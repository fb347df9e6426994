/** Objects of the API for tests of the proxy. */
import type { Manifest } from '../../../src/testing/api-server.ts';

/** Name of the node under test. */
export const NODE_NAME = 'node-1';
/** Its address. */
export const NODE_IP = '192.0.2.1';

/** The range of cluster IPs, which every cluster has. */
export const SERVICE_CIDR: Manifest = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  metadata: { name: 'kubernetes' },
  spec: { cidrs: ['10.96.0.0/12'] },
};

/** What a Service in `shop` has; everything but the name has a default. */
interface ServiceOptions {
  readonly clusterIP?: string;
  readonly port?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Beside type, cluster IP and ports. */
  readonly spec?: Readonly<Record<string, string | number>>;
  readonly nodePort?: number;
}

/** A Service `shop/NAME` with one port. */
export function service(
  name: string,
  { clusterIP = '10.96.0.1', port = 80, labels = {}, spec = {}, nodePort }: ServiceOptions = {},
): Manifest {
  const open = nodePort === undefined ? {} : { nodePort };
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop', labels },
    spec: {
      type: nodePort === undefined ? 'ClusterIP' : 'LoadBalancer',
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: ['IPv4'],
      ports: [{ name: 'http', protocol: 'TCP', port, ...open }],
      ...spec,
    },
  };
}

/** What a slice has besides its addresses. */
interface SliceOptions {
  /** Node its endpoints are on. */
  readonly nodeName?: string;
  /** When what led to it happened. */
  readonly triggeredAt?: Date;
}

/** The slice `shop/SERVICE-1` with these endpoints, at port 8080. */
export function slice(
  serviceName: string,
  addresses: readonly string[],
  { nodeName = NODE_NAME, triggeredAt }: SliceOptions = {},
): Manifest {
  const trigger = 'endpoints.kubernetes.io/last-change-trigger-time';
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${serviceName}-1`,
      namespace: 'shop',
      labels: { 'kubernetes.io/service-name': serviceName },
      ...(triggeredAt && { annotations: { [trigger]: triggeredAt.toISOString() } }),
    },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({
      addresses: [address],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName,
    })),
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
  };
}

/** What a Node says; everything has a default. */
interface NodeOptions {
  readonly addresses?: readonly string[];
  readonly zone?: string;
  readonly podCIDRs?: readonly string[];
  /** Keys of its taints. */
  readonly taints?: readonly string[];
}

/** The Node under test. */
export function node({
  addresses = [NODE_IP],
  zone = 'zone-a',
  podCIDRs = ['10.128.0.0/24'],
  taints = [],
}: NodeOptions = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: NODE_NAME, labels: { 'topology.kubernetes.io/zone': zone } },
    spec: {
      podCIDRs,
      taints: taints.map((key) => ({ key, effect: 'NoSchedule' })),
    },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  };
}
