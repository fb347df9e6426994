/** The Services that are built to be measured: made up, or those of a user; and what is changed and connected to. */
import type { EndpointSliceItem, ProxyItem, ServiceItem } from '../../../core/change.ts';
import { type Address, familyOf, unpackAddress } from '../../../core/ip.ts';
import {
  type EndpointSlice,
  type ObjectKey,
  type Service,
  type SliceEndpoint,
  objectKey,
} from '../../../core/model.ts';
import { plainEndpoint, plainService, plainSlice } from '../../../core/plain.ts';

/** A TCP port of a Service that a connection can be opened to. */
export interface ServiceAim {
  /** `namespace/name:port`. */
  readonly name: string;
  readonly address: Address;
  readonly port: number;
  /** Where connections arrive. */
  readonly endpoints: readonly Address[];
  readonly endpointPort: number;
}

/** Made-up Services and endpoints are no more than this, since they have a range of addresses each. */
export const MAX_SERVICES = 60_000;
export const MAX_ENDPOINTS = 8_000_000;

const PORT = 80;
const ENDPOINT_PORT = 8080;
const NAMESPACES = 100;
const NODES = 100;
/** 10.64.0.1 and 10.128.0.1. */
const FIRST_CLUSTER_IP = 0x0a400001;
const FIRST_ENDPOINT = 0x0a800001;

/** Services of type ClusterIP with one TCP port, and for each of them a slice of ready endpoints. */
export function inventWorkload(services: number, endpoints: number): readonly ProxyItem[] {
  return Array.from({ length: services }, (_, service) => [
    { kind: 'Service', object: inventService(service) } as const,
    { kind: 'EndpointSlice', object: inventSlice(service, endpoints) } as const,
  ]).flat();
}

/** Slices of Services that lose traffic when an endpoint of theirs goes. */
export function changeableSlices(items: readonly ProxyItem[]): readonly EndpointSlice[] {
  const services = servicesOf(items);
  return slicesOf(items).filter((slice) => {
    const service = services.get(objectKey(slice.namespace, slice.serviceName));
    return (
      service !== undefined &&
      service.internalTrafficPolicy === 'Cluster' &&
      service.clusterIPs.some((address) => familyOf(address) === slice.family) &&
      slice.endpoints.some(isUsable)
    );
  });
}

/** The slice without its first endpoint that can be used. */
export function withoutEndpoint(slice: EndpointSlice): EndpointSlice {
  const gone = slice.endpoints.find(isUsable);
  return { ...slice, endpoints: slice.endpoints.filter((endpoint) => endpoint !== gone) };
}

/**
 * Services that a pod can connect to over TCP and IPv4: the first and the last one in the order of `items`, and some in
 * between, `count` of them if there are so many.
 */
export function connectable(items: readonly ProxyItem[], count: number): readonly ServiceAim[] {
  const slices = Map.groupBy(slicesOf(items), (slice) =>
    objectKey(slice.namespace, slice.serviceName),
  );
  const aims = [...servicesOf(items)].flatMap(
    ([key, service]) => aimAt(service, slices.get(key) ?? []) ?? [],
  );
  const places = Array.from({ length: count }, (_, index) =>
    Math.round((index * (aims.length - 1)) / (count - 1)),
  );
  return [...new Set(places)].flatMap((place) => aims[place] ?? []);
}

/** Only where it is certain which port a connection arrives at. */
function aimAt(service: Service, slices: readonly EndpointSlice[]): ServiceAim | undefined {
  const address = service.clusterIPs.find((candidate) => familyOf(candidate) === 'IPv4');
  const port = service.ports.find(({ protocol }) => protocol === 'TCP');
  if (address === undefined || port === undefined) return undefined;
  if (service.internalTrafficPolicy !== 'Cluster') return undefined;
  const serving = slices.filter(({ family }) => family === 'IPv4');
  const endpointPorts = new Set(
    serving.flatMap(({ ports }) =>
      ports
        .filter(({ name, protocol }) => name === port.name && protocol === 'TCP')
        .map((found) => found.port),
    ),
  );
  const endpoints = serving.flatMap((slice) =>
    slice.endpoints.filter(isUsable).map((endpoint) => endpoint.address),
  );
  const [endpointPort] = endpointPorts;
  if (endpointPort === undefined || endpointPorts.size > 1 || endpoints.length === 0) {
    return undefined;
  }
  const name = `${service.namespace}/${service.name}:${port.name}`;
  return { name, address, port: port.port, endpoints, endpointPort };
}

function isUsable({ ready, terminating }: SliceEndpoint): boolean {
  return ready && !terminating;
}

function servicesOf(items: readonly ProxyItem[]): ReadonlyMap<ObjectKey, Service> {
  return new Map(
    items
      .filter((item): item is ServiceItem => item.kind === 'Service')
      .filter(({ object }) => !object.foreignProxy)
      .map(({ object }) => [objectKey(object.namespace, object.name), object]),
  );
}

function slicesOf(items: readonly ProxyItem[]): readonly EndpointSlice[] {
  return items
    .filter((item): item is EndpointSliceItem => item.kind === 'EndpointSlice')
    .map(({ object }) => object);
}

function inventService(index: number): Service {
  return plainService({
    namespace: `team-${index % NAMESPACES}`,
    name: `service-${index}`,
    clusterIPs: [ipv4(FIRST_CLUSTER_IP + index)],
    ports: [{ name: 'http', protocol: 'TCP', port: PORT, nodePort: 0 }],
  });
}

function inventSlice(service: number, endpoints: number): EndpointSlice {
  return plainSlice(inventService(service), {
    ports: [{ name: 'http', protocol: 'TCP', port: ENDPOINT_PORT }],
    endpoints: Array.from({ length: endpoints }, (_, index) => {
      const number = service * endpoints + index;
      return plainEndpoint({
        address: ipv4(FIRST_ENDPOINT + number),
        nodeName: `node-${number % NODES}`,
      });
    }),
  });
}

function ipv4(number: number): Address {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return unpackAddress(bytes, 0, 'IPv4');
}
