/**
 * Made-up objects of a cluster, and where they are in the bench's network. Every size that is measured has a network
 * of its own (`network`, 0 to 14) with its own addresses, so that all of them can be there at the same time.
 */
import { type Address, type Cidr, parseAddress, parseCidr } from '../src/core/ip.ts';
import type { EndpointSlice, Service, SliceEndpoint } from '../src/core/model.ts';
import { plainEndpoint, plainService, plainSlice } from '../src/core/plain.ts';

/** Endpoints of every Service. */
export const ENDPOINTS = 10;
/** Port of every Service, and of every endpoint. */
export const SERVICE_PORT = 80;
export const ENDPOINT_PORT = 8080;
/** More Services do not fit into a network's addresses. Services that come and go in between count too. */
export const MAX_SERVICES = 52_000;
export const MAX_NETWORKS = 15;
/** Spreads changes over all Services, for neighbours would share caches; coprime to the usual sizes. */
export const STRIDE = 7919;

/** The node that the plane under test runs on; it has 1 of 100 endpoints. */
export const NODE_NAME = 'node-0';
const NODES = 100;
const NAMESPACES = 100;

/** All pods: endpoints, and the client. */
export const CLUSTER_CIDR: Cidr = cidr('10.128.0.0/9');

/** Cluster IPs and pods of a network, for routes. */
export function serviceRange(network: number): string {
  return `10.${16 + network}.0.0/16`;
}

export function podRange(network: number): string {
  return `10.${128 + 8 * network}.0.0/13`;
}

/** Cluster IP of a Service, counted from 0. */
export function clusterIp(network: number, service: number): Address {
  return offset((10 << 24) + ((16 + network) << 16), service + 1);
}

/** Address of an endpoint, both counted from 0. */
export function endpointAddress(network: number, service: number, endpoint: number): Address {
  return offset((10 << 24) + ((128 + 8 * network) << 16), service * ENDPOINTS + endpoint + 1);
}

/** An address among the pods that belongs to no Service. */
export function plainAddress(network: number): Address {
  return endpointAddress(network, MAX_SERVICES, 0);
}

export function serviceNamespace(service: number): string {
  return `team-${service % NAMESPACES}`;
}

export function serviceName(service: number): string {
  return `service-${service}`;
}

/** A Service of type ClusterIP with one TCP port. */
export function makeService(network: number, service: number): Service {
  return plainService({
    namespace: serviceNamespace(service),
    name: serviceName(service),
    clusterIPs: [clusterIp(network, service)],
    ports: [{ name: 'http', protocol: 'TCP', port: SERVICE_PORT, nodePort: 0 }],
  });
}

/** The Service's one slice; `without` leaves out one endpoint. */
export function makeSlice(network: number, service: number, without?: number): EndpointSlice {
  const endpoints: SliceEndpoint[] = [];
  for (let endpoint = 0; endpoint < ENDPOINTS; endpoint++) {
    if (endpoint === without) continue;
    endpoints.push(
      plainEndpoint({
        address: endpointAddress(network, service, endpoint),
        nodeName: `node-${(service * ENDPOINTS + endpoint) % NODES}`,
      }),
    );
  }
  return plainSlice(
    { namespace: serviceNamespace(service), name: serviceName(service) },
    { ports: [{ name: 'http', protocol: 'TCP', port: ENDPOINT_PORT }], endpoints },
  );
}

function offset(base: number, by: number): Address {
  const value = (base >>> 0) + by;
  const text = `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`${text} is no address`);
  return address;
}

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new RangeError(`${text} is no CIDR`);
  return parsed;
}
