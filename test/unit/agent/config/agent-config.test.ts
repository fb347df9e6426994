import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlaneMode } from '../../../../src/agent/config/option.ts';
import { type AgentConfig, agentConfig } from '../../../../src/agent/config/agent-config.ts';
import { formatCidr } from '../../../../src/core/ip.ts';
import { type Flags, load, loadFields } from './loading.ts';

function config(flags: Flags = {}, mode: PlaneMode = 'nftables'): AgentConfig {
  return agentConfig(load(flags), mode);
}

test('without flags, the daemon does what kube-proxy does by default', () => {
  assert.deepEqual(config(), {
    source: {
      kind: 'api',
      kubeconfig: undefined,
      master: undefined,
      contentType: 'protobuf',
      watchList: true,
    },
    nodeName: 'host-1',
    mode: 'nftables',
    families: undefined,
    detectLocal: { mode: 'ClusterCIDR', cidrs: [] },
    nodePortAddresses: 'primary',
    masqueradeAll: false,
    coalesceMs: 2,
    verifyMs: 30_000,
    syncPeriodMs: 30_000,
    minSyncPeriodMs: undefined,
    serviceMetrics: 0,
    bindAddress: undefined,
    healthAddress: { host: '0.0.0.0', port: 10_256 },
    metricsAddress: { host: '127.0.0.1', port: 10_249 },
    bindHardFail: false,
    statusSocket: '/run/switchyard/status.sock',
    profiling: false,
    oomScoreAdj: -999,
    conntrack: {
      maxPerCore: 32_768,
      min: 131_072,
      tcpEstablishedMs: 86_400_000,
      tcpCloseWaitMs: 3_600_000,
      tcpBeLiberal: false,
      udpMs: 0,
      udpStreamMs: 0,
    },
    logging: { format: 'text', verbosity: 0, vmodule: [] },
    masqueradeBit: 14,
    ipvs: {
      scheduler: 'rr',
      strictArp: false,
      tcpMs: 0,
      tcpFinMs: 0,
      udpMs: 0,
      bindMode: 'route',
      drainMs: 300_000,
    },
    iptables: { localhostNodePorts: false },
  });
});

function servesLocalhost(flags: Flags, mode: PlaneMode = 'iptables'): boolean {
  return config({ 'proxy-mode': mode, ...flags }, mode).iptables.localhostNodePorts;
}

test('node ports are served on 127.0.0.1 in iptables mode where their addresses include it', () => {
  assert.equal(servesLocalhost({}), true);
  assert.equal(servesLocalhost({ 'nodeport-addresses': '10.0.0.0/8,127.0.0.0/8' }), true);
  assert.equal(servesLocalhost({ 'nodeport-addresses': '::/0' }), true);
  assert.equal(servesLocalhost({ 'iptables-localhost-nodeports': 'false' }), false);
  assert.equal(servesLocalhost({ 'nodeport-addresses': '10.0.0.0/8' }), false);
  assert.equal(servesLocalhost({ 'nodeport-addresses': 'primary' }), false);
  assert.equal(servesLocalhost({ 'nodeport-addresses': '0.0.0.0/0' }, 'ipvs'), false);
});

test('manifests take the place of the API server', () => {
  assert.deepEqual(config({ manifests: '/m', kubeconfig: '/k' }).source, {
    kind: 'manifests',
    path: '/m',
  });
});

test('the API server is reached as flags say', () => {
  const flags = {
    kubeconfig: '/k',
    master: 'https://a',
    'kube-api-content-type': 'application/json',
    'feature-gates': 'WatchListClient=false',
  };
  assert.deepEqual(config(flags).source, {
    kind: 'api',
    kubeconfig: '/k',
    master: 'https://a',
    contentType: 'json',
    watchList: false,
  });
});

test('each way to recognise local traffic has what it needs', () => {
  const { detectLocal } = config({ 'cluster-cidr': '010.244.0.0/16,fd00::/48' });
  assert.ok(detectLocal.mode === 'ClusterCIDR');
  assert.deepEqual(detectLocal.cidrs.map(formatCidr), ['10.244.0.0/16', 'fd00::/48']);
  const local = (flags: Flags): unknown => config(flags).detectLocal;
  assert.deepEqual(local({ 'detect-local-mode': 'NodeCIDR' }), { mode: 'NodeCIDR' });
  assert.deepEqual(
    local({ 'detect-local-mode': 'BridgeInterface', 'pod-bridge-interface': 'cni0' }),
    {
      mode: 'BridgeInterface',
      name: 'cni0',
    },
  );
  const prefix = {
    'detect-local-mode': 'InterfaceNamePrefix',
    'pod-interface-name-prefix': 'veth',
  };
  assert.deepEqual(local(prefix), { mode: 'InterfaceNamePrefix', prefix: 'veth' });
});

test('node ports are served on CIDRs, and in other modes everywhere', () => {
  const { nodePortAddresses } = config({ 'nodeport-addresses': '192.0.2.9/24' });
  assert.ok(nodePortAddresses !== 'primary');
  assert.deepEqual(nodePortAddresses.map(formatCidr), ['192.0.2.0/24']);
  assert.deepEqual(agentConfig(load({ 'proxy-mode': 'ipvs' }), 'ipvs').nodePortAddresses, []);
});

test('addresses are those to listen on, and the one of the node', () => {
  const flags = {
    'bind-address': '192.0.2.1',
    'healthz-port': '0',
    'metrics-bind-address': '[::]:99',
  };
  const { bindAddress, healthAddress, metricsAddress } = config(flags);
  assert.equal(bindAddress, '192.0.2.1');
  assert.equal(healthAddress, undefined);
  assert.deepEqual(metricsAddress, { host: '::', port: 99 });
  assert.equal(config({ 'bind-address': '::' }).bindAddress, undefined);
});

test('periods and masquerading are those of the mode that runs', () => {
  const loaded = loadFields(
    [
      'iptables: {masqueradeBit: 1, masqueradeAll: true, syncPeriod: 11s, minSyncPeriod: 1s}',
      'ipvs: {syncPeriod: 12s, minSyncPeriod: 2s}',
      'nftables: {masqueradeBit: 3, masqueradeAll: false, syncPeriod: 13s, minSyncPeriod: 0s}',
    ].join('\n'),
  );
  const of = (mode: 'nftables' | 'ipvs' | 'iptables'): readonly unknown[] => {
    const { masqueradeAll, masqueradeBit, syncPeriodMs, minSyncPeriodMs } = agentConfig(
      loaded,
      mode,
    );
    return [masqueradeAll, masqueradeBit, syncPeriodMs, minSyncPeriodMs];
  };
  assert.deepEqual(of('iptables'), [true, 1, 11_000, 1000]);
  assert.deepEqual(of('ipvs'), [true, 1, 12_000, 2000]);
  assert.deepEqual(of('nftables'), [false, 3, 13_000, undefined]);
});

test('the status socket is where it is said, or nowhere; other texts are no paths of sockets', () => {
  assert.equal(config({ 'status-socket': '/run/s' }).statusSocket, '/run/s');
  assert.equal(config({ 'status-socket': '' }).statusSocket, undefined);
  for (const path of ['run/s', '/run/', '/', `/${'x'.repeat(90)}`]) {
    assert.throws(() => config({ 'status-socket': path }), /--status-socket must be an absolute/);
  }
});
