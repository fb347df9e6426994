import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RouteTable } from '../../../src/core/route-table.ts';
import type { Service } from '../../../src/core/model.ts';
import type { Route, RouteChange } from '../../../src/core/route.ts';
import { select } from '../../../src/core/select/select.ts';
import { endpoint, ip, ips, port, service, showFrontends, slice, view } from './build.ts';

const OLD = '2026-01-01T00:00:00Z';
const NEW = '2026-02-01T00:00:00Z';

/** Routes of `shop/NAME`, with its own cluster IP, which all claim 198.51.100.1:80 too. */
const claiming = (name: string, fields: Partial<Service> = {}): readonly Route[] =>
  select(
    service({
      name,
      clusterIPs: [ip(`10.96.0.${name.codePointAt(0) ?? 0}`)],
      externalIPs: ips('198.51.100.1'),
      ...fields,
    }),
    [slice([endpoint('10.1.0.1')])],
    view(),
  ).routes;

const EXTERNAL = 'externalIP 198.51.100.1:80';

/** Names of the Services whose published Routes have the contested frontend. */
const owners = (table: RouteTable): readonly string[] =>
  [...table.routes()]
    .filter((route) => showFrontends(route).includes(EXTERNAL))
    .map((route) => route.service);

const summary = (changes: readonly RouteChange[]): readonly string[] =>
  changes.map(({ key, before, after }) => {
    if (after === undefined) return `- ${key}`;
    return before === undefined ? `+ ${key}` : `~ ${key}`;
  });

test('a new Service is published, an equal one changes nothing, an empty one goes', () => {
  const table = new RouteTable();
  const routes = claiming('a');
  assert.deepEqual(table.replace('shop/a', routes, OLD), [
    { key: 'shop/a:/TCP/IPv4', before: undefined, after: routes[0] },
  ]);
  assert.equal(table.size, 1);
  assert.deepEqual(table.replace('shop/a', claiming('a'), OLD), []);
  assert.deepEqual(table.replace('shop/a', claiming('a'), NEW), [], 'another age alone');
  assert.deepEqual([...table.routes()], routes);
  assert.deepEqual(table.replace('shop/a', [], ''), [
    { key: 'shop/a:/TCP/IPv4', before: routes[0], after: undefined },
  ]);
  assert.equal(table.size, 0);
  assert.deepEqual(table.replace('shop/a', [], ''), []);
});

test('only the ports that changed are in the list, removals first', () => {
  const table = new RouteTable();
  const ports = ['a', 'b', 'c'].map((name, index) => port({ name, port: 80 + index }));
  table.replace('shop/a', claiming('a', { ports }), OLD);
  const changes = table.replace(
    'shop/a',
    claiming('a', {
      ports: [port({ name: 'a' }), port({ name: 'b', port: 90 }), port({ name: 'd', port: 91 })],
    }),
    OLD,
  );
  assert.deepEqual(summary(changes), [
    '- shop/a:c/TCP/IPv4',
    '~ shop/a:b/TCP/IPv4',
    '+ shop/a:d/TCP/IPv4',
  ]);
});

test('an unchanged Route stays the same object', () => {
  const table = new RouteTable();
  const [route] = claiming('a');
  assert.ok(route);
  table.replace('shop/a', [route], OLD);
  table.replace('shop/a', claiming('a'), OLD);
  assert.equal(table.routes().next().value, route);
});

interface Precedence {
  readonly name: string;
  /** Creation times of the Services `a` and `b`. */
  readonly ages: readonly [a: string, b: string];
  readonly owner: 'shop/a' | 'shop/b';
}

const PRECEDENCE: readonly Precedence[] = [
  { name: 'the older Service', ages: [NEW, OLD], owner: 'shop/b' },
  { name: 'the Service with a creation time', ages: ['', NEW], owner: 'shop/b' },
  { name: 'the smaller key of two equally old', ages: [OLD, OLD], owner: 'shop/a' },
  { name: 'the smaller key of two without a creation time', ages: ['', ''], owner: 'shop/a' },
];

for (const { name, ages, owner } of PRECEDENCE) {
  test(`a frontend claimed twice belongs to ${name}, whoever comes first`, () => {
    const claims = [
      ['shop/a', claiming('a'), ages[0]],
      ['shop/b', claiming('b'), ages[1]],
    ] as const;
    for (const order of [claims, claims.toReversed()]) {
      const table = new RouteTable();
      for (const [key, routes, createdAt] of order) table.replace(key, routes, createdAt);
      assert.deepEqual(owners(table), [owner]);
      assert.equal(table.size, 2, 'the loser keeps its other frontends');
      const loser = owner === 'shop/a' ? 'shop/b' : 'shop/a';
      const conflict = {
        frontend: '198.51.100.1:80/TCP',
        winner: `${owner}:/TCP/IPv4`,
        loser: `${loser}:/TCP/IPv4`,
      };
      assert.deepEqual(table.takeConflicts(), [conflict]);
      assert.deepEqual(table.takeConflicts(), [], 'each is reported once');
    }
  });
}

test('an older Service takes a frontend from its owner in one list', () => {
  const table = new RouteTable();
  table.replace('shop/a', claiming('a'), NEW);
  const changes = table.replace('shop/b', claiming('b'), OLD);
  assert.deepEqual(summary(changes), ['+ shop/b:/TCP/IPv4', '~ shop/a:/TCP/IPv4']);
  const [, taken] = changes;
  assert.deepEqual(taken?.after && showFrontends(taken.after), ['clusterIP 10.96.0.97:80']);
});

test('when the owner goes, the next one gets the frontend in the same list', () => {
  const table = new RouteTable();
  const [a, b, c] = [claiming('a'), claiming('b'), claiming('c')];
  table.replace('shop/a', a, OLD);
  table.replace('shop/c', c, '');
  table.replace('shop/b', b, NEW);
  table.takeConflicts();
  const changes = table.replace('shop/a', [], '');
  assert.deepEqual(summary(changes), ['- shop/a:/TCP/IPv4', '~ shop/b:/TCP/IPv4']);
  assert.deepEqual(changes[1]?.after, b[0]);
  assert.deepEqual(owners(table), ['shop/b']);
  assert.deepEqual(table.takeConflicts(), [], 'the third was known to lose');
});

test('an owner that only drops the frontend hands it over too', () => {
  const table = new RouteTable();
  table.replace('shop/a', claiming('a'), OLD);
  table.replace('shop/b', claiming('b'), NEW);
  const changes = table.replace('shop/a', claiming('a', { externalIPs: [] }), OLD);
  assert.deepEqual(summary(changes), ['~ shop/a:/TCP/IPv4', '~ shop/b:/TCP/IPv4']);
  assert.deepEqual(owners(table), ['shop/b']);
});

test('a loser that goes changes nothing else', () => {
  const table = new RouteTable();
  table.replace('shop/a', claiming('a'), OLD);
  table.replace('shop/b', claiming('b'), NEW);
  assert.deepEqual(summary(table.replace('shop/b', [], '')), ['- shop/b:/TCP/IPv4']);
  assert.deepEqual(owners(table), ['shop/a']);
  assert.deepEqual(summary(table.replace('shop/a', [], '')), ['- shop/a:/TCP/IPv4']);
});

test('a Service created anew has the rank of its new age', () => {
  const table = new RouteTable();
  table.replace('shop/a', claiming('a'), OLD);
  table.replace('shop/b', claiming('b'), NEW);
  const changes = table.replace('shop/a', claiming('a'), '2026-03-01T00:00:00Z');
  assert.deepEqual(summary(changes).toSorted(), ['~ shop/a:/TCP/IPv4', '~ shop/b:/TCP/IPv4']);
  assert.deepEqual(owners(table), ['shop/b']);
});

test('a change of endpoints does not report a conflict again', () => {
  const table = new RouteTable();
  table.replace('shop/a', claiming('a'), OLD);
  table.replace('shop/b', claiming('b'), NEW);
  table.takeConflicts();
  const [before] = claiming('b');
  assert.ok(before);
  const changes = table.replace('shop/b', [{ ...before, internal: { kind: 'drop' } }], NEW);
  assert.deepEqual(summary(changes), ['~ shop/b:/TCP/IPv4']);
  assert.deepEqual(owners(table), ['shop/a']);
  assert.deepEqual(table.takeConflicts(), []);
});

test('a change of the loser that shows nowhere is no change', () => {
  const table = new RouteTable();
  table.replace('shop/a', claiming('a'), OLD);
  table.replace('shop/b', claiming('b'), NEW);
  assert.deepEqual(table.replace('shop/b', claiming('b', { externalIPs: [] }), NEW), []);
  assert.deepEqual(table.replace('shop/b', claiming('b'), NEW), []);
});

test('the same address and port in another protocol is another frontend', () => {
  const table = new RouteTable();
  table.replace('shop/a', claiming('a'), OLD);
  table.replace('shop/b', claiming('b', { ports: [port({ protocol: 'UDP' })] }), NEW);
  assert.deepEqual(owners(table), ['shop/a', 'shop/b']);
  assert.deepEqual(table.takeConflicts(), []);
});

test('two ports of a Service with one node port: the smaller Route key is served on it', () => {
  const table = new RouteTable();
  const ports = [
    port({ name: 'b', port: 81, nodePort: 30_080 }),
    port({ name: 'a', nodePort: 30_080 }),
  ];
  table.replace('shop/a', claiming('a', { type: 'NodePort', externalIPs: [], ports }), OLD);
  const served = [...table.routes()].filter((route) =>
    showFrontends(route).includes('nodePort 192.168.0.1:30080'),
  );
  assert.deepEqual(
    served.map(({ key }) => key),
    ['shop/a:a/TCP/IPv4'],
  );
});

test('two ports that swap their numbers swap their frontends', () => {
  const table = new RouteTable();
  const ports = [port({ name: 'a', port: 80 }), port({ name: 'b', port: 81 })];
  const swapped = [port({ name: 'a', port: 81 }), port({ name: 'b', port: 80 })];
  table.replace('shop/a', claiming('a', { ports }), OLD);
  const routes = claiming('a', { ports: swapped });
  table.replace('shop/a', routes, OLD);
  assert.deepEqual([...table.routes()], routes);
  assert.deepEqual(table.takeConflicts(), []);
});

test('a Service with the cluster IP of another is published without it', () => {
  const table = new RouteTable();
  const clusterIPs = ips('10.96.0.1');
  table.replace('shop/a', claiming('a', { clusterIPs, externalIPs: [] }), OLD);
  const [change] = table.replace('shop/b', claiming('b', { clusterIPs, externalIPs: [] }), NEW);
  assert.deepEqual(change?.after?.frontends, []);
});
