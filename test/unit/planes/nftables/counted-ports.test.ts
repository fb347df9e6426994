import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Family } from '../../../../src/core/ip.ts';
import type { Route, RouteChange } from '../../../../src/core/route.ts';
import { CountedPorts } from '../../../../src/planes/nftables/counted-ports.ts';
import { portName } from '../../../../src/planes/nftables/counters.ts';
import { NOT_COUNTED } from '../../../../src/planes/nftables/plan.ts';
import { route } from '../../core/routes.ts';

function port(service: string, family: Family = 'IPv4', name = 'http'): Route {
  return route({
    key: `shop/${service}:${name}/TCP/${family}`,
    service: `shop/${service}`,
    label: service,
    family,
    frontends: [],
  });
}

const added = (after: Route): RouteChange => ({ key: after.key, before: undefined, after });
const gone = (before: Route): RouteChange => ({ key: before.key, before, after: undefined });

function countedOf(ports: CountedPorts, routes: readonly Route[]): readonly Route['service'][] {
  return routes
    .filter((each) => ports.countersOf(each) !== NOT_COUNTED)
    .map(({ service }) => service);
}

void test('counters are named after the port, and two families of it differ in nothing', () => {
  const ports = new CountedPorts(1);
  ports.choose([port('a'), port('a', 'IPv6')], new Set());
  const names = {
    connections: 'connections/tcp/shop/a/http',
    in: 'in/tcp/shop/a/http',
    out: 'out/tcp/shop/a/http',
  };
  assert.deepEqual(ports.countersOf(port('a')), names);
  assert.deepEqual(ports.countersOf(port('a', 'IPv6')), names);
  assert.equal(portName(port('a', 'IPv4', '')), 'tcp/shop/a');
});

void test('those counted before have the first claim, then the order decides', () => {
  const ports = new CountedPorts(2);
  const routes = ['a', 'b', 'c', 'd'].map((name) => port(name));
  ports.choose(routes, new Set([portName(port('c')), portName(port('unknown'))]));
  assert.deepEqual(countedOf(ports, routes), ['shop/a', 'shop/c']);
});

void test('a change of a counted port, or one that leaves no place free, is passed on as it is', () => {
  const ports = new CountedPorts(1);
  ports.choose([port('a'), port('b')], new Set());
  for (const changes of [
    [{ key: port('a').key, before: port('a'), after: port('a') }],
    [added(port('c'))],
    [gone(port('b'))],
  ]) {
    assert.deepEqual(ports.follow(changes), changes);
  }
  const moved = ports.follow([gone(port('a'))]);
  assert.deepEqual(moved, [
    gone(port('a')),
    { key: port('c').key, before: port('c'), after: port('c') },
  ]);
});

void test('without places nothing is counted, and changes are passed on', () => {
  const ports = new CountedPorts(0);
  ports.choose([port('a')], new Set([portName(port('a'))]));
  const changes = [added(port('b')), gone(port('a'))];
  assert.equal(ports.follow(changes), changes);
  assert.deepEqual(countedOf(ports, [port('a'), port('b')]), []);
});

void test('whatever comes and goes: every place is taken while somebody waits, and nobody loses one', () => {
  const someRoute = fc
    .tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.constantFrom('IPv4', 'IPv6'))
    .map(([name, family]) => port(name, family));
  const batches = fc.array(fc.array(someRoute, { maxLength: 4 }), { maxLength: 20 });
  fc.assert(
    fc.property(fc.nat(4), batches, (places, all) => {
      const ports = new CountedPorts(places);
      ports.choose([], new Set());
      const live = new Map<string, Route>();
      let before: ReadonlySet<Route['service']> = new Set();
      for (const batch of all) {
        // A Route that is there goes, one that is not comes; at most one change for each.
        const changes = [...new Map(batch.map((each) => [each.key, each])).values()].map((each) =>
          live.has(each.key) ? gone(each) : added(each),
        );
        const programmed = new Set(ports.follow(changes).map(({ key }) => key));
        for (const { key, after } of changes) {
          if (after === undefined) live.delete(key);
          else live.set(key, after);
        }
        const services = new Set([...live.values()].map(({ service }) => service));
        const now = new Set(countedOf(ports, [...live.values()]));
        assert.equal(now.size, Math.min(places, services.size));
        for (const service of before) if (services.has(service)) assert.ok(now.has(service));
        for (const { service, key } of live.values()) {
          if (now.has(service) && !before.has(service)) assert.ok(programmed.has(key));
        }
        before = now;
      }
    }),
  );
});
