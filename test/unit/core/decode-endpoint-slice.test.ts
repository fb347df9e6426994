import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeEndpointSlice } from '../../../src/core/decode/endpoint-slice.ts';
import type { EndpointSlice } from '../../../src/core/model.ts';
import { endpoint, ip, slice } from './build.ts';

const LABELS = { 'kubernetes.io/service-name': 'web' };

/** The slice `shop/web-1` with the unnamed port 8080/TCP and one endpoint, with other fields. */
const manifest = (fields: object = {}): object => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'web-1', namespace: 'shop', labels: LABELS },
  addressType: 'IPv4',
  ports: [{ name: '', port: 8080 }],
  endpoints: [{ addresses: ['10.1.0.1'] }],
  ...fields,
});

const somewhere = endpoint('10.1.0.1', { nodeName: undefined });
/** What {@link manifest} decodes to. */
const plain = slice([somewhere]);

test('a complete EndpointSlice is decoded field for field', () => {
  const { object, problems } = decodeEndpointSlice({
    metadata: {
      name: 'web-1',
      namespace: 'shop',
      labels: LABELS,
      annotations: {
        'endpoints.kubernetes.io/last-change-trigger-time': '2026-11-21T19:35:19.5Z',
        other: 'text',
        'switchyard.dev/weight': '3',
      },
    },
    addressType: 'IPv6',
    ports: [
      { name: 'http', protocol: 'TCP', port: 8080, appProtocol: 'http' },
      { name: 'dns', protocol: 'UDP', port: 53 },
    ],
    endpoints: [
      {
        addresses: ['FD00::0001', 'fd00::2'],
        conditions: { ready: false, serving: true, terminating: true },
        nodeName: 'here',
        zone: 'a',
        hints: { forZones: [{ name: 'a' }, { name: 'b' }], forNodes: [{ name: 'here' }] },
      },
    ],
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(object, {
    namespace: 'shop',
    name: 'web-1',
    serviceName: 'web',
    family: 'IPv6',
    ports: [
      { name: 'http', protocol: 'TCP', port: 8080 },
      { name: 'dns', protocol: 'UDP', port: 53 },
    ],
    endpoints: [
      {
        address: ip('fd00::1'),
        nodeName: 'here',
        zone: 'a',
        ready: false,
        serving: true,
        terminating: true,
        forZones: ['a', 'b'],
        forNodes: ['here'],
      },
    ],
    triggeredAt: '2026-11-21T19:35:19.5Z',
    weights: new Map([['*', 3]]),
  } satisfies EndpointSlice);
});

interface Case {
  readonly name: string;
  readonly fields: object;
  readonly object: EndpointSlice | undefined;
  /** Fields of the problems, in order. */
  readonly problems?: readonly string[];
}

const withLabels = (labels: unknown): object => ({
  metadata: { name: 'web-1', namespace: 'shop', labels },
});
const conditions = (value: unknown): object => ({
  endpoints: [{ addresses: ['10.1.0.1'], conditions: value }],
});

const CASES: readonly Case[] = [
  { name: 'the least in it', fields: {}, object: plain },

  // Slices nobody serves.
  { name: 'no labels', fields: withLabels(undefined), object: undefined },
  { name: 'no Service named', fields: withLabels({ app: 'web' }), object: undefined },
  {
    name: 'an empty Service name',
    fields: withLabels({ 'kubernetes.io/service-name': '' }),
    object: undefined,
  },
  {
    name: 'the label of a headless Service, whatever its value',
    fields: withLabels({ ...LABELS, 'service.kubernetes.io/headless': '' }),
    object: undefined,
  },
  {
    name: 'address type FQDN',
    fields: { addressType: 'FQDN', endpoints: [{ addresses: ['web.example.com'] }] },
    object: undefined,
    problems: ['addressType'],
  },
  {
    name: 'no address type',
    fields: { addressType: undefined },
    object: undefined,
    problems: ['addressType'],
  },
  {
    name: 'an unknown address type',
    fields: { addressType: 'IP' },
    object: undefined,
    problems: ['addressType'],
  },
  {
    name: 'no name',
    fields: { metadata: { namespace: 'shop', labels: LABELS } },
    object: undefined,
    problems: ['metadata.name'],
  },
  {
    name: 'a Service name that is no string',
    fields: withLabels({ 'kubernetes.io/service-name': 7 }),
    object: undefined,
    problems: ['metadata.labels.kubernetes.io/service-name'],
  },

  // Ports.
  { name: 'ports: null', fields: { ports: null }, object: { ...plain, ports: [] } },
  { name: 'a port name that is not written', fields: { ports: [{ port: 8080 }] }, object: plain },
  {
    name: 'a null port name',
    fields: {
      ports: [
        { name: null, port: 80 },
        { name: '', port: 8080 },
      ],
    },
    object: plain,
    problems: ['ports[0].name'],
  },
  {
    name: 'a null port',
    fields: {
      ports: [
        { name: 'all', port: null },
        { name: '', port: 8080 },
      ],
    },
    object: plain,
    problems: ['ports[0].port'],
  },
  {
    name: 'port numbers that are none',
    fields: { ports: [{ port: 0 }, { port: 65_536 }, { port: '80' }, { port: 8080 }, 80] },
    object: plain,
    problems: ['ports[4]', 'ports[0].port', 'ports[1].port', 'ports[2].port'],
  },
  {
    name: 'a null protocol',
    fields: { ports: [{ name: '', port: 8080, protocol: null }] },
    object: plain,
  },
  {
    name: 'an unknown protocol',
    fields: { ports: [{ name: '', port: 8080, protocol: 'QUIC' }] },
    object: { ...plain, ports: [] },
    problems: ['ports[0].protocol'],
  },

  // Endpoints.
  { name: 'endpoints: null', fields: { endpoints: null }, object: slice([]) },
  {
    name: 'endpoints without an address',
    fields: {
      endpoints: [{}, { addresses: [] }, { addresses: null }, { addresses: ['10.1.0.1'] }],
    },
    object: plain,
    problems: ['endpoints[0].addresses', 'endpoints[1].addresses', 'endpoints[2].addresses'],
  },
  ...[
    'x',
    '10.1.1',
    '010.1.0.2',
    '::ffff:10.1.0.2',
    '127.0.0.2',
    '0.0.0.0',
    '169.254.0.2',
    '224.0.0.2',
    'fd00::2',
    17,
    null,
  ].map((address): Case => ({
    name: `an endpoint with the address ${address}`,
    fields: { endpoints: [{ addresses: [address] }, { addresses: ['10.1.0.1'] }] },
    object: plain,
    problems: ['endpoints[0].addresses[0]'],
  })),
  ...['::1', '::', 'fe80::1', 'ff02::1', '::ffff:10.1.0.2', '10.1.0.2'].map((address): Case => ({
    name: `an IPv6 endpoint with the address ${address}`,
    fields: { addressType: 'IPv6', endpoints: [{ addresses: [address] }] },
    object: { ...slice([]), family: 'IPv6' },
    problems: ['endpoints[0].addresses[0]'],
  })),
  { name: 'no conditions', fields: conditions(undefined), object: plain },
  { name: 'conditions: null', fields: conditions(null), object: plain },
  {
    name: 'conditions that are null',
    fields: conditions({ ready: null, serving: null, terminating: null }),
    object: plain,
  },
  {
    name: 'not ready, and serving not said: serving',
    fields: conditions({ ready: false }),
    object: slice([{ ...somewhere, ready: false }]),
  },
  {
    name: 'conditions that are no booleans',
    fields: conditions({ ready: 'false', serving: 0, terminating: 'yes' }),
    object: plain,
    problems: [
      'endpoints[0].conditions.ready',
      'endpoints[0].conditions.serving',
      'endpoints[0].conditions.terminating',
    ],
  },
  {
    name: 'an empty node name',
    fields: { endpoints: [{ addresses: ['10.1.0.1'], nodeName: '' }] },
    object: plain,
  },
  {
    name: 'hints that cannot be read',
    fields: {
      endpoints: [
        { addresses: ['10.1.0.1'], hints: { forZones: [{ name: 'a' }, {}, 'b', { name: 1 }] } },
      ],
    },
    object: slice([{ ...somewhere, forZones: ['a'] }]),
    problems: ['endpoints[0].hints.forZones[2]', 'endpoints[0].hints.forZones[3].name'],
  },
];

for (const { name, fields, object, problems = [] } of CASES) {
  test(`EndpointSlice: ${name}`, () => {
    const decoded = decodeEndpointSlice(manifest(fields));
    assert.deepEqual(decoded.object, object);
    assert.deepEqual(
      decoded.problems.map(({ field }) => field),
      problems,
    );
  });
}

test('an address of the wrong kind is named in the problem', () => {
  const { problems } = decodeEndpointSlice(
    manifest({ endpoints: [{ addresses: ['::ffff:10.1.0.2'] }, { addresses: ['fd00::2'] }] }),
  );
  assert.deepEqual(
    problems.map(({ message }) => message),
    [
      '"::ffff:10.1.0.2" is not an IPv4 or IPv6 address; the endpoint is left out',
      'fd00::2 is no IPv4 address; the endpoint is left out',
    ],
  );
});

test('1,000 endpoints are all decoded', () => {
  const endpoints = Array.from({ length: 1000 }, (_, index) => ({
    addresses: [`10.1.${index >> 8}.${index & 255}`],
  }));
  assert.equal(decodeEndpointSlice(manifest({ endpoints })).object?.endpoints.length, 1000);
});
