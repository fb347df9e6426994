import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPort } from '../../../src/core/ip.ts';
import type { EndpointSlice, Service, SliceEndpoint } from '../../../src/core/model.ts';
import { endpoint, ip, onlyRoute, port, service, show, slice, view } from './build.ts';

const HERE = { nodeName: 'here' };
const NOT_READY = { ready: false, serving: false };
const DRAINING = { ready: false, serving: true, terminating: true };
const GONE = { ready: false, serving: false, terminating: true };

/** What one traffic class is sent to: `reject`, `drop` or the last bytes of the endpoints' addresses. */
type Shown = string | undefined;

interface Case {
  readonly name: string;
  readonly endpoints: readonly SliceEndpoint[];
  readonly internal: Shown;
  readonly external: Shown;
  readonly inside?: Shown;
  readonly service?: Partial<Service>;
}

const NODE_PORT: Partial<Service> = { type: 'NodePort', ports: [port({ nodePort: 30_080 })] };
const EXTERNAL_LOCAL: Partial<Service> = { ...NODE_PORT, externalTrafficPolicy: 'Local' };
const INTERNAL_LOCAL: Partial<Service> = { ...NODE_PORT, internalTrafficPolicy: 'Local' };
const BOTH_LOCAL: Partial<Service> = { ...EXTERNAL_LOCAL, internalTrafficPolicy: 'Local' };

const e = (
  last: number,
  fields: Partial<SliceEndpoint> = {},
  more: Partial<SliceEndpoint> = {},
): SliceEndpoint => endpoint(`10.1.0.${last}`, { ...fields, ...more });
const zones = (...forZones: readonly string[]): Partial<SliceEndpoint> => ({ forZones });
const nodes = (...forNodes: readonly string[]): Partial<SliceEndpoint> => ({ forNodes });

const CASES: readonly Case[] = [
  // Readiness and the fallback to terminating endpoints.
  { name: 'no endpoints: refused', endpoints: [], internal: 'reject', external: 'reject' },
  {
    name: 'ready endpoints only',
    endpoints: [e(1), e(2, NOT_READY), e(3, DRAINING), e(4, GONE)],
    internal: '1',
    external: '1',
  },
  {
    name: 'nothing ready: those that still serve while they terminate',
    endpoints: [e(2, NOT_READY), e(3, DRAINING), e(4, GONE), e(5, DRAINING)],
    internal: '3 5',
    external: '3 5',
  },
  {
    name: 'serving but neither ready nor terminating: refused',
    endpoints: [e(1, { ready: false, serving: true })],
    internal: 'reject',
    external: 'reject',
  },
  {
    name: 'terminating and no longer serving: refused',
    endpoints: [e(1, GONE)],
    internal: 'reject',
    external: 'reject',
  },
  {
    name: 'ready counts even where serving does not (published before it is ready)',
    endpoints: [e(1, { ready: true, serving: false })],
    internal: '1',
    external: '1',
  },
  {
    name: 'ready counts even while terminating',
    endpoints: [e(1, { terminating: true }), e(2, DRAINING)],
    internal: '1',
    external: '1',
  },

  // Traffic policies.
  {
    name: 'external policy Local: endpoints here, all of them for clients inside',
    service: EXTERNAL_LOCAL,
    endpoints: [e(1), e(2, HERE), e(3, HERE)],
    internal: '1 2 3',
    external: '2 3',
    inside: '1 2 3',
  },
  {
    name: 'external policy Local, nothing here: silence outside, all of them for clients inside',
    service: EXTERNAL_LOCAL,
    endpoints: [e(1), e(2, HERE, NOT_READY)],
    internal: '1',
    external: 'drop',
    inside: '1',
  },
  {
    name: 'external policy Local, nothing anywhere: refused',
    service: EXTERNAL_LOCAL,
    endpoints: [e(2, HERE, NOT_READY)],
    internal: 'reject',
    external: 'reject',
    inside: 'reject',
  },
  {
    name: 'external policy Local falls back here although others are ready elsewhere',
    service: EXTERNAL_LOCAL,
    endpoints: [e(1), e(2, HERE, DRAINING)],
    internal: '1',
    external: '2',
    inside: '1',
  },
  {
    name: 'external policy Local does not fall back while one is ready here',
    service: EXTERNAL_LOCAL,
    endpoints: [e(1, DRAINING), e(2, HERE), e(3, HERE, DRAINING)],
    internal: '2',
    external: '2',
    inside: '2',
  },
  {
    name: 'external policy Local, only draining elsewhere: silence outside',
    service: EXTERNAL_LOCAL,
    endpoints: [e(1, DRAINING)],
    internal: '1',
    external: 'drop',
    inside: '1',
  },
  {
    name: 'external policy Local: an endpoint of unknown place is not here',
    service: EXTERNAL_LOCAL,
    endpoints: [e(1, { nodeName: undefined })],
    internal: '1',
    external: 'drop',
    inside: '1',
  },
  {
    name: 'internal policy Local: endpoints here, outside unaffected',
    service: INTERNAL_LOCAL,
    endpoints: [e(1), e(2, HERE)],
    internal: '2',
    external: '1 2',
  },
  {
    name: 'internal policy Local, nothing here: silence, outside unaffected',
    service: INTERNAL_LOCAL,
    endpoints: [e(1)],
    internal: 'drop',
    external: '1',
  },
  {
    name: 'internal policy Local, nothing anywhere: refused',
    service: INTERNAL_LOCAL,
    endpoints: [e(1, GONE)],
    internal: 'reject',
    external: 'reject',
  },
  {
    name: 'internal policy Local, draining here, ready elsewhere: falls back here',
    service: INTERNAL_LOCAL,
    endpoints: [e(1), e(2, HERE, DRAINING)],
    internal: '2',
    external: '1',
  },
  {
    name: 'internal policy Local on a Service nobody reaches from outside',
    service: { internalTrafficPolicy: 'Local' },
    endpoints: [e(1), e(2, HERE)],
    internal: '2',
    external: '2',
  },
  {
    name: 'both policies Local: no way round for cluster-IP traffic',
    service: BOTH_LOCAL,
    endpoints: [e(1)],
    internal: 'drop',
    external: 'drop',
    inside: '1',
  },

  // External policy Local has to apply at all.
  {
    name: 'external policy Local on a Service without node port, external or balancer IP: ignored',
    service: { externalTrafficPolicy: 'Local' },
    endpoints: [e(1)],
    internal: '1',
    external: '1',
  },
  {
    name: 'external policy Local on a ClusterIP Service with external IPs: applies',
    service: { externalTrafficPolicy: 'Local', externalIPs: [ip('198.51.100.1')] },
    endpoints: [e(1)],
    internal: '1',
    external: 'drop',
    inside: '1',
  },
  {
    name: 'external policy Local on a ClusterIP Service with a left-over balancer IP: ignored',
    service: { externalTrafficPolicy: 'Local', loadBalancerIPs: [ip('198.51.100.1')] },
    endpoints: [e(1)],
    internal: '1',
    external: '1',
  },
  {
    name: 'external policy Local on a LoadBalancer Service with a balancer IP: applies',
    service: {
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      loadBalancerIPs: [ip('198.51.100.1')],
    },
    endpoints: [e(1)],
    internal: '1',
    external: 'drop',
    inside: '1',
  },
  {
    name: 'external policy Local on a LoadBalancer Service that has no address yet: ignored',
    service: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' },
    endpoints: [e(1)],
    internal: '1',
    external: '1',
  },

  // Topology hints.
  {
    name: 'zone hints: this zone',
    endpoints: [e(1, zones('b')), e(2, zones('b', 'a')), e(3, zones('a'))],
    internal: '2 3',
    external: '2 3',
  },
  {
    name: 'zone hints that do not name this zone: ignored',
    endpoints: [e(1, zones('b')), e(2, zones('c'))],
    internal: '1 2',
    external: '1 2',
  },
  {
    name: 'zone hints that a ready endpoint lacks: ignored',
    endpoints: [e(1, zones('a')), e(2)],
    internal: '1 2',
    external: '1 2',
  },
  {
    name: 'zone hints that an unready endpoint lacks: honoured',
    endpoints: [e(1, zones('a')), e(2, zones('b')), e(3, NOT_READY), e(4, DRAINING)],
    internal: '1',
    external: '1',
  },
  {
    name: 'node hints: this node, before zone hints',
    endpoints: [e(1, nodes('here'), zones('b')), e(2, nodes('other'), zones('a'))],
    internal: '1',
    external: '1',
  },
  {
    name: 'node hints that do not name this node: zone hints',
    endpoints: [e(1, nodes('x'), zones('b')), e(2, nodes('other'), zones('a'))],
    internal: '2',
    external: '2',
  },
  {
    name: 'node hints that a ready endpoint lacks: zone hints',
    endpoints: [e(1, nodes('here'), zones('b')), e(2, zones('a'))],
    internal: '2',
    external: '2',
  },
  {
    name: 'hints do not apply to the fallback',
    endpoints: [e(1, DRAINING, zones('a')), e(2, DRAINING, zones('b'))],
    internal: '1 2',
    external: '1 2',
  },
  {
    name: 'hints do not apply to a Local policy',
    service: EXTERNAL_LOCAL,
    endpoints: [e(1, zones('a')), e(2, HERE, zones('b'))],
    internal: '1',
    external: '2',
    inside: '1',
  },
];

for (const { name, service: fields = NODE_PORT, endpoints, internal, external, inside } of CASES) {
  test(`endpoints: ${name}`, () => {
    const route = onlyRoute(service(fields), [slice(endpoints)]);
    assert.equal(brief(show(route.internal)), internal, 'cluster-IP traffic');
    assert.equal(brief(show(route.external)), external, 'external traffic');
    assert.equal(brief(show(route.externalFromInside)), inside, 'external traffic from inside');
    assert.equal(route.masqueradeExternal, inside === undefined, 'masquerade of external traffic');
  });
}

function brief(shown: readonly string[] | string | undefined): Shown {
  if (shown === undefined || typeof shown === 'string') return shown;
  return shown.map((place) => place.replace(/^10\.1\.0\.(\d+):8080$/, '$1')).join(' ');
}

test('a node whose zone is unknown follows no zone hints', () => {
  const route = onlyRoute(
    service(),
    [slice([e(1, zones('a')), e(2, zones('undefined'))])],
    view({ zone: undefined }),
  );
  assert.deepEqual(show(route.internal), ['10.1.0.1:8080', '10.1.0.2:8080']);
});

test('slices join by port name and protocol, each with its own number', () => {
  const ports: EndpointSlice['ports'] = [
    { name: 'dns', protocol: 'UDP', port: 5353 },
    { name: 'dns', protocol: 'TCP', port: 5354 },
    { name: 'metrics', protocol: 'UDP', port: 9153 },
  ];
  const route = onlyRoute(service({ ports: [port({ name: 'dns', protocol: 'UDP', port: 53 })] }), [
    slice([e(1)], { name: 'web-1', ports }),
    slice([e(2)], { name: 'web-2', ports: [{ name: 'dns', protocol: 'UDP', port: 1053 }] }),
    slice([e(3)], { name: 'web-3', ports: [{ name: '', protocol: 'UDP', port: 53 }] }),
    slice([e(4)], { name: 'web-4', ports: [] }),
  ]);
  assert.deepEqual(show(route.internal), ['10.1.0.1:5353', '10.1.0.2:1053']);
});

test('slices of the other family are not joined', () => {
  const route = onlyRoute(service(), [
    slice([endpoint('10.1.0.1')]),
    slice([endpoint('fd00::1')], { name: 'web-2', family: 'IPv6' }),
  ]);
  assert.deepEqual(show(route.internal), ['10.1.0.1:8080']);
});

test('endpoints are ordered by ip:port as text', () => {
  const route = onlyRoute(service(), [slice([e(9), e(10), e(1), e(100)])]);
  assert.deepEqual(
    show(route.internal),
    ['10.1.0.100:8080', '10.1.0.10:8080', '10.1.0.1:8080', '10.1.0.9:8080'].toSorted(),
  );
});

interface Duplicate {
  readonly name: string;
  readonly one: Partial<SliceEndpoint>;
  readonly other: Partial<SliceEndpoint>;
  readonly internal: string;
  readonly local: boolean;
}

const DUPLICATES: readonly Duplicate[] = [
  { name: 'equal ones count once', one: {}, other: {}, internal: '1', local: false },
  { name: 'a terminating one gives way', one: DRAINING, other: HERE, internal: '1', local: true },
  {
    name: 'one that is ready but terminating gives way to one that is not ready yet',
    one: { terminating: true },
    other: NOT_READY,
    internal: 'reject',
    local: false,
  },
  {
    name: 'one that is not ready gives way',
    one: NOT_READY,
    other: HERE,
    internal: '1',
    local: true,
  },
];

for (const { name, one, other, internal, local } of DUPLICATES) {
  test(`duplicates over two slices: ${name}, in either order`, () => {
    const first = slice([e(1, one)], { name: 'web-1' });
    const second = slice([e(1, other)], { name: 'web-2' });
    for (const slices of [
      [first, second],
      [second, first],
    ]) {
      const { internal: target } = onlyRoute(service(), slices);
      assert.equal(brief(show(target)), internal);
      assert.equal(target.kind === 'endpoints' && target.endpoints[0]?.local, local);
    }
  });
}

test('duplicates that differ in place alone are decided alike in either order', () => {
  const slices = [
    slice([e(1, { nodeName: 'here' })], { name: 'web-1' }),
    slice([e(1, { nodeName: 'other' })], { name: 'web-2' }),
  ];
  assert.deepEqual(onlyRoute(service(), slices), onlyRoute(service(), slices.toReversed()));
});

test('the same address on two port numbers is two endpoints', () => {
  const route = onlyRoute(service(), [
    slice([e(1)]),
    slice([e(1)], { name: 'web-2', ports: [{ name: '', protocol: 'TCP', port: 9090 }] }),
  ]);
  assert.deepEqual(show(route.internal), ['10.1.0.1:8080', '10.1.0.1:9090']);
});

test('an endpoint is local on this node or where its node is unknown, and weighs 1', () => {
  const { internal } = onlyRoute(service(), [
    slice([e(1), e(2, HERE), e(3, { nodeName: undefined })]),
  ]);
  assert.ok(internal.kind === 'endpoints');
  assert.deepEqual(
    internal.endpoints.map(({ local }) => local),
    [false, true, true],
  );
  assert.ok(internal.endpoints.every(({ weight }) => weight === 1));
});

test('serving lists every serving endpoint, whatever policy, readiness and hints say', () => {
  const route = onlyRoute(service(BOTH_LOCAL), [
    slice([
      e(1, zones('b')),
      e(2, DRAINING),
      e(3, GONE),
      e(4, { ready: false }),
      e(5, { serving: false }),
    ]),
  ]);
  assert.deepEqual(
    route.serving,
    [1, 2, 4].map((last) => hostPort(ip(`10.1.0.${last}`), 8080)),
  );
});

test('equal lists are the same object', () => {
  const route = onlyRoute(service(EXTERNAL_LOCAL), [slice([e(1, HERE), e(2, HERE)])]);
  assert.equal(route.internal, route.external);
  assert.equal(route.internal, route.externalFromInside);
});

test('1,000 endpoints in one slice and 300 slices of one Service are all joined', () => {
  const thousand = Array.from({ length: 1000 }, (_, index) =>
    endpoint(`10.1.${index >> 8}.${index & 255}`),
  );
  const many = Array.from({ length: 300 }, (_, index) =>
    slice([endpoint(`10.2.${index >> 8}.${index & 255}`), e(1)], { name: `web-${index}` }),
  );
  const route = onlyRoute(service(), [slice(thousand, { name: 'big' }), ...many]);
  assert.equal(show(route.internal)?.length, 1300);
  assert.equal(route.serving.length, 1300);
});

/** Weights of the endpoints of cluster-IP traffic: `10.1.0.1=3`. */
function weightsOf(fields: Partial<Service>, slices: readonly EndpointSlice[]): readonly string[] {
  const { internal } = onlyRoute(service(fields), slices);
  if (internal.kind !== 'endpoints') return [internal.kind];
  return internal.endpoints.map(({ address, weight }) => `${address}=${weight}`);
}

test('an address counts before a zone, a zone before the rest, and a slice before its Service', () => {
  const endpoints = [e(1, { zone: 'a' }), e(2, { zone: 'a' }), e(3, { zone: 'b' }), e(4)];
  const weights = new Map([
    ['10.1.0.1', 5],
    ['a', 2],
  ]);
  assert.deepEqual(weightsOf({ weights }, [slice(endpoints)]), [
    '10.1.0.1=5',
    '10.1.0.2=2',
    '10.1.0.3=1',
    '10.1.0.4=1',
  ]);
  const own = slice(endpoints, { weights: new Map([['*', 7]]) });
  assert.deepEqual(weightsOf({ weights }, [own]), [
    '10.1.0.1=7',
    '10.1.0.2=7',
    '10.1.0.3=7',
    '10.1.0.4=7',
  ]);
});

test('an endpoint of weight 0 gets no new connections, and still counts as serving', () => {
  const weights = new Map([['10.1.0.1', 0]]);
  const route = onlyRoute(service({ weights, internalTrafficPolicy: 'Local' }), [
    slice([e(1, HERE), e(2)]),
  ]);
  assert.equal(route.internal.kind, 'drop');
  assert.deepEqual(route.serving, ['10.1.0.1:8080', '10.1.0.2:8080']);
  assert.deepEqual(weightsOf({ weights }, [slice([e(1), e(2)])]), ['10.1.0.2=1']);
  assert.deepEqual(weightsOf({ weights }, [slice([e(1)])]), ['reject']);
});
