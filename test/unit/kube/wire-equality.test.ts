/** The same object is the same through both formats. The protobuf is written by the stand-in server's own tables. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { annotationOf, versionOf } from '../../../src/kube/object-table.ts';
import {
  ENDPOINT_SLICES,
  type Resource,
  SERVICES,
  SERVICE_CIDRS,
  nodeNamed,
} from '../../../src/kube/resources.ts';
import type { WireEvent } from '../../../src/kube/wire/reader.ts';
import { StringPool } from '../../../src/kube/wire/string-pool.ts';
import { type WireFormat, listReader, watchReader } from '../../../src/kube/wire/wire.ts';
import { bookmarkFrame, eventFrame, listBody } from '../../../src/testing/encodings.ts';
import type { JsonObject } from '../../../src/testing/json.ts';
import { RESOURCES } from '../../../src/testing/resources.ts';
import type { Version } from '../../../src/testing/version.ts';

/** A field that an object may lack. */
const perhaps = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

/** A text that Go leaves out of JSON when it is empty. */
const full = (arbitrary: fc.Arbitrary<string>): fc.Arbitrary<string | undefined> =>
  perhaps(arbitrary.filter((text) => text !== ''));

const word = fc.oneof(
  fc.constantFrom('a', 'web', 'node-17.example.org', 'zone-ü', '€', 'TCP', 'IPv4', 'Local', 'VIP'),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
);
const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('None', '10.1.0.1'), word);
const cidr = fc.oneof(fc.constantFrom('10.0.0.0/8', 'fd00::/64', ' 10.0.0.0/8 '), word);
const int32 = fc.oneof(fc.integer(), fc.constantFrom(0, 1, 80, 65_535, -1));
const positive = int32.map((number) => (number === 0 ? undefined : number));
const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<readonly T[] | undefined> =>
  perhaps(fc.array(arbitrary, { minLength: 1, maxLength: 3 }));

const labels = perhaps(
  fc.dictionary(
    fc.constantFrom(
      'kubernetes.io/service-name',
      'service.kubernetes.io/headless',
      'service.kubernetes.io/service-proxy-name',
      'topology.kubernetes.io/zone',
      'app',
      '__proto__x',
    ),
    word,
    { noNullPrototype: true },
  ),
);

const time = fc
  .date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true })
  .map((date) => `${date.toISOString().slice(0, 19)}Z`);

const metadata = fc.record({
  name: full(fc.oneof(fc.constantFrom('web', 'a.b-c'), word)),
  generateName: perhaps(word),
  namespace: full(fc.oneof(fc.constantFrom('shop', 'default'), word)),
  uid: perhaps(word),
  resourceVersion: full(fc.nat().map(String)),
  generation: perhaps(fc.nat()),
  creationTimestamp: perhaps(time),
  deletionTimestamp: perhaps(time),
  labels,
  annotations: perhaps(fc.dictionary(word, word, { maxKeys: 3, noNullPrototype: true })),
  finalizers: some(word),
});

const protocol = full(fc.constantFrom('TCP', 'UDP', 'SCTP', 'ICMP'));

const service = fc.record({
  metadata,
  spec: fc.record({
    ports: some(
      fc.record({
        name: full(word),
        protocol,
        appProtocol: perhaps(word),
        port: int32,
        targetPort: perhaps(fc.oneof(int32, word)),
        nodePort: positive,
      }),
    ),
    selector: perhaps(fc.dictionary(word, word, { maxKeys: 2, noNullPrototype: true })),
    clusterIP: full(address),
    clusterIPs: some(address),
    type: full(fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName', 'Unknown')),
    externalIPs: some(address),
    sessionAffinity: full(fc.constantFrom('None', 'ClientIP')),
    loadBalancerSourceRanges: some(cidr),
    externalTrafficPolicy: full(fc.constantFrom('Local', 'Cluster', 'Odd')),
    healthCheckNodePort: positive,
    publishNotReadyAddresses: perhaps(fc.constant(true)),
    sessionAffinityConfig: perhaps(
      fc.record({ clientIP: perhaps(fc.record({ timeoutSeconds: perhaps(int32) })) }),
    ),
    ipFamilies: some(fc.constantFrom('IPv4', 'IPv6', 'IPv7')),
    ipFamilyPolicy: perhaps(word),
    internalTrafficPolicy: perhaps(fc.constantFrom('', 'Local', 'Cluster')),
  }),
  status: fc.record({
    loadBalancer: fc.record({
      ingress: some(
        fc.record({
          ip: full(address),
          hostname: full(word),
          ipMode: perhaps(fc.constantFrom('', 'VIP', 'Proxy', 'Odd')),
        }),
      ),
    }),
  }),
});

const named = some(fc.record({ name: word }));

const slice = fc.record({
  metadata,
  addressType: fc.constantFrom('IPv4', 'IPv6', 'FQDN', ''),
  endpoints: some(
    fc.record({
      addresses: some(address),
      conditions: fc.record({
        ready: perhaps(fc.boolean()),
        serving: perhaps(fc.boolean()),
        terminating: perhaps(fc.boolean()),
      }),
      hostname: perhaps(word),
      targetRef: perhaps(fc.record({ kind: perhaps(word), name: perhaps(word) })),
      nodeName: perhaps(word),
      zone: perhaps(word),
      hints: perhaps(fc.record({ forZones: named, forNodes: named })),
    }),
  ),
  ports: some(
    fc.record({
      name: perhaps(word),
      protocol: perhaps(fc.constantFrom('', 'TCP', 'UDP', 'Odd')),
      port: perhaps(int32),
      appProtocol: perhaps(word),
    }),
  ),
});

const node = fc.record({
  metadata,
  spec: fc.record({
    podCIDR: full(cidr),
    podCIDRs: some(cidr),
    taints: some(
      fc.record({
        key: fc.oneof(fc.constant('ToBeDeletedByClusterAutoscaler'), word),
        value: full(word),
        effect: word,
        timeAdded: perhaps(time),
      }),
    ),
    unschedulable: perhaps(fc.constant(true)),
  }),
  status: fc.record({
    addresses: some(
      fc.record({ type: fc.constantFrom('InternalIP', 'ExternalIP', 'Hostname', ''), address }),
    ),
  }),
});

const serviceCidr = fc.record({ metadata, spec: fc.record({ cidrs: some(cidr) }) });

/** An object as it is stored: what JSON cannot hold is left out. */
const stored = (object: unknown): Version => ({
  key: '',
  name: '',
  namespace: '',
  revision: 0,
  object: JSON.parse(JSON.stringify(object)) as JsonObject,
  json: undefined,
  protobuf: undefined,
});

/** Hands bytes over in pieces. */
function push(bytes: Buffer, size: number, reader: { push(chunk: Buffer): void }): void {
  for (let start = 0; start < bytes.length; start += size) {
    reader.push(bytes.subarray(start, start + size));
  }
}

const kinds: readonly (readonly [Resource<unknown>, fc.Arbitrary<unknown>])[] = [
  [SERVICES, service],
  [ENDPOINT_SLICES, slice],
  [nodeNamed('a'), node],
  [SERVICE_CIDRS, serviceCidr],
];

for (const [resource, arbitrary] of kinds) {
  const server = RESOURCES.find(({ kind }) => kind === resource.kind);
  assert.ok(server);

  it(`a list of ${resource.plural} is the same in JSON and in protobuf`, () => {
    fc.assert(
      fc.property(
        fc.array(arbitrary, { maxLength: 3 }),
        fc.integer({ min: 1, max: 400 }),
        (objects, size) => {
          const read = (format: WireFormat): unknown => {
            const items: unknown[] = [];
            const reader = listReader(format, resource.message, new StringPool(), (item) =>
              items.push(resource.decode(item)),
            );
            const meta = { resourceVersion: '7', continue: 'ü' };
            push(listBody(format, server, meta, objects.map(stored)), size, reader);
            return { meta: reader.end(), items };
          };
          assert.deepEqual(read('protobuf'), read('json'));
        },
      ),
      { numRuns: 150 },
    );
  });

  it(`a watch of ${resource.plural} is the same in JSON and in protobuf`, () => {
    fc.assert(
      fc.property(
        fc.array(arbitrary, { maxLength: 3 }),
        fc.integer({ min: 1, max: 400 }),
        (objects, size) => {
          const read = (format: WireFormat): unknown => {
            const events: unknown[] = [];
            const tell = ({ type, kind, value }: WireEvent): void => {
              const end = annotationOf(value, 'k8s.io/initial-events-end');
              events.push([type, kind, versionOf(value), end, resource.decode(value)]);
            };
            const reader = watchReader(format, resource.message, new StringPool(), tell);
            const frames = objects.map((object) =>
              eventFrame(format, server, 'MODIFIED', stored(object)),
            );
            frames.push(bookmarkFrame(format, server, 9, true));
            push(Buffer.concat(frames), size, reader);
            reader.end();
            return events;
          };
          assert.deepEqual(read('protobuf'), read('json'));
        },
      ),
      { numRuns: 150 },
    );
  });
}
