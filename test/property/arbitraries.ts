/**
 * Random Services, EndpointSlices and events on them, over a universe so small that names, addresses and
 * ports collide all the time. All values are valid for the kernel. The node is called `here`, zone `a`.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseAddress, parseCidr } from '../../src/core/ip.ts';
import type { Address, Cidr, Family } from '../../src/core/ip.ts';
import { objectKey } from '../../src/core/model.ts';
import type {
  EndpointSlice,
  ObjectKey,
  Protocol,
  Service,
  ServicePort,
  SliceEndpoint,
  Weights,
  SlicePort,
} from '../../src/core/model.ts';
import type { NodeView } from '../../src/core/node.ts';

/** What may happen to the objects, or to the node. */
export type ObjectEvent =
  | { readonly kind: 'setService'; readonly service: Service }
  | { readonly kind: 'removeService'; readonly key: ObjectKey }
  | { readonly kind: 'setSlice'; readonly slice: EndpointSlice }
  | { readonly kind: 'removeSlice'; readonly key: ObjectKey }
  | { readonly kind: 'setNodePortAddresses'; readonly addresses: readonly Address[] }
  | { readonly kind: 'setZone'; readonly zone: string | undefined };

const address = (text: string): Address => {
  const value = parseAddress(text);
  assert.ok(value);
  return value;
};
const cidr = (text: string): Cidr => {
  const value = parseCidr(text);
  assert.ok(value);
  return value;
};

const NODE_ADDRESSES = ['192.168.0.1', '192.168.1.1', 'fd01::1'].map(address);

/** The node as it is before any event. */
export const initialView: NodeView = {
  name: 'here',
  zone: 'a',
  primaryAddresses: ['192.168.0.1', 'fd01::1'].map(address),
  nodePortAddresses: NODE_ADDRESSES,
};

const namespace = fc.constantFrom('n', 'm');
const serviceName = fc.constantFrom('x', 'y', 'z');
const sliceName = fc.constantFrom('s1', 's2', 's3', 's4');
const portName = fc.constantFrom('', 'p', 'q');
const protocol = fc.constantFrom<Protocol>('TCP', 'UDP', 'SCTP');
const policy = fc.constantFrom('Cluster' as const, 'Local' as const);
const family = fc.constantFrom<Family>('IPv4', 'IPv6');

/** A few items of a list, each at most once. */
const someOf = <T>(items: readonly T[], maxLength = items.length): fc.Arbitrary<T[]> =>
  fc.uniqueArray(fc.constantFrom(...items), { maxLength });

const servicePorts: fc.Arbitrary<readonly ServicePort[]> = fc
  .uniqueArray(
    fc.record({
      name: portName,
      protocol,
      port: fc.constantFrom(53, 80),
      nodePort: fc.constantFrom(0, 0, 30_053, 30_080),
    }),
    { selector: ({ name }) => name, maxLength: 3 },
  )
  .map((ports) =>
    ports.filter(
      (port, index) =>
        index ===
        ports.findIndex((other) => other.port === port.port && other.protocol === port.protocol),
    ),
  );

type ClusterIPs = Pick<Service, 'clusterIPs' | 'ipFamilies'>;

/** Cluster IPs and their families; now and then one of the wrong family. */
const clusterIPs: fc.Arbitrary<ClusterIPs> = fc
  .tuple(
    fc.constantFrom('10.96.0.1', '10.96.0.2', '10.96.0.3').map(address),
    fc.constantFrom('fd00:96::1', 'fd00:96::2').map(address),
  )
  .chain(([v4, v6]) =>
    fc.constantFrom<ClusterIPs>(
      { clusterIPs: [v4], ipFamilies: ['IPv4'] },
      { clusterIPs: [v6], ipFamilies: ['IPv6'] },
      { clusterIPs: [v4, v6], ipFamilies: ['IPv4', 'IPv6'] },
      { clusterIPs: [v6, v4], ipFamilies: ['IPv6', 'IPv4'] },
      { clusterIPs: [v4], ipFamilies: [] },
      { clusterIPs: [v4, address('10.96.0.9')], ipFamilies: ['IPv4', 'IPv6'] },
      { clusterIPs: [], ipFamilies: [] },
    ),
  );

function withClusterIPs([addresses, rest]: [ClusterIPs, Omit<Service, keyof ClusterIPs>]): Service {
  return { ...rest, ...addresses };
}

/** Mostly none: otherwise few endpoints would have the same. */
const weights: fc.Arbitrary<Weights | undefined> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  {
    weight: 1,
    arbitrary: fc
      .uniqueArray(
        fc.tuple(
          fc.constantFrom('10.1.0.1', 'fd00:1::1', 'a', '*'),
          fc.integer({ min: 0, max: 3 }),
        ),
        { selector: ([key]) => key, maxLength: 3 },
      )
      .map((pairs) => new Map(pairs)),
  },
);

/** Any Service, of any kind. */
export const arbitraryService: fc.Arbitrary<Service> = fc
  .tuple(
    clusterIPs,
    fc.record({
      namespace,
      name: serviceName,
      createdAt: fc.constantFrom('', '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'),
      foreignProxy: fc.nat(9).map((dice) => dice === 0),
      type: fc.constantFrom(
        'ClusterIP' as const,
        'NodePort' as const,
        'LoadBalancer' as const,
        'LoadBalancer' as const,
        'ExternalName' as const,
      ),
      ports: servicePorts,
      externalIPs: someOf(['198.51.100.1', '198.51.100.2', '2001:db8::1'].map(address), 2),
      // One is an external IP too, one a node address.
      loadBalancerIPs: someOf(['198.51.100.2', '192.168.1.1', '2001:db8::2'].map(address), 2),
      loadBalancerSourceRanges: someOf(
        ['203.0.113.0/24', '203.0.113.128/25', '192.168.0.0/16', '0.0.0.0/0', 'fd01::/16'].map(
          cidr,
        ),
        3,
      ),
      internalTrafficPolicy: policy,
      externalTrafficPolicy: policy,
      affinitySeconds: fc.constantFrom(undefined, 60, 10_800),
      healthCheckNodePort: fc.constantFrom(0, 32_000),
      scheduler: fc.constantFrom(undefined, { name: 'mh', flags: ['mh-port'] }),
      weights,
      drainSeconds: fc.constantFrom(undefined, 30),
    }),
  )
  .map(withClusterIPs);

const hints = (names: readonly string[]): fc.Arbitrary<readonly string[]> => someOf(names, 2);

const endpointOf = (name: Family): fc.Arbitrary<SliceEndpoint> =>
  fc.record({
    address: fc
      .integer({ min: 1, max: 6 })
      .map((last) => address(name === 'IPv4' ? `10.1.0.${last}` : `fd00:1::${last}`)),
    nodeName: fc.constantFrom(undefined, 'here', 'other'),
    zone: fc.constantFrom(undefined, 'a', 'b'),
    // Mostly ready: otherwise nothing but fallbacks would be tried.
    ready: fc.nat(3).map((dice) => dice > 0),
    serving: fc.nat(3).map((dice) => dice > 0),
    terminating: fc.nat(3).map((dice) => dice === 0),
    forZones: hints(['a', 'b']),
    forNodes: hints(['here', 'other']),
  });

const slicePorts: fc.Arbitrary<readonly SlicePort[]> = fc.array(
  fc.record({ name: portName, protocol, port: fc.constantFrom(5353, 8080) }),
  { maxLength: 4 },
);

/** Any EndpointSlice of an IP family. */
export const arbitrarySlice: fc.Arbitrary<EndpointSlice> = family.chain((name) =>
  fc.record({
    namespace,
    name: sliceName,
    serviceName,
    family: fc.constant(name),
    ports: slicePorts,
    endpoints: fc.array(endpointOf(name), { maxLength: 5 }),
    triggeredAt: fc.constant(undefined),
    weights,
  }),
);

/** One event. */
const arbitraryEvent: fc.Arbitrary<ObjectEvent> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('setService'), service: arbitraryService }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('setSlice'), slice: arbitrarySlice }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('removeService'),
      key: fc.tuple(namespace, serviceName).map(([space, name]) => objectKey(space, name)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('removeSlice'),
      key: fc.tuple(namespace, sliceName).map(([space, name]) => objectKey(space, name)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('setNodePortAddresses'),
      addresses: someOf(NODE_ADDRESSES),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('setZone'),
      zone: fc.constantFrom(undefined, 'a', 'b'),
    }),
  },
);

/** A sequence of events, cut into batches that are handled together. */
export const arbitraryBatches: fc.Arbitrary<readonly (readonly ObjectEvent[])[]> = fc.array(
  fc.array(arbitraryEvent, { minLength: 1, maxLength: 4 }),
  { maxLength: 12 },
);
