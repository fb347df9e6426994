import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint, Route, Target } from '../../../../src/core/route.ts';
import type { ProgrammedFrontend } from '../../../../src/planes/plane.ts';
import { chooseItems } from '../../../../src/tools/status/choose.ts';
import { compareFrontends } from '../../../../src/tools/status/compare.ts';
import { type DriftSources, findDrift } from '../../../../src/tools/status/drift.ts';
import { expectedFrontends } from '../../../../src/tools/status/expected.ts';
import { coverSame } from '../../../../src/tools/status/ranges.ts';
import { cidr, ip } from '../../core/build.ts';
import { route } from '../../core/routes.ts';

const ALL = { namespace: undefined, name: undefined };

function endpoint(address: string, weight = 1): Endpoint {
  return { address: ip(address), port: 8080, local: false, weight };
}

function to(...endpoints: readonly Endpoint[]): Target {
  return { kind: 'endpoints', endpoints };
}

const [A, B] = ['10.1.0.1', '10.1.0.2'] as const;

function served(more: Partial<Route> = {}): Route {
  const target = to(endpoint(A), endpoint(B));
  return route({ internal: target, external: target, ...more });
}

const EXTERNAL: Partial<Route> = {
  frontends: [{ kind: 'loadBalancer', address: ip('198.51.100.1'), port: 80 }],
  external: to(endpoint(A)),
  externalFromInside: to(endpoint(A), endpoint(B)),
  masqueradeExternal: false,
  allowedSources: [cidr('192.0.2.0/24')],
};

/** What is said of a Route whose only frontend the kernel holds with these differences. */
function said(mode: string, wanted: Route, held: Partial<ProgrammedFrontend>): readonly string[] {
  const expected = expectedFrontends(wanted, mode);
  const [first] = expected;
  assert.ok(first !== undefined);
  return compareFrontends(mode, expected, [{ ...first, ...held }]).map(
    ({ difference }) => difference,
  );
}

test('each thing that can differ has its own sentence, and what is the same has none', () => {
  const external = served(EXTERNAL);
  const affine = served({ affinitySeconds: 60 });
  const cases: readonly (readonly [Route, Partial<ProgrammedFrontend>, readonly string[]])[] = [
    [served(), {}, []],
    [external, {}, []],
    [served(), { target: [`${B}:8080`, `${A}:8080`] }, []],
    [served(), { target: [`${A}:8080`, 'none'] }, [`lacks endpoint ${B}:8080`]],
    [
      served(),
      { target: [`${A}:8080`, `${B}:8080`, '10.9.9.9:1'] },
      ['has endpoint 10.9.9.9:1, which is not wanted'],
    ],
    [served(), { target: [] }, ['lacks all 2 endpoints']],
    [affine, { target: ['none', 'none'], affinitySeconds: 60 }, ['lacks all 2 endpoints']],
    [affine, { target: [], affinitySeconds: undefined }, ['lacks all 2 endpoints']],
    [served(), { target: 'reject' }, ['is refused, wanted: served by 2 endpoints']],
    [
      served({ internal: { kind: 'drop' } }),
      { target: [`${A}:8080`] },
      ['is served by 1 endpoint, wanted: dropped'],
    ],
    [served(), { label: 'shop/other' }, ['is served for shop/other']],
    [served(), { masquerade: true }, ['is masqueraded, which is not wanted']],
    [served(), { affinitySeconds: 60 }, ['has session affinity of 60 s, wanted: none']],
    [affine, { affinitySeconds: undefined }, ['has session affinity of none, wanted: 60 s']],
    [
      external,
      { insideTarget: [`${A}:8080`] },
      [`lacks endpoint ${B}:8080 for clients on this node`],
    ],
    [external, { allowedSources: undefined }, ['may be used by everybody, wanted: 192.0.2.0/24']],
    [external, { allowedSources: ['192.0.2.0/25', '192.0.2.128/25'] }, []],
    [
      served(),
      { insideTarget: 'reject' },
      ['has endpoints for clients on this node, which is not wanted'],
    ],
  ];
  for (const mode of ['nftables', 'ipvs', 'iptables']) {
    for (const [wanted, held, lines] of cases) {
      assert.deepEqual(said(mode, wanted, held), lines, `${mode}: ${JSON.stringify(held)}`);
    }
  }
});

test('what is missing and what is left over is said of the frontend', () => {
  const expected = expectedFrontends(served(), 'nftables');
  const name = { service: 'shop/web:http', frontend: '10.96.0.1:80', protocol: 'TCP' };
  assert.deepEqual(compareFrontends('nftables', expected, []), [
    { ...name, difference: 'is not in the kernel' },
  ]);
  assert.deepEqual(compareFrontends('nftables', [], expected), [
    { ...name, difference: 'is in the kernel, but not wanted' },
  ]);
  const remains = expected.map((each) => ({ ...each, label: '' }));
  assert.deepEqual(compareFrontends('nftables', expected, remains), [
    { ...name, difference: 'is not in the kernel' },
  ]);
  const other = expected.map((each) => ({ ...each, protocol: 'UDP' }));
  assert.equal(compareFrontends('nftables', expected, other).length, 2);
});

test('weights count in nftables mode, where the kernel has them', () => {
  const weighted = served({
    internal: to(endpoint(A, 4), endpoint(B, 2), endpoint('10.1.0.3', 0)),
  });
  const shares = [`${A}:8080`, `${B}:8080`, `${A}:8080`];
  assert.deepEqual(said('nftables', weighted, { target: shares }), []);
  assert.deepEqual(said('nftables', weighted, { target: shares.slice(0, 2) }), [
    `gives endpoint ${A}:8080 another share than is wanted`,
  ]);
  assert.deepEqual(said('ipvs', weighted, { target: shares.slice(0, 2) }), []);
  const nobody = served({ internal: to(endpoint(A, 0)) });
  assert.deepEqual(said('nftables', nobody, { target: 'reject' }), []);
  assert.deepEqual(said('iptables', nobody, { target: 'reject' }), []);
  assert.deepEqual(said('ipvs', nobody, { target: [] }), []);
});

test('affinity and masquerading do not matter where nobody is served', () => {
  const refused = served({ ...EXTERNAL, external: { kind: 'reject' }, affinitySeconds: 60 });
  assert.deepEqual(said('ipvs', refused, { affinitySeconds: undefined, masquerade: true }), []);
});

test('in ipvs mode a short-circuit that would say the same is left out', () => {
  const same = served({ ...EXTERNAL, externalFromInside: to(endpoint(A)) });
  assert.deepEqual(said('ipvs', same, { insideTarget: undefined }), []);
  assert.deepEqual(said('nftables', same, { insideTarget: undefined }), [
    'lacks the endpoints for clients on this node',
  ]);
  assert.deepEqual(said('ipvs', served(EXTERNAL), { insideTarget: undefined }), [
    `lacks endpoint ${B}:8080 for clients on this node`,
  ]);
});

test('a label that was cut for the kernel is still that of its Service port', () => {
  const label = `${'n'.repeat(63)}/${'s'.repeat(63)}:http-metrics`;
  const long = served({ label });
  assert.deepEqual(said('nftables', long, { label: `${label.slice(0, 124)}...` }), []);
  assert.equal(said('nftables', long, { label: `${label.slice(1, 125)}...` }).length, 1);
});

test('ranges are the same when they cover the same addresses', () => {
  const same: readonly (readonly [readonly string[], readonly string[]])[] = [
    [['10.0.0.0/8', '10.1.0.0/16'], ['10.0.0.0/8']],
    [['0.0.0.0/0'], ['128.0.0.0/1', '0.0.0.0/1']],
    [['10.0.0.0/31'], ['10.0.0.0-10.0.0.1']],
    [['::/0'], ['::/1', '8000::/1']],
    [['10.0.0.1/32', '10.0.0.1/32'], ['10.0.0.1']],
  ];
  for (const pair of same) assert.ok(coverSame(...pair), JSON.stringify(pair));
  const different: typeof same = [
    [['10.0.0.0/8'], ['10.0.0.0/9']],
    [['10.0.0.0/8'], []],
    [['0.0.0.0/8'], ['::/104']],
    [['10.0.0.0/31'], ['10.0.0.0', '10.0.0.2']],
  ];
  for (const pair of different) assert.ok(!coverSame(...pair), JSON.stringify(pair));
});

test('only what differs again and again is drift', async () => {
  const wanted = { mode: 'nftables', items: [served()] };
  const good = { mode: 'nftables', items: expectedFrontends(served(), 'nftables') };
  const bad = { mode: 'nftables', items: [] };
  const reading = (...answers: readonly (typeof good)[]): DriftSources & { reads: number } => {
    const sources = {
      reads: 0,
      routes: async () => wanted,
      programmed: async () => answers[sources.reads++] ?? good,
    };
    return sources;
  };
  const passing = reading(bad, bad);
  assert.deepEqual((await findDrift(passing, ALL)).differences, []);
  assert.equal(passing.reads, 3);
  const clean = reading();
  const { frontends, mode, differences } = await findDrift(clean, ALL);
  assert.deepEqual(
    { frontends, mode, differences },
    { frontends: 1, mode: 'nftables', differences: [] },
  );
  assert.equal(clean.reads, 1, 'the kernel is read once where all is well');
  const lasting = reading(bad, bad, bad, bad);
  assert.equal((await findDrift(lasting, ALL)).differences.length, 1);
  assert.deepEqual(
    (await findDrift(reading(bad, bad, bad), { namespace: 'other', name: undefined })).differences,
    [],
  );
});

test('Services are chosen by namespace and by name, and put in order', () => {
  const labels = ['shop/web:http', 'shop/web-2', 'a/web', '', 'shop/api'];
  const chosen = (namespace?: string, name?: string): readonly string[] =>
    chooseItems(labels, { namespace, name }, (label) => label);
  assert.deepEqual(chosen(), ['', 'a/web', 'shop/api', 'shop/web-2', 'shop/web:http']);
  assert.deepEqual(chosen('shop'), ['shop/api', 'shop/web-2', 'shop/web:http']);
  assert.deepEqual(chosen(undefined, 'web'), ['a/web', 'shop/web:http']);
  assert.deepEqual(chosen('shop', 'web'), ['shop/web:http']);
  assert.deepEqual(chosen('a', 'api'), []);
});
