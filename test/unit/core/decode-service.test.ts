import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeService } from '../../../src/core/decode/service.ts';
import type { Service } from '../../../src/core/model.ts';
import { cidr, ips, port, service } from './build.ts';

/** The smallest complete Service, with more in its `spec`. */
const manifest = (spec: object = {}, more: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }], ...spec },
  ...more,
});

/** What {@link manifest} decodes to. */
const plain = service({ ipFamilies: [] });

test('a complete Service is decoded field for field', () => {
  const { object, problems } = decodeService({
    metadata: {
      name: 'web',
      namespace: 'shop',
      creationTimestamp: '2026-11-21T19:35:19Z',
      labels: { app: 'web' },
    },
    spec: {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1', 'FD00:96:0::1'],
      ipFamilies: ['IPv4', 'IPv6'],
      ports: [
        { name: 'http', port: 80, targetPort: 'web', nodePort: 30080, appProtocol: 'http' },
        { name: 'dns', protocol: 'UDP', port: 53 },
        { name: 'sig', protocol: 'SCTP', port: 80, nodePort: 0 },
      ],
      externalIPs: ['198.51.100.1', '', ' 2001:db8::1 ', '198.51.100.1'],
      loadBalancerSourceRanges: ['203.0.113.77/24', ' fd00::/8 '],
      internalTrafficPolicy: 'Local',
      externalTrafficPolicy: 'Local',
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
      healthCheckNodePort: 32000,
    },
    status: {
      loadBalancer: {
        ingress: [
          { ip: '198.51.100.2' },
          { ip: '198.51.100.3', ipMode: 'VIP' },
          { ip: '198.51.100.4', ipMode: 'Proxy' },
          { hostname: 'lb.example.com' },
          { ip: '' },
        ],
      },
    },
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(object, {
    namespace: 'shop',
    name: 'web',
    createdAt: '2026-11-21T19:35:19Z',
    foreignProxy: false,
    type: 'LoadBalancer',
    clusterIPs: ips('10.96.0.1 fd00:96::1'),
    ipFamilies: ['IPv4', 'IPv6'],
    ports: [
      port({ name: 'http', nodePort: 30_080 }),
      port({ name: 'dns', protocol: 'UDP', port: 53 }),
      port({ name: 'sig', protocol: 'SCTP' }),
    ],
    externalIPs: ips('198.51.100.1 2001:db8::1'),
    loadBalancerIPs: ips('198.51.100.2 198.51.100.3'),
    loadBalancerSourceRanges: [cidr('203.0.113.0/24'), cidr('fd00::/8')],
    internalTrafficPolicy: 'Local',
    externalTrafficPolicy: 'Local',
    affinitySeconds: 60,
    healthCheckNodePort: 32_000,
    scheduler: undefined,
    weights: undefined,
    drainSeconds: undefined,
  } satisfies Service);
});

test('a Service with the least in it gets the defaults of the API', () => {
  assert.deepEqual(decodeService(manifest()), { object: plain, problems: [] });
  const { object } = decodeService({ ...manifest(), metadata: { name: 'web' } });
  assert.equal(object?.namespace, 'default');
});

interface Case {
  readonly name: string;
  readonly spec?: object;
  readonly more?: object;
  readonly object?: Partial<Service>;
  /** Fields of the problems, in order. */
  readonly problems?: readonly string[];
}

const UDP_53 = { name: 'dns', protocol: 'UDP', port: 53 } as const;
const HTTP = { name: 'http', port: 80 };

const CASES: readonly Case[] = [
  // Services nobody serves.
  {
    name: 'headless by clusterIP',
    spec: { clusterIP: 'None' },
    object: { clusterIPs: [] },
  },
  {
    name: 'headless by clusterIPs, and without ports',
    spec: { clusterIP: 'None', clusterIPs: ['None'], ipFamilies: ['IPv4'], ports: undefined },
    object: { clusterIPs: [], ports: [] },
  },
  {
    name: 'ExternalName',
    spec: { type: 'ExternalName', externalName: 'example.com', clusterIP: undefined, ports: null },
    object: { type: 'ExternalName', clusterIPs: [], ports: [] },
  },
  {
    name: 'ExternalName that kept a cluster IP',
    spec: { type: 'ExternalName' },
    object: { type: 'ExternalName', clusterIPs: [] },
  },
  {
    name: 'the label of another proxy, whatever its value',
    more: {
      metadata: {
        name: 'web',
        namespace: 'shop',
        labels: { 'service.kubernetes.io/service-proxy-name': null },
      },
    },
    object: { foreignProxy: true },
  },

  // Cluster IPs and families.
  {
    name: 'an empty cluster IP',
    spec: { clusterIP: '' },
    object: { clusterIPs: [] },
    problems: ['spec.clusterIP'],
  },
  {
    name: 'no cluster IP at all',
    spec: { clusterIP: undefined },
    object: { clusterIPs: [] },
    problems: ['spec.clusterIP'],
  },
  {
    name: 'clusterIPs go before clusterIP',
    spec: { clusterIPs: ['10.96.0.2'] },
    object: { clusterIPs: ips('10.96.0.2') },
  },
  {
    name: 'a cluster IP of the wrong family is left to the selection',
    spec: { clusterIPs: ['10.96.0.1', '10.96.0.2'], ipFamilies: ['IPv4', 'IPv6'] },
    object: { clusterIPs: ips('10.96.0.1 10.96.0.2'), ipFamilies: ['IPv4', 'IPv6'] },
  },
  {
    name: 'a cluster IP that is left out takes its family along',
    spec: { clusterIPs: ['10.96.1', 'fd00::1'], ipFamilies: ['IPv4', 'IPv6'] },
    object: { clusterIPs: ips('fd00::1'), ipFamilies: ['IPv6'] },
    problems: ['spec.clusterIPs[0]'],
  },
  {
    name: 'a cluster IP without a family',
    spec: { clusterIPs: ['10.96.0.1', 'fd00::1'], ipFamilies: ['IPv4'] },
    object: { ipFamilies: ['IPv4'] },
    problems: ['spec.ipFamilies[1]'],
  },
  {
    name: 'a family that is none',
    spec: { ipFamilies: ['ipv4'] },
    object: { clusterIPs: [], ipFamilies: [] },
    problems: ['spec.ipFamilies[0]'],
  },
  {
    name: 'a family without a cluster IP',
    spec: { ipFamilies: ['IPv4', 'IPv6'] },
    object: { ipFamilies: ['IPv4'] },
  },
  ...['10.96.0.01', '127.1', '::ffff:10.96.0.1', '127.0.0.1', '0.0.0.0', '224.0.0.1', 17].map(
    (clusterIP): Case => ({
      name: `cluster IP ${clusterIP}`,
      spec: { clusterIP },
      object: { clusterIPs: [] },
      problems: ['spec.clusterIP'],
    }),
  ),

  // Ports.
  { name: 'no ports', spec: { ports: [] }, object: { ports: [] }, problems: ['spec.ports'] },
  { name: 'ports: null', spec: { ports: null }, object: { ports: [] }, problems: ['spec.ports'] },
  {
    name: 'ports that are no list',
    spec: { ports: { port: 80 } },
    object: { ports: [] },
    problems: ['spec.ports', 'spec.ports'],
  },
  {
    name: 'a port that is no object',
    spec: { ports: [80, { port: 80 }] },
    problems: ['spec.ports[0]'],
  },
  ...[0, 65_536, -1, 80.5, '80', Number.NaN, true].map((number): Case => ({
    name: `port ${JSON.stringify(number)}`,
    spec: { ports: [HTTP, { name: 'bad', port: number }] },
    object: { ports: [port({ name: 'http' })] },
    problems: ['spec.ports[1].port'],
  })),
  {
    name: 'a port without a number',
    spec: { ports: [HTTP, { name: 'bad' }] },
    object: { ports: [port({ name: 'http' })] },
    problems: ['spec.ports[1].port'],
  },
  {
    name: 'an unknown protocol',
    spec: { ports: [HTTP, { name: 'bad', port: 81, protocol: 'udp' }] },
    object: { ports: [port({ name: 'http' })] },
    problems: ['spec.ports[1].protocol'],
  },
  {
    name: 'a name that is none',
    spec: {
      ports: [{ name: 'HTTP', port: 80 }, { name: 7, port: 81 }, { name: 'a"b', port: 82 }, UDP_53],
    },
    object: { ports: [port(UDP_53)] },
    problems: ['spec.ports[0].name', 'spec.ports[1].name', 'spec.ports[2].name'],
  },
  {
    name: 'names of 63 and 64 characters',
    spec: {
      ports: [
        { name: 'a'.repeat(63), port: 80 },
        { name: 'a'.repeat(64), port: 81 },
      ],
    },
    object: { ports: [port({ name: 'a'.repeat(63) })] },
    problems: ['spec.ports[1].name'],
  },
  {
    name: 'a node port out of range leaves the port',
    spec: { ports: [{ port: 80, nodePort: 70_000 }] },
    problems: ['spec.ports[0].nodePort'],
  },
  {
    name: 'a port name given twice',
    spec: { ports: [HTTP, { name: 'http', protocol: 'UDP', port: 53 }] },
    object: { ports: [port({ name: 'http' })] },
    problems: ['spec.ports[1].name'],
  },
  {
    name: 'two unnamed ports',
    spec: { ports: [{ port: 80 }, { port: 81 }] },
    problems: ['spec.ports[1].name'],
  },
  {
    name: 'a number given twice for a protocol, but not for two',
    spec: { ports: [HTTP, { name: 'b', port: 80 }, { name: 'c', port: 80, protocol: 'UDP' }] },
    object: { ports: [port({ name: 'http' }), port({ name: 'c', protocol: 'UDP' })] },
    problems: ['spec.ports[1].port'],
  },
  {
    name: 'a node port given twice is left to the route table',
    spec: {
      ports: [
        { ...HTTP, nodePort: 30_080 },
        { name: 'b', port: 81, nodePort: 30_080 },
      ],
    },
    object: {
      ports: [
        port({ name: 'http', nodePort: 30_080 }),
        port({ name: 'b', port: 81, nodePort: 30_080 }),
      ],
    },
  },

  // Other addresses.
  {
    name: 'external IPs that cannot be served',
    spec: { externalIPs: ['x', '127.0.0.1', null, '198.51.100.1', '::'] },
    object: { externalIPs: ips('198.51.100.1') },
    problems: [
      'spec.externalIPs[0]',
      'spec.externalIPs[1]',
      'spec.externalIPs[2]',
      'spec.externalIPs[4]',
    ],
  },
  {
    name: 'load-balancer addresses that cannot be served',
    more: {
      status: { loadBalancer: { ingress: [{ ip: 'x' }, { ip: '1.2.3.4', ipMode: 'vip' }, 'y'] } },
    },
    problems: [
      'status.loadBalancer.ingress[2]',
      'status.loadBalancer.ingress[0].ip',
      'status.loadBalancer.ingress[1].ipMode',
    ],
  },
  {
    name: 'a source range that cannot be read closes the load-balancer addresses',
    spec: { loadBalancerSourceRanges: ['10.0.0.0/8', '10.0.0.0'] },
    more: { status: { loadBalancer: { ingress: [{ ip: '198.51.100.1' }] } } },
    object: { loadBalancerIPs: [], loadBalancerSourceRanges: [cidr('10.0.0.0/8')] },
    problems: ['spec.loadBalancerSourceRanges[1]'],
  },

  // Words and numbers.
  {
    name: 'unknown words',
    spec: {
      type: 'Nodeport',
      internalTrafficPolicy: 'local',
      externalTrafficPolicy: 1,
      sessionAffinity: 'ip',
    },
    problems: [
      'spec.type',
      'spec.internalTrafficPolicy',
      'spec.externalTrafficPolicy',
      'spec.sessionAffinity',
    ],
  },
  {
    name: 'affinity without a timeout',
    spec: { sessionAffinity: 'ClientIP' },
    object: { affinitySeconds: 10_800 },
  },
  {
    name: 'affinity at its upper limit',
    spec: {
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_400 } },
    },
    object: { affinitySeconds: 86_400 },
  },
  ...[0, 86_401, '60'].map((timeoutSeconds): Case => ({
    name: `affinity of ${JSON.stringify(timeoutSeconds)} seconds`,
    spec: {
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds } },
    },
    object: { affinitySeconds: 10_800 },
    problems: ['spec.sessionAffinityConfig.clientIP.timeoutSeconds'],
  })),
  {
    name: 'a timeout without affinity',
    spec: { sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } },
  },
  {
    name: 'a health-check port out of range',
    spec: { healthCheckNodePort: 65_536 },
    problems: ['spec.healthCheckNodePort'],
  },
  {
    name: 'a time with a fraction',
    more: {
      metadata: { name: 'web', namespace: 'shop', creationTimestamp: '2026-11-21T19:35:19.123Z' },
    },
    object: { createdAt: '2026-11-21T19:35:19Z' },
  },
  {
    name: 'a time that is none, or not in UTC',
    more: {
      metadata: { name: 'web', namespace: 'shop', creationTimestamp: '2026-11-21T19:35:19+01:00' },
    },
    problems: ['metadata.creationTimestamp'],
  },
];

for (const { name, spec, more, object = {}, problems = [] } of CASES) {
  test(`Service: ${name}`, () => {
    const decoded = decodeService(manifest(spec, more));
    assert.deepEqual(decoded.object, { ...plain, ...object });
    assert.deepEqual(
      decoded.problems.map(({ field }) => field),
      problems,
    );
  });
}

const UNUSABLE: readonly (readonly [name: string, value: unknown, field: string])[] = [
  ['nothing', undefined, ''],
  ['a list', [], ''],
  ['a string', 'Service', ''],
  ['no metadata', { spec: {} }, 'metadata.name'],
  ['no name', { metadata: { namespace: 'shop' } }, 'metadata.name'],
  ['an empty name', { metadata: { name: '' } }, 'metadata.name'],
  ['a name that is no string', { metadata: { name: 7 } }, 'metadata.name'],
  ['a slash in the name', { metadata: { name: 'a/b' } }, 'metadata.name'],
  ['a quote in the name', { metadata: { name: 'a"b' } }, 'metadata.name'],
  ['a name of 254 characters', { metadata: { name: 'a'.repeat(254) } }, 'metadata.name'],
  [
    'a namespace of 64 characters',
    { metadata: { name: 'a', namespace: 'b'.repeat(64) } },
    'metadata.namespace',
  ],
  ['a bad namespace', { metadata: { name: 'a', namespace: 'B' } }, 'metadata.namespace'],
];

for (const [name, value, field] of UNUSABLE) {
  test(`Service with ${name} is not used`, () => {
    const { object, problems } = decodeService(value);
    assert.equal(object, undefined);
    assert.deepEqual(
      problems.map((problem) => problem.field),
      [field],
    );
  });
}

test('a problem says what is wrong and what follows', () => {
  const { problems } = decodeService(
    manifest({ ports: [{ port: 80 }, { name: 'b', port: '81' }] }),
  );
  assert.deepEqual(problems, [
    {
      field: 'spec.ports[1].port',
      message: 'must be a whole number from 1 to 65535, not "81"; the port is left out',
    },
  ]);
});

test('a problem repeats only the beginning of a long value', () => {
  const { problems } = decodeService(manifest({ type: 'x'.repeat(10_000) }));
  assert.equal(problems.length, 1);
  assert.ok((problems[0]?.message.length ?? 0) < 200);
});
