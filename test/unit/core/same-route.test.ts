import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route } from '../../../src/core/route.ts';
import { sameRoute } from '../../../src/core/same-route.ts';
import { cidr, endpoint, ip, onlyRoute, port, service, slice } from './build.ts';

/** A Route that uses every field; a new object of new parts each time. */
const build = (): Route =>
  onlyRoute(
    service({
      type: 'LoadBalancer',
      ports: [port({ name: 'http', nodePort: 30_080 })],
      externalTrafficPolicy: 'Local',
      loadBalancerIPs: [ip('198.51.100.1')],
      loadBalancerSourceRanges: [cidr('203.0.113.0/24')],
      affinitySeconds: 60,
    }),
    [
      slice([endpoint('10.1.0.1'), endpoint('10.1.0.2', { nodeName: 'here' })], {
        ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
      }),
    ],
  );

test('Routes built apart from equal objects are the same', () => {
  const route = build();
  assert.ok(sameRoute(route, build()));
  assert.ok(sameRoute(route, route));
});

const { internal, frontends } = build();
assert.ok(internal.kind === 'endpoints');
const [first, second] = internal.endpoints;
const [frontend, ...otherFrontends] = frontends;
assert.ok(first && second && frontend);
const endpoints = (...list: readonly (typeof first)[]): Route['internal'] => ({
  kind: 'endpoints',
  endpoints: list,
});

const DIFFERENCES: readonly Partial<Route>[] = [
  { key: 'shop/web:other/TCP/IPv4' },
  { service: 'shop/other' },
  { label: 'shop/web' },
  { family: 'IPv6' },
  { protocol: 'UDP' },
  { frontends: otherFrontends },
  { frontends: frontends.toReversed() },
  { frontends: [{ ...frontend, kind: 'externalIP' }, ...otherFrontends] },
  { frontends: [{ ...frontend, port: 81 }, ...otherFrontends] },
  { frontends: [{ ...frontend, address: ip('10.9.9.9') }, ...otherFrontends] },
  { internal: { kind: 'drop' } },
  { internal: endpoints(first) },
  { internal: endpoints(second, first) },
  { internal: endpoints(first, { ...second, weight: 2 }) },
  { internal: endpoints(first, { ...second, local: false }) },
  { internal: endpoints(first, { ...second, port: 1 }) },
  { internal: endpoints(first, { ...second, address: ip('10.9.9.9') }) },
  { external: { kind: 'reject' } },
  { external: { kind: 'drop' } },
  { externalFromInside: undefined },
  { externalFromInside: { kind: 'reject' } },
  { masqueradeExternal: true },
  { affinitySeconds: undefined },
  { affinitySeconds: 61 },
  { allowedSources: undefined },
  { allowedSources: [cidr('203.0.113.0/25')] },
  { allowedSources: [cidr('203.0.112.0/24')] },
  { serving: [] },
  { serving: ['10.1.0.1:8080', '10.1.0.3:8080'] },
];

for (const difference of DIFFERENCES) {
  test(`Routes differ by ${JSON.stringify(difference)}`, () => {
    const route = build();
    assert.ok(!sameRoute(route, { ...route, ...difference }));
    assert.ok(!sameRoute({ ...route, ...difference }, route));
  });
}
