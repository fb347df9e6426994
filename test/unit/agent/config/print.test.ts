import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseDocument } from 'yaml';
import { OPTIONS } from '../../../../src/agent/config/options.ts';
import { printConfigz, printFlags, printYaml } from '../../../../src/agent/config/print.ts';
import { HEADER, OWN_HEADER, differences, load, loadFields, loadFile } from './loading.ts';

function recorded(mode: string): string {
  const path = `../../../fixtures/kube-proxy-1.36/configz-${mode}.txt`;
  return readFileSync(new URL(path, import.meta.url), 'utf8').trim();
}

const RECORDED_FLAGS = {
  'feature-gates': 'WatchListClient=false',
  'kube-api-content-type': 'application/json',
  'hostname-override': 'node1',
  'cluster-cidr': '10.180.0.0/16,fd00:10:180::/48',
  'oom-score-adj': '0',
  'conntrack-max-per-core': '0',
};

test('configz is, byte for byte, what kube-proxy answers with the same flags', () => {
  const nftables = load({ ...RECORDED_FLAGS, 'proxy-mode': 'nftables', v: '9' });
  assert.equal(printConfigz(nftables.settings, 'nftables'), recorded('nftables'));
  const iptables = load({ ...RECORDED_FLAGS, 'proxy-mode': 'iptables', v: '2' });
  assert.equal(printConfigz(iptables.settings, 'iptables'), recorded('iptables'));
});

test('configz of auto tells the mode that runs', () => {
  const auto = load({ ...RECORDED_FLAGS, v: '9' });
  assert.equal(printConfigz(auto.settings, 'nftables'), recorded('nftables'));
});

test('configz shows what is kept for one mode only in its section', () => {
  const { settings } = load({
    'masquerade-all': 'true',
    'iptables-min-sync-period': '5s',
    'ipvs-sync-period': '7s',
  });
  const sections = (mode: 'nftables' | 'ipvs' | 'iptables'): readonly unknown[] => {
    const config = parseDocument(printConfigz(settings, mode));
    const values = (name: string, ...fields: readonly string[]): readonly unknown[] =>
      fields.map((field) => config.getIn(['kubeproxy.config.k8s.io', name, field]));
    return [
      values('iptables', 'masqueradeAll', 'syncPeriod', 'minSyncPeriod'),
      values('ipvs', 'syncPeriod', 'minSyncPeriod'),
      values('nftables', 'masqueradeAll', 'syncPeriod', 'minSyncPeriod'),
    ];
  };
  assert.deepEqual(sections('iptables'), [
    [true, '30s', '5s'],
    ['0s', '0s'],
    [false, '0s', '0s'],
  ]);
  assert.deepEqual(sections('ipvs'), [
    [true, '0s', '0s'],
    ['7s', '0s'],
    [false, '0s', '0s'],
  ]);
  assert.deepEqual(sections('nftables'), [
    [false, '0s', '0s'],
    ['0s', '0s'],
    [true, '30s', '5s'],
  ]);
});

test('what kube-proxy leaves out when it is empty is there when it is not', () => {
  const { settings } = load({
    vmodule: 'a=1',
    'windows-service': 'true',
    'ipvs-exclude-cidrs': '10.0.0.0/8',
  });
  const text = printConfigz(settings, 'nftables');
  assert.ok(text.includes('"vmodule":[{"filePattern":"a","verbosity":1}]'));
  assert.ok(text.includes('"portRange":"","windowsRunAsService":true}'));
  assert.ok(text.includes('"excludeCIDRs":["10.0.0.0/8"]'));
});

test('the written file has both documents only if a setting of ours was changed', () => {
  assert.ok(!printYaml(load().settings).includes('Switchyard'));
  const text = printYaml(load({ manifests: '/m', 'masquerade-all': 'true' }).settings);
  const [first = '', second = ''] = text.split('---\n');
  assert.ok(first.startsWith(HEADER));
  assert.equal(second, `${OWN_HEADER}manifests: /m\n`);
  assert.equal(parseDocument(first).getIn(['nftables', 'masqueradeAll']), true);
  // kube-proxy knows no mode of the name auto.
  assert.equal(parseDocument(first).get('mode'), '');
});

test('flags are printed as they would be written', () => {
  const flags = printFlags(load({ v: '3', 'nodeport-addresses': '10.0.0.0/8,fd00::/8' }).settings);
  assert.equal(flags['v'], '3');
  assert.equal(flags['nodeport-addresses'], '10.0.0.0/8,fd00::/8');
  assert.equal(flags['conntrack-tcp-timeout-established'], '24h0m0s');
  assert.equal(flags['masquerade-all'], 'false');
});

const ms = fc.integer({ min: 0, max: 2 ** 50 }).map((ns) => ns / 1e6);
const duration = ms.map((value) => OPTIONS.configSyncPeriod.type.encode(value));
const words = fc.oneof(
  fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
  fc.constantFrom('yes', '0x10', '1:2', 'null', '~', '- a', 'a: b', '2001-01-01', '---', ' '),
);
const cidr = fc.constantFrom('10.0.0.0/8', 'fd00::/8', '192.0.2.1/32');
const int = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const some = <T>(values: Readonly<Record<string, fc.Arbitrary<T>>>): fc.Arbitrary<object> =>
  fc.record<Record<string, T>>({ ...values }, { requiredKeys: [] });

const KUBE_PROXY_FIELDS = some<unknown>({
  featureGates: fc.dictionary(words, fc.boolean()),
  clientConnection: some<unknown>({
    kubeconfig: words,
    acceptContentTypes: words,
    qps: fc.double({ noNaN: true, noDefaultInfinity: true }),
    burst: int,
  }),
  logging: some<unknown>({
    format: fc.constantFrom('', 'text', 'json'),
    flushFrequency: duration,
    verbosity: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    vmodule: fc.array(
      fc.record({ filePattern: fc.constantFrom('a', 'b*', 'yes'), verbosity: int }),
    ),
    options: some({
      text: some<unknown>({
        splitStream: fc.boolean(),
        infoBufferSize: fc.constantFrom(0, '0', '5Mi'),
      }),
    }),
  }),
  hostnameOverride: fc.constantFrom('', 'node-a', '10', 'on'),
  bindAddress: fc.constantFrom('', '0.0.0.0', '::', '192.0.2.1'),
  healthzBindAddress: fc.constantFrom('', '::', '[::1]:99', '1.2.3.4'),
  metricsBindAddress: fc.constantFrom('', '::', '[::1]:99', '1.2.3.4'),
  mode: fc.constantFrom('', 'auto', 'nftables', 'ipvs', 'iptables'),
  iptables: some<unknown>({
    masqueradeAll: fc.boolean(),
    masqueradeBit: fc.integer({ min: 0, max: 31 }),
    minSyncPeriod: fc.constantFrom('0s', '1s', '30s'),
  }),
  ipvs: some<unknown>({
    scheduler: words,
    excludeCIDRs: fc.array(cidr),
    tcpTimeout: duration,
    strictARP: fc.boolean(),
  }),
  nftables: some<unknown>({
    masqueradeAll: fc.boolean(),
    syncPeriod: fc.constantFrom('1h', '90s'),
    minSyncPeriod: fc.constantFrom('0s', '1s', '30s'),
  }),
  winkernel: some<unknown>({ networkName: words, enableDSR: fc.boolean() }),
  detectLocalMode: fc.constantFrom('', 'ClusterCIDR', 'NodeCIDR'),
  detectLocal: some({ bridgeInterface: words, interfaceNamePrefix: words }),
  clusterCIDR: fc.constantFrom('', '10.0.0.0/8', '10.0.0.0/8,fd00::/8'),
  nodePortAddresses: fc.oneof(fc.constant(['primary']), fc.array(cidr)),
  oomScoreAdj: fc.integer({ min: -1000, max: 1000 }),
  conntrack: some<unknown>({
    maxPerCore: int,
    tcpEstablishedTimeout: duration,
    tcpBeLiberal: fc.boolean(),
    udpTimeout: duration,
  }),
  portRange: words,
  windowsRunAsService: fc.boolean(),
});

const OWN_FIELDS = some<unknown>({
  manifests: words,
  ipFamilies: fc.subarray(['IPv4', 'IPv6']),
  coalesceWindow: duration,
  serviceMetrics: fc.integer({ min: 0, max: 2000 }),
  statusSocket: fc.constantFrom('', '/run/switchyard/status.sock', '/run/other.sock'),
  bindMode: fc.constantFrom('route', 'address'),
  drainPeriod: duration,
});

test('settings that are written to a file and read again are the same', () => {
  fc.assert(
    fc.property(KUBE_PROXY_FIELDS, OWN_FIELDS, (fields, own) => {
      // A file is JSON before it is YAML: what the printer does cannot hide what the reader does.
      const kinds = [HEADER, OWN_HEADER].map((header): unknown => parseDocument(header).toJS());
      const text = [fields, own].map((part, index) =>
        JSON.stringify(Object.assign({}, kinds[index], part)),
      );
      const { settings } = loadFile(text.join('\n---\n'));
      const again = loadFile(printYaml(settings));
      assert.deepEqual(differences(settings, again.settings), {});
      assert.deepEqual(
        again.warnings.filter((warning) => !warning.startsWith('Feature')),
        [],
      );
    }),
    { numRuns: 200 },
  );
});

test('what flags set is the same when it is written to a file and read again', () => {
  const { settings } = load({
    'iptables-min-sync-period': '5s',
    'healthz-bind-address': '::',
    v: '4',
    'write-config-to': '/x',
  });
  assert.deepEqual(
    differences(settings, loadFields(printYaml(settings).replace(HEADER, '')).settings),
    {
      configFile: '/etc/proxy.conf',
      writeConfigTo: '',
    },
  );
});
