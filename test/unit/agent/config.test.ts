import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentConfig, parseConfig } from '../../../src/agent/config.ts';
import { AgentError, type AgentErrorCode } from '../../../src/agent/errors.ts';
import { formatCidr } from '../../../src/core/ip.ts';

const REQUIRED = { manifests: '/m', node: 'n1', mode: 'nftables' };

function parse(flags: Readonly<Record<string, string>>): AgentConfig {
  return parseConfig({ ...REQUIRED, ...flags });
}

function refused(flags: Readonly<Record<string, string>>, message: RegExp): AgentErrorCode {
  let code: AgentErrorCode | undefined;
  assert.throws(
    () => parse(flags),
    (error) => {
      assert.ok(error instanceof AgentError);
      assert.match(error.message, message);
      code = error.code;
      return true;
    },
  );
  assert.ok(code !== undefined);
  return code;
}

test('what is not said has the defaults of kube-proxy in nftables mode', () => {
  assert.deepEqual(parse({}), {
    manifests: '/m',
    nodeName: 'n1',
    mode: 'nftables',
    families: undefined,
    detectLocal: { mode: 'ClusterCIDR', cidrs: [] },
    nodePortAddresses: 'primary',
    masqueradeAll: false,
    verbosity: 0,
    coalesceMs: 2,
    verifyMs: 30_000,
  });
});

test('every flag is read', () => {
  const config = parse({
    ipFamilies: 'ipv6, IPv4',
    clusterCidr: '10.244.0.0/16,fd00::/48',
    nodeportAddresses: '192.0.2.0/24,2001:db8::/32',
    masqueradeAll: 'true',
    v: '4',
    coalesceWindow: '0',
    verifyInterval: '1m30s',
  });
  assert.deepEqual(config.families, ['IPv6', 'IPv4']);
  assert.ok(config.detectLocal.mode === 'ClusterCIDR');
  assert.deepEqual(config.detectLocal.cidrs.map(formatCidr), ['10.244.0.0/16', 'fd00::/48']);
  assert.ok(config.nodePortAddresses !== 'primary');
  assert.deepEqual(config.nodePortAddresses.map(formatCidr), ['192.0.2.0/24', '2001:db8::/32']);
  assert.equal(config.masqueradeAll, true);
  assert.equal(config.verbosity, 4);
  assert.equal(config.coalesceMs, 0);
  assert.equal(config.verifyMs, 90_000);
});

test('each way to recognise local traffic has what it needs', () => {
  assert.deepEqual(parse({ detectLocalMode: 'NodeCIDR' }).detectLocal, { mode: 'NodeCIDR' });
  assert.deepEqual(
    parse({ detectLocalMode: 'BridgeInterface', podBridgeInterface: 'cni0' }).detectLocal,
    { mode: 'BridgeInterface', name: 'cni0' },
  );
  assert.deepEqual(
    parse({ detectLocalMode: 'InterfaceNamePrefix', podInterfaceNamePrefix: 'veth' }).detectLocal,
    { mode: 'InterfaceNamePrefix', prefix: 'veth' },
  );
  refused({ detectLocalMode: 'BridgeInterface' }, /needs --pod-bridge-interface/);
  refused({ detectLocalMode: 'InterfaceNamePrefix' }, /needs --pod-interface-name-prefix/);
});

test('a value that cannot be read is refused with its flag', () => {
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ manifests: '' }, /^--manifests must be /],
    [{ node: 'N 1' }, /^--node must be .*"N 1"/],
    [{ ipFamilies: 'IPv5' }, /^--ip-families must be /],
    [{ ipFamilies: '' }, /^--ip-families must be /],
    [{ clusterCidr: '10.0.0.0/8,11.0.0.0/8' }, /^--cluster-cidr must be /],
    [{ clusterCidr: '10.0.0.0' }, /^--cluster-cidr must be /],
    [{ detectLocalMode: 'Magic' }, /^--detect-local-mode must be /],
    [{ podBridgeInterface: 'a-name-of-17-chars' }, /^--pod-bridge-interface must be /],
    [{ podInterfaceNamePrefix: 'a/b' }, /^--pod-interface-name-prefix must be /],
    [{ nodeportAddresses: 'primary,10.0.0.0/8' }, /^--nodeport-addresses must be /],
    [{ masqueradeAll: 'yes' }, /^--masquerade-all must be true or false/],
    [{ v: '11' }, /^-v must be from 0 to 10/],
    [{ coalesceWindow: '5' }, /^--coalesce-window must be a duration/],
    [{ verifyInterval: '-1s' }, /^--verify-interval must be a duration/],
    [{ mode: 'magic' }, /^--mode must be nftables/],
  ];
  for (const [flags, message] of cases)
    assert.equal(refused(flags, message), 'SY_CONFIG_INVALID', JSON.stringify(flags));
});

test('all faults are told together', () => {
  refused({ v: 'x', clusterCidr: 'y' }, /--cluster-cidr must be .*; -v must be /);
});

test('a mode that exists elsewhere is not built yet', () => {
  for (const mode of ['iptables', 'ipvs', 'ebpf', 'userspace'])
    assert.equal(refused({ mode }, /not built yet.*--mode nftables/), 'SY_MODE_NOT_BUILT');
});
