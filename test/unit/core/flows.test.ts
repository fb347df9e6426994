import assert from 'node:assert/strict';
import { test } from 'node:test';
import { staleUdpFlows } from '../../../src/core/flows.ts';
import { hostPort } from '../../../src/core/ip.ts';
import type { Service, SliceEndpoint } from '../../../src/core/model.ts';
import type { Route, RouteChange } from '../../../src/core/route.ts';
import { RouteTable } from '../../../src/core/route-table.ts';
import { endpoint, ips, onlyRoute, port, service, slice } from './build.ts';

const DRAINING = { ready: false, terminating: true };
const GONE = { ready: false, serving: false, terminating: true };

const E1 = endpoint('10.1.0.1');
const E2 = endpoint('10.1.0.2');

const udp = (endpoints: readonly SliceEndpoint[], fields: Partial<Service> = {}): Route =>
  onlyRoute(service({ ports: [port({ protocol: 'UDP', port: 53 })], ...fields }), [
    slice(endpoints, { ports: [{ name: '', protocol: 'UDP', port: 53 }] }),
  ]);

const change = (before: Route | undefined, after: Route | undefined): RouteChange => {
  if (before !== undefined) return { key: before.key, before, after };
  assert.ok(after);
  return { key: after.key, before, after };
};

/** Endpoints by the last number of their address, each after a space. */
const list = (places: ReadonlySet<string>): string =>
  [...places].map((place) => place.replace(/^10\.1\.0\.(\d+):53$/, ' $1')).join('');

/** `frontend keep …` or `frontend keep … only …`. */
const show = (changes: readonly RouteChange[]): readonly string[] =>
  staleUdpFlows(changes).map(({ address, port: number, keep, only }) => {
    const suffix = only === undefined ? '' : ` only${list(only)}`;
    return `${hostPort(address, number)} keep${list(keep)}${suffix}`;
  });

const CLUSTER_IP = '10.96.0.1:53';
const TWO_FRONTENDS: Partial<Service> = { externalIPs: ips('198.51.100.1') };
const LOCAL: Partial<Service> = { ...TWO_FRONTENDS, externalTrafficPolicy: 'Local' };

interface Case {
  readonly name: string;
  readonly before: Route | undefined;
  readonly after: Route | undefined;
  readonly stale: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: 'an endpoint that goes takes its flows along',
    before: udp([E1, E2]),
    after: udp([E2]),
    stale: [`${CLUSTER_IP} keep 2`],
  },
  {
    name: 'so does one that stops to serve',
    before: udp([E1, E2]),
    after: udp([{ ...E1, ...GONE }, E2]),
    stale: [`${CLUSTER_IP} keep 2`],
  },
  {
    name: 'so does one whose port number changes',
    before: udp([E1]),
    after: onlyRoute(service({ ports: [port({ protocol: 'UDP', port: 53 })] }), [
      slice([E1], { ports: [{ name: '', protocol: 'UDP', port: 54 }] }),
    ]),
    stale: [`${CLUSTER_IP} keep10.1.0.1:54`],
  },
  {
    name: 'the last endpoint leaves nothing to keep',
    before: udp([E1]),
    after: udp([]),
    stale: [`${CLUSTER_IP} keep`],
  },
  {
    name: 'a terminating endpoint that serves keeps its flows',
    before: udp([E1, E2]),
    after: udp([{ ...E1, ...DRAINING }, E2]),
    stale: [],
  },
  {
    name: 'an endpoint that is no longer ready but serves keeps its flows',
    before: udp([E1, E2]),
    after: udp([{ ...E1, ready: false }, E2]),
    stale: [],
  },
  {
    name: 'an endpoint that takes new flows keeps them, serving or not',
    before: udp([E1, E2]),
    after: udp([{ ...E1, ready: true, serving: false }]),
    stale: [`${CLUSTER_IP} keep 1`],
  },
  {
    name: 'one more endpoint makes nothing stale',
    before: udp([E1]),
    after: udp([E1, E2]),
    stale: [],
  },
  {
    name: 'the first endpoint frees flows that went nowhere',
    before: udp([]),
    after: udp([E1]),
    stale: [`${CLUSTER_IP} keep 1`],
  },
  {
    name: 'a change of affinity makes nothing stale',
    before: udp([E1, E2]),
    after: udp([E1, E2], { affinitySeconds: 60 }),
    stale: [],
  },
  {
    name: 'a change of policy moves new flows only',
    before: udp([E1, E2], TWO_FRONTENDS),
    after: udp([E1, E2], LOCAL),
    stale: [],
  },
  {
    name: 'under a Local policy endpoints elsewhere count as well',
    before: udp([E1, E2], LOCAL),
    after: udp([E1], LOCAL),
    stale: [`${CLUSTER_IP} keep 1`, '198.51.100.1:53 keep 1'],
  },
  {
    name: 'a new Service frees flows that went elsewhere',
    before: undefined,
    after: udp([E1], TWO_FRONTENDS),
    stale: [`${CLUSTER_IP} keep 1`, '198.51.100.1:53 keep 1'],
  },
  {
    name: 'a new frontend alone is looked at',
    before: udp([E1]),
    after: udp([E1], TWO_FRONTENDS),
    stale: ['198.51.100.1:53 keep 1'],
  },
  {
    name: 'a frontend that goes loses only the flows of its Service',
    before: udp([E1, { ...E2, ...DRAINING }], TWO_FRONTENDS),
    after: udp([E1, { ...E2, ...DRAINING }]),
    stale: ['198.51.100.1:53 keep only 1 2'],
  },
  {
    name: 'a Service that goes loses its flows, on every frontend',
    before: udp([E1], TWO_FRONTENDS),
    after: undefined,
    stale: [`${CLUSTER_IP} keep only 1`, '198.51.100.1:53 keep only 1'],
  },
  {
    name: 'a Service that had no endpoints leaves no flows',
    before: udp([]),
    after: undefined,
    stale: [],
  },
];

for (const { name, before, after, stale } of CASES) {
  test(`stale UDP flows: ${name}`, () => assert.deepEqual(show([change(before, after)]), stale));
}

for (const protocol of ['TCP', 'SCTP'] as const) {
  test(`${protocol} flows are never cut`, () => {
    const fields = { ports: [port({ protocol, port: 53 })] };
    const ports = [{ name: '', protocol, port: 53 }];
    const before = onlyRoute(service(fields), [slice([E1, E2], { ports })]);
    const after = onlyRoute(service(fields), [slice([E2], { ports })]);
    assert.deepEqual(staleUdpFlows([change(before, after)]), []);
    assert.deepEqual(staleUdpFlows([change(undefined, after)]), []);
    assert.deepEqual(staleUdpFlows([change(before, undefined)]), []);
  });
}

test('a frontend that changes hands keeps the flows its new owner has, in either order', () => {
  const renamed = udp([E1, endpoint('10.1.0.3')], { name: 'new' });
  const changes = [change(udp([E1, E2]), undefined), change(undefined, renamed)];
  assert.deepEqual(show(changes), [`${CLUSTER_IP} keep 1 3`]);
  assert.deepEqual(show(changes.toReversed()), [`${CLUSTER_IP} keep 1 3`]);
});

test('the hand-over of a contested frontend is one rule, that of the new owner', () => {
  const table = new RouteTable();
  const claim = { externalIPs: ips('198.51.100.1') };
  table.replace('shop/web', [udp([E1], claim)], '2026-01-01T00:00:00Z');
  table.replace('shop/b', [udp([E2], { ...claim, name: 'b', clusterIPs: ips('10.96.0.2') })], '');
  assert.deepEqual(show(table.replace('shop/web', [], '')), [
    `${CLUSTER_IP} keep only 1`,
    '198.51.100.1:53 keep 2',
  ]);
});

test('flows of IPv6 frontends say so', () => {
  const route = onlyRoute(
    service({
      clusterIPs: ips('fd00:96::1'),
      ipFamilies: ['IPv6'],
      ports: [port({ protocol: 'UDP', port: 53 })],
    }),
    [
      slice([endpoint('fd00:1::1')], {
        family: 'IPv6',
        ports: [{ name: '', protocol: 'UDP', port: 53 }],
      }),
    ],
  );
  assert.deepEqual(staleUdpFlows([change(undefined, route)]), [
    {
      family: 'IPv6',
      address: 'fd00:96::1',
      port: 53,
      keep: new Set(['[fd00:1::1]:53']),
      only: undefined,
    },
  ]);
});
