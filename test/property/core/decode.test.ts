import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeEndpointSlice } from '../../../src/core/decode/endpoint-slice.ts';
import { decodeNode } from '../../../src/core/decode/node.ts';
import type { Decoded } from '../../../src/core/decode/problem.ts';
import { decodeService } from '../../../src/core/decode/service.ts';
import { familyOf, isLoopback, parseAddress } from '../../../src/core/ip.ts';
import { select } from '../../../src/core/select/select.ts';
import { initialView } from '../arbitraries.ts';

const RUNS = { numRuns: 1000 };

/** Complete objects, to be spoiled in one or more places. */
const SERVICE = {
  metadata: { name: 'x', namespace: 'n', labels: {}, creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: {
    type: 'LoadBalancer',
    clusterIP: '10.96.0.1',
    clusterIPs: ['10.96.0.1', 'fd00:96::1'],
    ipFamilies: ['IPv4', 'IPv6'],
    ports: [
      { name: 'a', protocol: 'TCP', port: 80, nodePort: 30_080 },
      { name: 'b', protocol: 'UDP', port: 53, nodePort: 30_053 },
    ],
    externalIPs: ['198.51.100.1'],
    loadBalancerSourceRanges: ['203.0.113.0/24'],
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Local',
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
    healthCheckNodePort: 32_000,
  },
  status: { loadBalancer: { ingress: [{ ip: '198.51.100.2', ipMode: 'VIP' }] } },
};
const SLICE = {
  metadata: { name: 's', namespace: 'n', labels: { 'kubernetes.io/service-name': 'x' } },
  addressType: 'IPv4',
  ports: [{ name: 'a', protocol: 'TCP', port: 8080 }],
  endpoints: [
    {
      addresses: ['10.1.0.1'],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'here',
      hints: { forZones: [{ name: 'a' }], forNodes: [{ name: 'here' }] },
    },
  ],
};
const NODE = {
  metadata: { name: 'here', labels: { 'topology.kubernetes.io/zone': 'a' } },
  spec: { podCIDRs: ['10.1.0.0/24'], taints: [{ key: 'a', effect: 'NoSchedule' }] },
  status: { addresses: [{ type: 'InternalIP', address: '192.168.0.1' }] },
};

/** Paths of all values inside a value, its own included. */
function paths(value: unknown, own: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [own];
  const inner = Object.entries(value).flatMap(([key, item]) => paths(item, [...own, key]));
  return [own, ...inner];
}

/** A copy of a value with another value in one place. */
function spoil(value: unknown, path: readonly string[], other: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return other;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) =>
      String(index) === key ? spoil(item, rest, other) : item,
    );
  }
  const entries = Object.entries(value).map(([name, item]): [string, unknown] =>
    name === key ? [name, spoil(item, rest, other)] : [name, item],
  );
  return Object.fromEntries(entries);
}

const odd = fc.oneof(
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
  fc.constantFrom(null, undefined, '', 0, -1, 65_536, Number.NaN, [], {}, 'None', 'FQDN', 'Local'),
  fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('::ffff:1.2.3.4'), fc.constant('127.0.0.1')),
);

const spoiled = (complete: object): fc.Arbitrary<unknown> =>
  fc
    .array(fc.tuple(fc.constantFrom(...paths(complete)), odd), { minLength: 1, maxLength: 3 })
    .map((places) =>
      places.reduce((value: unknown, [path, other]) => spoil(value, path, other), complete),
    );

const DECODERS: readonly (readonly [
  name: string,
  complete: object,
  decode: (value: unknown) => Decoded<unknown>,
])[] = [
  ['Service', SERVICE, decodeService],
  ['EndpointSlice', SLICE, decodeEndpointSlice],
  ['Node', NODE, decodeNode],
];

for (const [name, complete, decode] of DECODERS) {
  test(`a complete ${name} has no problems`, () => {
    const { object, problems } = decode(complete);
    assert.ok(object);
    assert.deepEqual(problems, []);
  });

  test(`decoding a ${name} throws for no value, and every problem has a text`, () => {
    fc.assert(
      fc.property(fc.oneof(odd, spoiled(complete)), (value) => {
        for (const { field, message } of decode(value).problems) {
          assert.equal(typeof field, 'string');
          assert.ok(message.length > 0 && message.length < 300);
        }
      }),
      RUNS,
    );
  });
}

test('a Service that is decoded holds only usable values and can be selected', () => {
  fc.assert(
    fc.property(spoiled(SERVICE), (value) => {
      const { object } = decodeService(value);
      if (object === undefined) return;
      assert.match(object.name, /^[a-z0-9.-]+$/);
      assert.ok(
        object.ipFamilies.length === 0 || object.ipFamilies.length === object.clusterIPs.length,
      );
      for (const { port, nodePort } of object.ports) {
        assert.ok(port >= 1 && port <= 65_535 && nodePort >= 0 && nodePort <= 65_535);
      }
      const addresses = [...object.clusterIPs, ...object.externalIPs, ...object.loadBalancerIPs];
      for (const address of addresses) {
        assert.equal(parseAddress(address), address);
        assert.ok(!isLoopback(address));
      }
      select(object, [], initialView);
    }),
    RUNS,
  );
});

test('an EndpointSlice that is decoded holds only usable values', () => {
  fc.assert(
    fc.property(spoiled(SLICE), (value) => {
      const { object } = decodeEndpointSlice(value);
      if (object === undefined) return;
      assert.notEqual(object.serviceName, '');
      for (const { port } of object.ports) assert.ok(port >= 1 && port <= 65_535);
      for (const { address } of object.endpoints) {
        assert.equal(parseAddress(address), address);
        assert.equal(familyOf(address), object.family);
        assert.ok(!isLoopback(address));
      }
    }),
    RUNS,
  );
});
