/** What the demo knows of examples/shop: who the Services are and where their endpoints listen. */
import { servers, type ServerName } from '../test/lab/topology.ts';
import type { L4 } from '../test/lab/agent/calls.ts';

/** One address and port of a Service, as its YAML file has it. */
export interface Frontend {
  readonly service: string;
  /** What kind of address it is, for people. */
  readonly kind: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: L4;
  /** Endpoints that may answer there. */
  readonly pods: readonly PodName[];
}

/** The lab's servers that play pods. */
export const podNames = ['pod-a', 'pod-b', 'pod-c', 'pod-d'] as const;
export type PodName = (typeof podNames)[number];

function frontend(
  service: string,
  kind: string,
  at: readonly [address: string, port: number],
  pods: readonly PodName[],
  protocol: L4 = 'TCP',
): Frontend {
  return { service, kind, address: at[0], port: at[1], protocol, pods };
}

const catalogPods: readonly PodName[] = ['pod-b', 'pod-c', 'pod-d'];

/** The addresses the demo visits. */
export const frontends = {
  loadBalancer: frontend('frontend', 'LB IP', ['203.0.113.80', 80], podNames),
  loadBalancer6: frontend('frontend', 'LB IP', ['2001:db8::80', 80], podNames),
  nodePort: frontend('frontend', 'NodePort', ['10.1.0.1', 30_080], podNames),
  catalog: frontend('catalog', 'ClusterIP', ['10.96.0.20', 80], catalogPods),
  cart: frontend('cart', 'ClusterIP', ['10.96.0.30', 80], podNames),
  dns: frontend('dns', 'ClusterIP', ['10.96.0.10', 53], ['pod-b', 'pod-d'], 'UDP'),
  // Traffic policy Local: pod-c is an endpoint too, but on another node.
  payments: frontend('payments', 'LB IP', ['203.0.113.40', 443], ['pod-a', 'pod-b']),
  recommendations: frontend('recommendations', 'ClusterIP', ['10.96.0.50', 80], []),
  catalogOtherPort: frontend('catalog', 'ClusterIP', ['10.96.0.20', 81], []),
  search: frontend('search', 'ClusterIP', ['10.96.0.60', 80], ['pod-a', 'pod-c']),
} as const;

/** Ports of the endpoints besides those on which the lab's servers listen anyway. */
export const podPorts: readonly { readonly protocol: L4; readonly ports: readonly number[] }[] = [
  { protocol: 'TCP', ports: [8082, 8083, 8443] },
  { protocol: 'UDP', ports: [5353] },
];

/** `address:port`, IPv6 bracketed. */
export function addressAndPort({ address, port }: Frontend): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A pod's IPv4 address. */
export function podAddress(pod: ServerName): string {
  return servers[pod].address.IPv4;
}
