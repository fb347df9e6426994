/** What tools see when somebody changes the kernel, on the real one in a network namespace of its own. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parseCidr } from '../../../src/core/ip.ts';
import type { Route } from '../../../src/core/route.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { openNftablesPlane } from '../../../src/planes/nftables/plane.ts';
import type { DataPlane } from '../../../src/planes/plane.ts';
import { compareFrontends } from '../../../src/tools/status/compare.ts';
import { expectedFrontends } from '../../../src/tools/status/expected.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { SETTINGS, address, nft, route } from './routes.ts';

const range = parseCidr('192.0.2.0/24');
assert.ok(range !== undefined);
const external = { kind: 'loadBalancer', address: address('198.51.100.1'), port: 80 } as const;
const plain = route(1, 2);
const [first] = plain.internal.kind === 'endpoints' ? plain.internal.endpoints : [];
assert.ok(first !== undefined);

const ROUTES: readonly Route[] = [
  plain,
  route(2, 2, { affinitySeconds: 60 }),
  route(3, 2, {
    frontends: [external],
    external: { kind: 'drop' },
    externalFromInside: { kind: 'endpoints', endpoints: [first] },
    masqueradeExternal: false,
    allowedSources: [range],
  }),
  route(4, 0, { internal: { kind: 'reject' }, external: { kind: 'reject' } }),
  route(5, 2, { frontends: [{ ...external, port: 81 }], allowedSources: [range] }),
];

/** What somebody does, and every line that tools then show. */
const DAMAGE: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'delete',
    'endpoints { 10.96.0.1 . tcp . 80 . 1 }',
    ['shop/s1:http 10.96.0.1:80/TCP lacks endpoint 10.1.0.1:8080'],
  ],
  [
    'delete',
    'service-ips { 10.96.0.1 . tcp . 80 }',
    ['shop/s1:http 10.96.0.1:80/TCP is not in the kernel'],
  ],
  [
    'delete',
    'service-ips { 10.96.0.4 . tcp . 80 }',
    ['shop/s4:http 10.96.0.4:80/TCP is not in the kernel'],
  ],
  [
    'add',
    'service-ips { 10.96.0.9 . tcp . 80 comment "shop/old" : 0 }',
    ['shop/old 10.96.0.9:80/TCP is in the kernel, but not wanted'],
  ],
  [
    'delete',
    'inside-ips { 198.51.100.1 . tcp . 80 }',
    [
      'shop/s3:http 198.51.100.1:80/TCP is refused for clients on this node, wanted: served by 1 endpoint',
    ],
  ],
  [
    'delete',
    'local-ips { 198.51.100.1 . tcp . 80 }',
    ['shop/s3:http 198.51.100.1:80/TCP lacks the endpoints for clients on this node'],
  ],
  [
    'delete',
    'restricted-ips { 198.51.100.1 . tcp . 81 }',
    ['shop/s5:http 198.51.100.1:81/TCP may be used by everybody, wanted: 192.0.2.0/24'],
  ],
  [
    'delete',
    'masquerade-ips { 198.51.100.1 . tcp . 81 }',
    ['shop/s5:http 198.51.100.1:81/TCP is not masqueraded'],
  ],
];

inNamespace(import.meta.filename, () => {
  const plane: DataPlane = openNftablesPlane(openKernelIo());
  after(async () => {
    await plane.remove();
    plane.close();
  });

  const drift = async (): Promise<readonly string[]> => {
    const expected = ROUTES.flatMap((each) => expectedFrontends(each, 'nftables'));
    const differences = compareFrontends('nftables', expected, await plane.inspect());
    return differences.map(
      ({ service, frontend, protocol, difference }) =>
        `${service} ${frontend}/${protocol} ${difference}`,
    );
  };

  for (const [verb, element, lines] of DAMAGE) {
    void test(`${verb} element ${element} shows as it is, and no more`, async () => {
      await plane.open(SETTINGS, ROUTES);
      assert.deepEqual(await drift(), []);
      nft(verb, 'element', 'ip', 'switchyard', ...element.split(' '));
      assert.deepEqual(await drift(), lines);
      assert.notDeepEqual((await plane.verify()).drift, []);
      assert.deepEqual(await drift(), [], 'once it is repaired');
    });
  }

  void test('a Service that is gone for the agent, but not for the kernel, shows', async () => {
    await plane.open(SETTINGS, [...ROUTES, route(6, 1)]);
    assert.deepEqual(await drift(), [
      'shop/s6:http 10.96.0.6:80/TCP is in the kernel, but not wanted',
    ]);
  });
});
