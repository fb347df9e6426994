import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentConfig, parseConfig } from '../../../src/agent/config.ts';
import { describeNode } from '../../../src/agent/node.ts';
import { parseCidr } from '../../../src/core/ip.ts';
import type { NodeObject } from '../../../src/core/model.ts';
import type { PlaneSettings } from '../../../src/core/node.ts';
import { address } from './fakes.ts';

function config(flags: Readonly<Record<string, string>> = {}): AgentConfig {
  return parseConfig({ manifests: '/m', node: 'n1', mode: 'nftables', ...flags });
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
  const { view, problems } = describeNode(config({ nodeportAddresses: '198.51.100.0/24' }), facts);
  assert.ok(view.nodePortAddresses.includes(address('198.51.100.1')));
  assert.ok(!view.nodePortAddresses.includes(address('192.0.2.1')));
  assert.deepEqual(problems, []);
});

test('the families are those of the kernel, or those that were chosen', () => {
  assert.deepEqual(describeNode(config(), { ...facts, families: ['IPv4'] }).settings.families, [
    'IPv4',
  ]);
  const { settings } = describeNode(config({ ipFamilies: 'IPv6' }), facts);
  assert.deepEqual(settings.families, ['IPv6']);
});

function local(flags: Readonly<Record<string, string>>): PlaneSettings['localTraffic'] {
  return describeNode(config(flags), facts).settings.localTraffic;
}

test('local traffic is recognised in each family as the mode says', () => {
  assert.deepEqual(local({}), {});
  assert.deepEqual(local({ clusterCidr: '10.0.0.0/8' }), {
    IPv4: { kind: 'cidr', cidr: parseCidr('10.0.0.0/8') },
  });
  assert.deepEqual(local({ detectLocalMode: 'NodeCIDR' }), {
    IPv4: { kind: 'cidr', cidr: podCIDRs[0] },
    IPv6: { kind: 'cidr', cidr: podCIDRs[1] },
  });
  assert.deepEqual(local({ detectLocalMode: 'BridgeInterface', podBridgeInterface: 'cni0' }), {
    IPv4: { kind: 'interface', name: 'cni0' },
    IPv6: { kind: 'interface', name: 'cni0' },
  });
  assert.deepEqual(
    local({
      detectLocalMode: 'InterfaceNamePrefix',
      podInterfaceNamePrefix: 'veth',
      ipFamilies: 'IPv4',
    }),
    { IPv4: { kind: 'interfacePrefix', prefix: 'veth' } },
  );
});

test('NodeCIDR without pod CIDRs is told', () => {
  const { problems, settings } = describeNode(config({ detectLocalMode: 'NodeCIDR' }), {
    ...facts,
    object: undefined,
  });
  assert.deepEqual(settings.localTraffic, {});
  assert.match(problems.join(), /no podCIDRs/);
});
