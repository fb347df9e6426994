import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentConfig } from '../../../src/agent/config/agent-config.ts';
import { type NodeFacts, type NodeOptions, describeNode } from '../../../src/agent/node.ts';
import { parseCidr } from '../../../src/core/ip.ts';
import type { NodeObject } from '../../../src/core/model.ts';
import type { PlaneSettings } from '../../../src/core/node.ts';
import { configOf } from '../../lab/agent-config.ts';
import { address } from './fakes.ts';

function config(flags: Readonly<Record<string, string>> = {}): AgentConfig {
  return configOf({ manifests: '/m', ...flags });
}

const podCIDRs = ['10.1.0.0/24', 'fd00:1::/64', '10.2.0.0/24'].map((text) => {
  const cidr = parseCidr(text);
  assert.ok(cidr !== undefined);
  return cidr;
});

const NODE: NodeObject = {
  name: 'n1',
  zone: 'z1',
  addresses: [address('192.0.2.1'), address('2001:db8::1')],
  podCIDRs,
  eligible: true,
};

const facts = {
  object: NODE,
  interfaceAddresses: ['127.0.0.1', '192.0.2.1', '198.51.100.1', '2001:db8::1', 'fe80::1'].map(
    address,
  ),
  families: ['IPv4', 'IPv6'],
} as const;

test('the Node object says where the node is and what its own addresses are', () => {
  const { view, problems } = describeNode(config(), facts);
  assert.deepEqual(view, {
    name: 'n1',
    zone: 'z1',
    primaryAddresses: ['192.0.2.1', '2001:db8::1'],
    nodePortAddresses: ['192.0.2.1', '2001:db8::1'],
  });
  assert.deepEqual(problems, []);
});

test('without a Node object the interfaces say it, loopback and link-local left out', () => {
  const { view } = describeNode(config(), { ...facts, object: undefined });
  assert.deepEqual(view, {
    name: 'n1',
    zone: undefined,
    primaryAddresses: ['192.0.2.1', '2001:db8::1'],
    nodePortAddresses: ['192.0.2.1', '2001:db8::1'],
  });
});

test('an address of the Node that no interface has is told, and serves no node ports', () => {
  const { view, problems } = describeNode(config(), {
    ...facts,
    interfaceAddresses: [address('2001:db8::1')],
  });
  assert.deepEqual(view.nodePortAddresses, ['2001:db8::1']);
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /192\.0\.2\.1.*IPv4/);
});

test('node ports can be served on the addresses of chosen networks', () => {
  const { view, problems } = describeNode(
    config({ 'nodeport-addresses': '198.51.100.0/24' }),
    facts,
  );
  assert.ok(view.nodePortAddresses.includes(address('198.51.100.1')));
  assert.ok(!view.nodePortAddresses.includes(address('192.0.2.1')));
  assert.deepEqual(problems, []);
});

test('the families are those of the kernel, or those that were chosen', () => {
  assert.deepEqual(describeNode(config(), { ...facts, families: ['IPv4'] }).settings.families, [
    'IPv4',
  ]);
  const { settings } = describeNode(config({ 'ip-families': 'IPv6' }), facts);
  assert.deepEqual(settings.families, ['IPv6']);
});

function local(flags: Readonly<Record<string, string>>): PlaneSettings['localTraffic'] {
  return describeNode(config(flags), facts).settings.localTraffic;
}

test('local traffic is recognised in each family as the mode says', () => {
  assert.deepEqual(local({}), {});
  assert.deepEqual(local({ 'cluster-cidr': '10.0.0.0/8' }), {
    IPv4: { kind: 'cidr', cidr: parseCidr('10.0.0.0/8') },
  });
  assert.deepEqual(local({ 'detect-local-mode': 'NodeCIDR' }), {
    IPv4: { kind: 'cidr', cidr: podCIDRs[0] },
    IPv6: { kind: 'cidr', cidr: podCIDRs[1] },
  });
  assert.deepEqual(
    local({ 'detect-local-mode': 'BridgeInterface', 'pod-bridge-interface': 'cni0' }),
    {
      IPv4: { kind: 'interface', name: 'cni0' },
      IPv6: { kind: 'interface', name: 'cni0' },
    },
  );
  assert.deepEqual(
    local({
      'detect-local-mode': 'InterfaceNamePrefix',
      'pod-interface-name-prefix': 'veth',
      'ip-families': 'IPv4',
    }),
    { IPv4: { kind: 'interfacePrefix', prefix: 'veth' } },
  );
});

test('NodeCIDR without pod CIDRs is told', () => {
  const { problems, settings } = describeNode(config({ 'detect-local-mode': 'NodeCIDR' }), {
    ...facts,
    object: undefined,
  });
  assert.deepEqual(settings.localTraffic, {});
  assert.match(problems.join(), /no podCIDRs/);
});

/** Options with an API server behind them. */
function cluster(
  flags: Readonly<Record<string, string>> = {},
  bindAddress?: NodeOptions['bindAddress'],
): NodeOptions {
  return { ...config(flags), source: { kind: 'api' }, bindAddress };
}

const without = (...fields: readonly ('addresses' | 'podCIDRs')[]): NodeObject => ({
  ...NODE,
  ...Object.fromEntries(fields.map((field) => [field, []])),
});

test('a bind address stands for the node in its family, which becomes the primary one', () => {
  const { view, healthCheckAddresses } = describeNode(cluster({}, address('198.51.100.1')), {
    ...facts,
    object: { ...NODE, addresses: NODE.addresses.toReversed() },
  });
  assert.deepEqual(view.primaryAddresses, ['198.51.100.1', '2001:db8::1']);
  assert.deepEqual(view.nodePortAddresses, ['198.51.100.1', '2001:db8::1']);
  assert.deepEqual(healthCheckAddresses.IPv4, ['198.51.100.1']);
  const { view: same } = describeNode(cluster({}, address('::')), facts);
  assert.deepEqual(same.primaryAddresses, ['192.0.2.1', '2001:db8::1']);
});

test('a bind address on loopback serves no node ports, and that is told', () => {
  const { view, problems } = describeNode(cluster({}, address('127.0.0.1')), facts);
  assert.deepEqual(view.nodePortAddresses, ['2001:db8::1']);
  assert.match(problems.join('\n'), /^127\.0\.0\.1, .* is loopback .*not served in IPv4$/);
});

test('as many Service ports are counted as the options say', () => {
  assert.equal(describeNode(cluster(), facts).settings.countedPorts, 0);
  const counting = { ...cluster(), serviceMetrics: 5 };
  assert.equal(describeNode(counting, facts).settings.countedPorts, 5);
});

test('everything a Node says follows when it says something else', () => {
  const moved: NodeObject = {
    ...NODE,
    zone: 'z2',
    addresses: [address('198.51.100.1')],
    podCIDRs: podCIDRs.slice(2),
    eligible: false,
  };
  const options = cluster({ 'detect-local-mode': 'NodeCIDR' });
  const { view, settings, eligible, healthCheckAddresses, problems } = describeNode(options, {
    ...facts,
    object: moved,
    lastGood: NODE,
  });
  assert.deepEqual(view, {
    name: 'n1',
    zone: 'z2',
    primaryAddresses: ['198.51.100.1'],
    nodePortAddresses: ['198.51.100.1'],
  });
  assert.deepEqual(settings.localTraffic, { IPv4: { kind: 'cidr', cidr: podCIDRs[2] } });
  assert.deepEqual(healthCheckAddresses, { IPv4: ['198.51.100.1'], IPv6: [] });
  assert.equal(eligible, false);
  assert.deepEqual(problems, []);
});

test('an interface that gets an address of the node serves on it at once', () => {
  const setting = cluster({ 'nodeport-addresses': '198.51.100.0/24' });
  const later = [...facts.interfaceAddresses, address('198.51.100.7')];
  const { view, healthCheckAddresses } = describeNode(setting, {
    ...facts,
    interfaceAddresses: later,
  });
  const chosen = ['198.51.100.1', '198.51.100.7'];
  assert.deepEqual(view.nodePortAddresses, [...chosen, '2001:db8::1']);
  assert.deepEqual(healthCheckAddresses, { IPv4: chosen, IPv6: 'any' });
});

test('an API server without the Node: the interfaces are not asked, and no load balancer is', () => {
  const { view, eligible, problems, fatal } = describeNode(cluster(), {
    ...facts,
    object: undefined,
  });
  assert.deepEqual(view.primaryAddresses, []);
  assert.deepEqual(view.nodePortAddresses, []);
  assert.equal(eligible, false);
  assert.equal(fatal, undefined);
  assert.match(problems.join('\n'), /^The API server has no Node n1: node ports are not served; /);
  const named = describeNode(cluster({ 'nodeport-addresses': '198.51.100.0/24' }), {
    ...facts,
    object: undefined,
  });
  assert.ok(named.view.nodePortAddresses.includes(address('198.51.100.1')));
  assert.match(named.problems.join('\n'), /^The API server has no Node n1: its addresses are not/);
});

test('manifests need no Node, and the machine is eligible without one', () => {
  const { eligible, problems } = describeNode(config(), { ...facts, object: undefined });
  assert.equal(eligible, true);
  assert.deepEqual(problems, []);
  const { view } = describeNode(config(), { ...facts, object: without('addresses') });
  assert.equal(view.zone, 'z1');
  assert.deepEqual(view.nodePortAddresses, ['192.0.2.1', '2001:db8::1']);
});

const LOST: readonly (readonly [string, NodeFacts['object'], RegExp])[] = [
  ['is deleted', undefined, /^The Node n1 was deleted: what it said before goes on counting$/],
  [
    'loses its addresses',
    without('addresses'),
    /^The Node n1 has neither InternalIP nor ExternalIP: what it said before goes on counting$/,
  ],
];

for (const [name, object, problem] of LOST) {
  test(`a Node that ${name} under traffic takes nothing away`, () => {
    const options = cluster({ 'detect-local-mode': 'NodeCIDR' });
    const before = describeNode(options, facts);
    const after = describeNode(options, { ...facts, object, lastGood: NODE });
    assert.deepEqual(after.view, before.view);
    assert.deepEqual(after.settings, before.settings);
    assert.equal(after.eligible, object !== undefined);
    assert.match(after.problems.join('\n'), problem);
  });
}

test('a Node that never had addresses is told', () => {
  const { view, problems } = describeNode(cluster(), { ...facts, object: without('addresses') });
  assert.deepEqual(view.nodePortAddresses, []);
  assert.match(
    problems.join('\n'),
    /neither InternalIP nor ExternalIP: node ports are not served$/,
  );
});

test('a Node whose primary family the kernel lacks is told, unless the families were chosen', () => {
  const six = { ...facts, object: { ...NODE, addresses: NODE.addresses.toReversed() } };
  const { problems, fatal } = describeNode(cluster(), { ...six, families: ['IPv4'] });
  assert.match(problems.join('\n'), /^This kernel lacks IPv6, the primary family/);
  assert.equal(fatal, undefined);
  assert.deepEqual(describeNode(cluster({ 'ip-families': 'IPv4' }), six).problems, []);
});

interface Mismatch {
  readonly name: string;
  readonly flags: Readonly<Record<string, string>>;
  readonly object?: NodeObject;
  readonly problem: RegExp | undefined;
  readonly isFatal: boolean;
}

const four: NodeObject = { ...NODE, podCIDRs: podCIDRs.filter(({ family }) => family === 'IPv4') };
const six: NodeObject = { ...NODE, podCIDRs: podCIDRs.filter(({ family }) => family === 'IPv6') };

const MISMATCHES: readonly Mismatch[] = [
  {
    name: 'one family, and cluster CIDRs of the other',
    flags: { 'cluster-cidr': 'fd00::/56', 'ip-families': 'IPv4' },
    problem: /^The cluster CIDRs \(fd00::\/56\) have no IPv4 range, the only family/,
    isFatal: true,
  },
  {
    name: 'one family, and cluster CIDRs of both',
    flags: { 'cluster-cidr': 'fd00::/56,10.0.0.0/8', 'ip-families': 'IPv4' },
    problem: undefined,
    isFatal: false,
  },
  {
    name: 'both families, and cluster CIDRs of the secondary one',
    flags: { 'cluster-cidr': 'fd00::/56' },
    problem: /have no IPv4 range, the primary family/,
    isFatal: false,
  },
  {
    name: 'both families, and cluster CIDRs of the primary one',
    flags: { 'cluster-cidr': '10.0.0.0/8' },
    problem: undefined,
    isFatal: false,
  },
  {
    name: 'both families, and pod CIDRs of the secondary one',
    flags: { 'detect-local-mode': 'NodeCIDR' },
    object: six,
    problem: /^The podCIDRs of the Node n1 \(fd00:1::\/64\) have no IPv4 range/,
    isFatal: true,
  },
  {
    name: 'both families, and pod CIDRs of the primary one',
    flags: { 'detect-local-mode': 'NodeCIDR' },
    object: four,
    problem: undefined,
    isFatal: false,
  },
  {
    name: 'pod CIDRs of the other family that nobody uses',
    flags: { 'cluster-cidr': '10.0.0.0/8' },
    object: six,
    problem: undefined,
    isFatal: false,
  },
];

for (const { name, flags, object = NODE, problem, isFatal } of MISMATCHES) {
  test(`CIDRs of local traffic and families of the node: ${name}`, () => {
    const { problems, fatal } = describeNode(cluster(flags), { ...facts, object });
    if (problem === undefined) assert.deepEqual(problems, []);
    else assert.match(problems.join('\n'), problem);
    assert.equal(fatal, isFatal ? problems[0] : undefined);
  });
}
