import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPort } from '../../../../src/core/ip.ts';
import type { Route } from '../../../../src/core/route.ts';
import { describeVirtual } from '../../../../src/kernel/ipvs/servers.ts';
import { type PlanContext, planRoute } from '../../../../src/planes/ipvs/plan.ts';
import { entryKey } from '../../../../src/planes/ipvs/schema.ts';
import { defaultChoice } from '../../../../src/planes/ipvs/scheduling.ts';
import { cidr } from '../../core/build.ts';
import { endpoints, frontend, route } from '../../core/routes.ts';

const context: PlanContext = {
  byDefault: defaultChoice('rr'),
  drainMs: 300_000,
  has: () => true,
  isNodeAddress: () => false,
  isForeign: () => false,
  markOf: () => 0x53570001,
};

const everyKind = [
  frontend('clusterIP', '10.96.0.1'),
  frontend('externalIP', '198.51.100.1'),
  frontend('loadBalancer', '203.0.113.1'),
  frontend('nodePort', '192.0.2.1', 30080),
];

/** The plan in a form to compare: virtual servers with real servers, elements, addresses. */
function show(fields: Partial<Route>, changes: Partial<PlanContext> = {}) {
  const plan = planRoute(route(fields), { ...context, ...changes });
  return {
    servers: Object.fromEntries(
      [...plan.servers].map(([key, { reals }]) => [
        key,
        reals.map(({ address, port }) => hostPort(address, port)).join(' '),
      ]),
    ),
    entries: plan.entries.map(entryKey),
    addresses: plan.addresses,
    notices: plan.notices,
  };
}

test('a cluster IP is a virtual server, an address of the node and two elements', () => {
  assert.deepEqual(show({ internal: endpoints('10.0.0.1', '10.0.0.2') }), {
    servers: { 'TCP 10.96.0.1:80': '10.0.0.1:8080 10.0.0.2:8080' },
    entries: ['cluster 10.96.0.1', 'frontends 10.96.0.1,tcp:80'],
    addresses: ['10.96.0.1'],
    notices: [],
  });
});

test('external frontends are masqueraded under policy Cluster; node addresses are not bound', () => {
  const target = endpoints('10.0.0.1');
  const { servers, entries, addresses } = show(
    { frontends: everyKind, internal: target, external: target },
    { isNodeAddress: (address) => address === '198.51.100.1' },
  );
  assert.equal(Object.keys(servers).length, 4);
  assert.deepEqual(addresses, ['10.96.0.1', '203.0.113.1']);
  assert.deepEqual(
    entries.filter((entry) => !entry.startsWith('frontends')),
    [
      'cluster 10.96.0.1',
      'masquerade 198.51.100.1,tcp:80',
      'other 203.0.113.1',
      'masquerade 203.0.113.1,tcp:80',
      'masquerade 192.0.2.1,tcp:30080',
    ],
  );
});

test('policy Local leads this node and its pods to a virtual server of a mark', () => {
  const { servers, entries } = show({
    frontends: everyKind.slice(3),
    internal: endpoints('10.0.0.1', '10.0.0.2'),
    external: { kind: 'drop' },
    externalFromInside: endpoints('10.0.0.1', '10.0.0.2'),
    masqueradeExternal: false,
  });
  assert.deepEqual(servers, {
    'firewall mark 1398210561 (IPv4)': '10.0.0.1:8080 10.0.0.2:8080',
    'TCP 192.0.2.1:30080': '',
  });
  assert.deepEqual(entries, [
    'frontends 192.0.2.1,tcp:30080',
    'silent 192.0.2.1,tcp:30080',
    'inside 192.0.2.1,tcp:30080',
  ]);
});

test('no mark is used where everybody gets the same, or only cluster IPs are there', () => {
  const all = endpoints('*10.0.0.1');
  const local = { internal: all, external: all, externalFromInside: all };
  assert.deepEqual(Object.keys(show({ ...local, frontends: everyKind.slice(3) }).servers), [
    'TCP 192.0.2.1:30080',
  ]);
  const other = { ...local, externalFromInside: endpoints('10.0.0.2') };
  assert.deepEqual(Object.keys(show(other).servers), ['TCP 10.96.0.1:80']);
});

test('source ranges are for load-balancer IPs only, and all addresses are two halves', () => {
  const { entries } = show({
    frontends: everyKind,
    allowedSources: [cidr('10.0.0.0/8'), cidr('0.0.0.0/0')],
  });
  assert.deepEqual(
    entries.filter((entry) => /^(?:restricted|allowed)/.test(entry)),
    [
      'restricted 203.0.113.1,tcp:80',
      'allowed 203.0.113.1,tcp:80,10.0.0.0/8',
      'allowed 203.0.113.1,tcp:80,0.0.0.0/1',
      'allowed 203.0.113.1,tcp:80,128.0.0.0/1',
    ],
  );
});

test('endpoints on this node may be their own clients, each once', () => {
  const target = endpoints('*10.0.0.1', '10.0.0.2');
  const { entries } = show({ frontends: everyKind, internal: target, external: target });
  assert.deepEqual(
    entries.filter((entry) => entry.startsWith('hairpin')),
    ['hairpin 10.0.0.1,tcp:8080,10.0.0.1'],
  );
});

test('a virtual server of somebody else is left alone, and said so', () => {
  const { servers, entries, notices } = show(
    { frontends: everyKind.slice(0, 2), internal: endpoints('10.0.0.1') },
    { isForeign: (name) => describeVirtual(name) === 'TCP 10.96.0.1:80' },
  );
  assert.deepEqual(Object.keys(servers), ['TCP 198.51.100.1:80']);
  assert.ok(!entries.includes('refused 10.96.0.1,tcp:80'));
  assert.match(notices.map(({ text }) => text).join(), /not ours has TCP 10\.96\.0\.1:80/);
});

function wanted(fields: Partial<Route>) {
  return [...planRoute(route(fields), context).servers.values()];
}

test('only UDP flows look at who still serves; a Service may say how long connections last', () => {
  assert.equal(wanted({ serving: ['10.0.0.1:53'] })[0]?.serving, undefined);
  const [udp] = wanted({ protocol: 'UDP', serving: ['10.0.0.1:53'], drainSeconds: 7 });
  assert.deepEqual(udp?.serving, new Set(['10.0.0.1:53']));
  assert.equal(udp.drainMs, 7000);
});
