import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route } from '../../../../src/core/route.ts';
import type { RuleContext } from '../../../../src/planes/iptables/matches.ts';
import { firstChains } from '../../../../src/planes/iptables/base.ts';
import { planRoute } from '../../../../src/planes/iptables/plan.ts';
import { cidr } from '../../core/build.ts';
import { endpoints, frontend, route } from '../../core/routes.ts';

const H = '[A-Z2-7]{16}';

function context(fields: Partial<RuleContext['settings']> = {}): RuleContext {
  return {
    family: 'IPv4',
    mark: 0x4000,
    settings: {
      families: ['IPv4'],
      masqueradeAll: false,
      countedPorts: 0,
      serviceCidrs: [],
      localTraffic: { IPv4: { kind: 'cidr', cidr: cidr('10.244.0.0/16') } },
      ...fields,
    },
  };
}

/** Names of chains without their hashes. */
function short(text: string): string {
  return text.replaceAll(new RegExp(`-${H}`, 'g'), '');
}

/** Chains by role instead of name, and hashes left out. */
function chains(fields: Partial<Route>, where = context()) {
  const { nat, filter } = planRoute(route(fields), where);
  return Object.fromEntries(
    [...nat, ...filter].map(([name, rules]) => [short(name), rules.map(short)]),
  );
}

function leading(fields: Partial<Route>, tree: 'services' | 'refused' | 'clusterIps' | 'hairpins') {
  return planRoute(route(fields), context())[tree].map(({ rule }) => short(rule));
}

const MARK = '-j MARK --set-xmark 0x4000/0x4000';
const UNMARK = '-j MARK --set-xmark 0x0/0x4000';

test('a cluster IP has one chain: each endpoint with its share of what is left', () => {
  assert.deepEqual(chains({ internal: endpoints('10.244.1.1', '10.244.1.2', '10.244.1.3') }), {
    'SWY-SVC': [
      '-p tcp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.244.1.1:8080',
      '-p tcp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.244.1.2:8080',
      '-p tcp -j DNAT --to-destination 10.244.1.3:8080',
    ],
  });
});

test('weights are shares, and an endpoint of weight 0 gets nothing', () => {
  const { 'SWY-SVC': rules = [] } = chains({
    internal: endpoints('10.244.1.1=3', '10.244.1.2=0', '10.244.1.3=1'),
  });
  assert.deepEqual(rules, [
    '-p tcp -m statistic --mode random --probability 0.75000000000 -j DNAT --to-destination 10.244.1.1:8080',
    '-p tcp -j DNAT --to-destination 10.244.1.3:8080',
  ]);
});

/** Rules that every new connection meets. */
function entry(where: RuleContext): readonly string[] | undefined {
  const base = { ...where, localhostNodePorts: true, dropInvalid: true };
  return [...firstChains(base)].find(({ name }) => name === 'SWY-SERVICES')?.rules;
}

test('the mark of cluster traffic is put on before and taken off after, and only where somebody can tell', () => {
  assert.deepEqual(entry(context()), [
    `! -s 10.244.0.0/16 ${MARK}`,
    '-j SWY-FRONTENDS',
    `! -s 10.244.0.0/16 ${UNMARK}`,
  ]);
  const pods = { kind: 'interfacePrefix', prefix: 'cali' } as const;
  assert.deepEqual(entry(context({ localTraffic: { IPv4: pods } })), [
    `! -i cali+ ${MARK}`,
    '-j SWY-FRONTENDS',
    `! -i cali+ ${UNMARK}`,
  ]);
  assert.deepEqual(entry(context({ masqueradeAll: true })), [MARK, '-j SWY-FRONTENDS', UNMARK]);
  assert.deepEqual(entry(context({ localTraffic: {} })), ['-j SWY-FRONTENDS']);
});

test('other frontends share the choice of the cluster IP where it is the same', () => {
  const target = endpoints('10.244.1.1', '10.244.2.1');
  const fields = {
    frontends: [frontend('clusterIP', '10.96.0.1'), frontend('nodePort', '10.1.0.1', 30080)],
    internal: target,
    external: target,
  };
  assert.deepEqual(chains(fields)['SWY-EXT'], [
    `-m comment --comment "shop/web:http" ${MARK}`,
    '-g SWY-SVC',
  ]);
  assert.deepEqual(leading(fields, 'services'), [
    '-d 10.96.0.1/32 -p tcp -m comment --comment "shop/web:http cluster IP" -m tcp --dport 80 -g SWY-SVC',
    '-d 10.1.0.1/32 -p tcp -m comment --comment "shop/web:http node port" -m tcp --dport 30080 -g SWY-EXT',
  ]);
  assert.deepEqual(leading(fields, 'refused'), []);
});

test('policy Local: this node and its pods reach every endpoint, others local ones and keep their address', () => {
  const fields = {
    frontends: [frontend('clusterIP', '10.96.0.1'), frontend('nodePort', '10.1.0.1', 30080)],
    internal: endpoints('*10.244.1.1', '10.244.2.1'),
    external: endpoints('*10.244.1.1'),
    externalFromInside: endpoints('*10.244.1.1', '10.244.2.1'),
    masqueradeExternal: false,
  };
  const { 'SWY-EXT': external, 'SWY-INS': inside } = chains(fields);
  assert.deepEqual(external, [
    UNMARK,
    '-s 10.244.0.0/16 -g SWY-INS',
    '-m addrtype --src-type LOCAL -g SWY-INS',
    '-p tcp -j DNAT --to-destination 10.244.1.1:8080',
  ]);
  assert.deepEqual(inside, [
    `-m addrtype --src-type LOCAL -m comment --comment "shop/web:http" ${MARK}`,
    '-g SWY-SVC',
  ]);
  assert.deepEqual(leading(fields, 'hairpins'), [
    '-s 10.244.1.1/32 -d 10.244.1.1/32 -g SWY-MASQUERADE',
  ]);
});

test('policy Local without local endpoints: served inside, silent for others', () => {
  const fields = {
    frontends: [frontend('nodePort', '10.1.0.1', 30080)],
    external: { kind: 'drop' },
    externalFromInside: endpoints('10.244.2.1'),
    masqueradeExternal: false,
  } as const;
  assert.equal(chains(fields)['SWY-EXT']?.length, 3);
  assert.deepEqual(leading(fields, 'refused'), [
    '-d 10.1.0.1/32 -p tcp -m comment --comment "shop/web:http node port" -m tcp --dport 30080 -j DROP',
  ]);
});

test('without endpoints nothing is in the table nat, and every frontend is refused', () => {
  const fields = {
    frontends: [frontend('clusterIP', '10.96.0.1'), frontend('externalIP', '198.51.100.1')],
  };
  assert.deepEqual(chains(fields), {});
  assert.deepEqual(leading(fields, 'services'), []);
  assert.deepEqual(leading(fields, 'refused'), [
    '-d 10.96.0.1/32 -p tcp -m comment --comment "shop/web:http cluster IP" -m tcp --dport 80 -g SWY-REJECT',
    '-d 198.51.100.1/32 -p tcp -m comment --comment "shop/web:http external IP" -m tcp --dport 80 -g SWY-REJECT',
  ]);
  assert.deepEqual(leading(fields, 'clusterIps'), ['-d 10.96.0.1/32 -g SWY-REJECT']);
});

test('source ranges: who is not in one is dropped, whether anybody serves or not', () => {
  const fields = {
    frontends: [frontend('loadBalancer', '198.51.100.1'), frontend('externalIP', '198.51.100.2')],
    allowedSources: [cidr('192.0.2.0/24'), cidr('203.0.113.0/24')],
  };
  const served = { ...fields, external: endpoints('10.244.1.1') };
  assert.deepEqual(chains(served)['SWY-FW'], [
    '-s 192.0.2.0/24 -g SWY-EXT',
    '-s 203.0.113.0/24 -g SWY-EXT',
  ]);
  assert.deepEqual(
    leading(served, 'services').map((rule) => rule.replace(/^.* -g/, '-g')),
    ['-g SWY-FW', '-g SWY-EXT'],
  );
  assert.deepEqual(
    leading(served, 'refused').map((rule) => rule.replace(/^.* -j/, '-j')),
    ['-j DROP'],
  );
  assert.deepEqual(chains(fields), {
    'SWY-SRC': ['-s 192.0.2.0/24 -g SWY-REJECT', '-s 203.0.113.0/24 -g SWY-REJECT', '-j DROP'],
  });
});

test('affinity: each endpoint has a chain that remembers its clients, asked before anything is drawn', () => {
  const plan = chains({
    internal: endpoints('10.244.1.1', '10.244.1.2'),
    affinitySeconds: 600,
  });
  const list = '--name SWY-SEP --mask 255.255.255.255 --rsource';
  assert.deepEqual(plan['SWY-SVC'], [
    `-m recent --rcheck --seconds 600 --reap ${list} -g SWY-SEP`,
    `-m recent --rcheck --seconds 600 --reap ${list} -g SWY-SEP`,
    '-m statistic --mode random --probability 0.50000000000 -g SWY-SEP',
    '-g SWY-SEP',
  ]);
  const { nat } = planRoute(
    route({ internal: endpoints('10.244.1.1', '10.244.1.2'), affinitySeconds: 600 }),
    context(),
  );
  assert.equal([...nat.keys()].filter((name) => name.startsWith('SWY-SEP-')).length, 2);
});

test('two Service ports never share a chain, and no name is longer than iptables takes', () => {
  const plans = ['http', 'https'].map((port) => {
    const fields = { internal: endpoints('10.244.1.1'), affinitySeconds: 60 };
    return planRoute(route({ key: `shop/web:${port}/TCP/IPv4`, ...fields }), context());
  });
  const names = new Set<string>();
  for (const { nat } of plans) for (const name of nat.keys()) names.add(name);
  assert.equal(names.size, 4);
  for (const name of names) assert.ok(name.length <= 28, name);
});
