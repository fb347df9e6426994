import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../../src/agent/errors.ts';
import { loadConfig } from '../../../../src/agent/config/load.ts';
import { HEADER, OWN_HEADER, differences, load, loadFields, loadFile, refusal } from './loading.ts';

const EMPTY = loadFields('').settings;

test('a file that says nothing has the defaults of the flags', () => {
  assert.deepEqual(differences(load().settings, EMPTY), { configFile: '/etc/proxy.conf' });
});

test('each type of field is read, and nothing else is set by it', () => {
  const cases: readonly (readonly [string, object])[] = [
    ['mode: ipvs\n', { mode: 'ipvs', nodePortAddresses: [] }],
    ['mode: ""\n', {}],
    ['bindAddressHardFail: yes\n', { bindAddressHardFail: true }],
    ['oomScoreAdj: 0\n', { oomScoreAdj: 0 }],
    [
      'conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s}\n',
      { conntrackMaxPerCore: 0, conntrackTcpEstablishedTimeout: 0 },
    ],
    [
      'clientConnection: {qps: 2.5, burst: 7, kubeconfig: /k}\n',
      { qps: 2.5, burst: 7, kubeconfig: '/k' },
    ],
    ['clusterCIDR: 10.0.0.0/8,fd00::/8\n', { clusterCidr: ['10.0.0.0/8', 'fd00::/8'] }],
    ['nodePortAddresses: [10.0.0.0/8]\n', { nodePortAddresses: ['10.0.0.0/8'] }],
    [
      'nftables: {masqueradeAll: true, syncPeriod: 1h2m3s}\n',
      { nftablesMasqueradeAll: true, nftablesSyncPeriod: 3_723_000 },
    ],
    ['iptables: {minSyncPeriod: 10s}\n', { iptablesMinSyncPeriod: 10_000 }],
    [
      'logging: {verbosity: 4, vmodule: [{filePattern: a, verbosity: 2}]}\n',
      { verbosity: 4, vmodule: [{ filePattern: 'a', verbosity: 2 }] },
    ],
    [
      'logging: {options: {json: {infoBufferSize: 0}, text: {splitStream: true}}}\n',
      { logTextSplitStream: true },
    ],
    ['featureGates: {A: false}\n', { featureGates: { A: false } }],
    ['winkernel: {enableDSR: true}\n', { winEnableDsr: true }],
    ['hostnameOverride: Node-A\n', { hostnameOverride: 'node-a' }],
    ['healthzBindAddress: 192.0.2.1\n', { healthzBindAddress: '192.0.2.1:10256' }],
    [
      'bindAddress: "::"\n',
      { bindAddress: '::', healthzBindAddress: '[::]:10256', metricsBindAddress: '[::1]:10249' },
    ],
  ];
  for (const [fields, expected] of cases)
    assert.deepEqual(differences(EMPTY, loadFields(fields).settings), expected, fields);
});

test('what is empty, zero or null in a file means the default', () => {
  const { settings } = loadFields(
    [
      'bindAddress: ""',
      'healthzBindAddress: ""',
      'metricsBindAddress: ""',
      'clientConnection: {contentType: "", qps: 0, burst: 0}',
      'configSyncPeriod: 0s',
      'detectLocalMode: ""',
      'iptables: {syncPeriod: 0s, minSyncPeriod: 0s, masqueradeBit: null, localhostNodePorts: null}',
      'ipvs: {syncPeriod: 0s}',
      'nftables: {syncPeriod: 0s}',
      'logging: {format: "", flushFrequency: 0s}',
      'conntrack: null',
      'nodePortAddresses: null',
      'oomScoreAdj: null',
    ].join('\n'),
  );
  assert.deepEqual(differences(EMPTY, settings), {});
});

test('JSON is read as YAML is', () => {
  const json = JSON.stringify(
    {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'iptables',
    },
    undefined,
    '\t',
  );
  assert.equal(loadFile(json).settings.mode, 'iptables');
});

test('flags beside a file are ignored with one warning, but for those that win', () => {
  const { settings, nodeName, warnings } = loadFields(
    'mode: ipvs\nhostnameOverride: a\nlogging: {verbosity: 1, vmodule: [{filePattern: f, verbosity: 1}]}\n',
    {
      'proxy-mode': 'nftables',
      'iptables-sync-period': '1h',
      'hostname-override': 'B',
      v: '5',
      vmodule: 'g=2',
      master: 'https://10.0.0.1',
      manifests: '/m',
      'write-config-to': '/out',
    },
  );
  assert.equal(settings.mode, 'ipvs');
  assert.equal(settings.iptablesSyncPeriod, 30_000);
  assert.equal(settings.nftablesSyncPeriod, 30_000);
  assert.equal(nodeName, 'b');
  assert.equal(settings.verbosity, 5);
  assert.deepEqual(settings.vmodule, [
    { filePattern: 'g', verbosity: 2 },
    { filePattern: 'f', verbosity: 1 },
  ]);
  assert.equal(settings.master, 'https://10.0.0.1');
  assert.equal(settings.manifests, '/m');
  assert.equal(settings.writeConfigTo, '/out');
  assert.deepEqual(warnings, [
    'With --config these flags are ignored: --proxy-mode, --iptables-sync-period. Write the settings into /etc/proxy.conf.',
  ]);
});

test('unknown and repeated fields are named in one warning', () => {
  const { settings, warnings } = loadFields(
    'mode: ipvs\nmode: iptables\nnoSuch: {a: 1}\nconntrack: {min: 1, nor: 2, min: 3}\n',
  );
  assert.equal(settings.mode, 'iptables');
  assert.equal(settings.conntrackMin, 3);
  assert.deepEqual(warnings, [
    '/etc/proxy.conf: fields that are unknown (left out) or there twice (the last one counts): noSuch, conntrack.nor, mode, conntrack.min.',
  ]);
});

test('our own settings stand in a second document, in any order, or alone', () => {
  const own = `${OWN_HEADER}manifests: /m\nipFamilies: [IPv6]\ncoalesceWindow: 0s\nverifyInterval: 1m\nserviceMetrics: 7\n`;
  const expected = {
    manifests: '/m',
    ipFamilies: ['IPv6'],
    coalesceWindow: 0,
    verifyInterval: 60_000,
    serviceMetrics: 7,
  };
  for (const text of [`${HEADER}---\n${own}`, `---\n${own}---\n${HEADER}---\n# nothing\n`, own]) {
    const { settings, warnings } = loadFile(text);
    assert.deepEqual(differences(EMPTY, settings), expected);
    assert.deepEqual(warnings, []);
  }
});

test('unknown and repeated fields of our own document are refused', () => {
  assert.match(
    refusal(() => loadFile(`${OWN_HEADER}mainfests: /m\n`)),
    /there is no field mainfests in SwitchyardConfiguration, only manifests, ipFamilies, coalesceWindow, verifyInterval, serviceMetrics, statusSocket, stateFolder, bindMode, drainPeriod/,
  );
  assert.match(
    refusal(() => loadFile(`${OWN_HEADER}manifests: /a\nmanifests: /b\n`)),
    /manifests is there twice in SwitchyardConfiguration/,
  );
});

test('a file of another kind, of two of a kind, or of none is refused', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      '',
      /^Cannot use the configuration \/etc\/proxy\.conf: it is empty; it must have apiVersion: kubeproxy.config.k8s.io\/v1alpha1 and kind: KubeProxyConfiguration, or apiVersion: switchyard/,
    ],
    ['# nothing\n---\n', /it is empty/],
    ['mode: nftables\n', /has apiVersion nothing and kind nothing; it must have/],
    ['apiVersion: v1\nkind: ConfigMap\n', /has apiVersion "v1" and kind "ConfigMap"; it must have/],
    [
      'apiVersion: kubeproxy.config.k8s.io/v1beta1\nkind: KubeProxyConfiguration\n',
      /has apiVersion "kubeproxy.config.k8s.io\/v1beta1"/,
    ],
    [`${HEADER}---\n${HEADER}`, /there are two documents of kind KubeProxyConfiguration/],
    ['- 1\n', /a document must be an object with apiVersion and kind, not \[1\]/],
    ['some words', /a document must be an object .*not "some words"/],
    [`${HEADER}a: [1\n`, /line 4: /],
    [`${HEADER}a: *b\n`, /Unresolved alias/],
    [`${HEADER}a: ${'['.repeat(5000)}`, /call stack/],
  ];
  for (const [text, message] of cases)
    assert.match(
      refusal(() => loadFile(text)),
      message,
    );
});

test('a field of the wrong type is refused with its path', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      'conntrack: {min: "5"}\n',
      /: conntrack\.min must be a whole number from -2147483648 to 2147483647, not "5"\.$/,
    ],
    ['conntrack: {min: 1.5}\n', /conntrack\.min must be a whole number/],
    ['conntrack: {min: 3000000000}\n', /conntrack\.min must be a whole number/],
    ['conntrack: 5\n', /conntrack must be an object, not 5/],
    [
      'iptables: {syncPeriod: 30}\n',
      /iptables\.syncPeriod must be a duration with units .*, not 30/,
    ],
    ['iptables: {syncPeriod: 0}\n', /iptables\.syncPeriod must be a duration/],
    ['iptables: {syncPeriod: "30"}\n', /iptables\.syncPeriod must be a duration/],
    ['configSyncPeriod: 22:22\n', /configSyncPeriod must be a duration .*, not "22:22"/],
    ['mode: 5\n', /mode must be nftables, ipvs, iptables or auto, not 5/],
    ['mode: nfttables\n', /mode must be nftables, ipvs, iptables or auto, not "nfttables"/],
    ['bindAddress: 10\n', /bindAddress must be text \(put quotes around it\), not 10/],
    ['enableProfiling: "true"\n', /enableProfiling must be true or false, not "true"/],
    [
      'nodePortAddresses: 10.0.0.0/8\n',
      /nodePortAddresses must be a list of texts, not "10\.0\.0\.0\/8"/,
    ],
    ['nodePortAddresses: [1]\n', /nodePortAddresses must be a list of texts/],
    ['clusterCIDR: [10.0.0.0/8]\n', /clusterCIDR must be a text with commas/],
    ['featureGates: {A: 1}\n', /featureGates must be names with true or false/],
    ['featureGates: [A]\n', /featureGates must be names with true or false/],
    ['logging: {vmodule: [{filePattern: a}]}\n', /logging\.vmodule must be patterns/],
    [
      'logging: {vmodule: [{filePattern: "a,b", verbosity: 1}]}\n',
      /logging\.vmodule must be patterns/,
    ],
    ['logging: {options: {text: 5}}\n', /logging\.options\.text must be an object/],
    ['clientConnection: {qps: .nan}\n', /clientConnection\.qps must be a number/],
    [`portRange: [${'a, '.repeat(100)}]\n`, /portRange must be text .*, not \[[^\]]{50,70}…\.$/],
  ];
  for (const [fields, message] of cases)
    assert.match(
      refusal(() => loadFields(fields)),
      message,
      fields,
    );
});

test('a rule that is broken is told with the field, or with the flag that won', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['metricsBindAddress: "1.2.3.4:0"\n', /: metricsBindAddress must be IP or IP:port/],
    [
      'mode: nftables\nnftables: {masqueradeBit: 32}\n',
      /nftables\.masqueradeBit must be from 0 to 31, not 32/,
    ],
    [
      'iptables: {minSyncPeriod: 40s}\n',
      /iptables\.minSyncPeriod must be at most iptables\.syncPeriod \(30s\)/,
    ],
    [
      'detectLocalMode: BridgeInterface\n',
      /detectLocal\.bridgeInterface must be .* when detectLocalMode is BridgeInterface/,
    ],
    [
      'detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: a-very-long-prefix}\n',
      /detectLocal\.interfaceNamePrefix must be /,
    ],
    ['conntrack: {udpTimeout: -1s}\n', /conntrack\.udpTimeout must be 0 or more, not "-1s"/],
    ['hostnameOverride: a b\n', /hostnameOverride must be the name of a Node/],
  ];
  for (const [fields, message] of cases)
    assert.match(
      refusal(() => loadFields(fields)),
      message,
    );
  const flags = { 'hostname-override': 'a b', 'proxy-mode': 'no-mode' };
  assert.match(
    refusal(() => loadFields('hostnameOverride: c d\n', flags)),
    /--proxy-mode must be .*; --hostname-override must be .*"a b"/,
  );
  loadFields('mode: iptables\nnftables: {masqueradeBit: 32}\n');
});

test('faults of types and of rules are told together', () => {
  const message = refusal(() =>
    loadFields('mode: 1\noomScoreAdj: 5000\nconntrack: {min: x, maxPerCore: -1}\n'),
  );
  assert.match(
    message,
    /mode must be .*; conntrack\.min must be .*; oomScoreAdj must be .*; conntrack\.maxPerCore must be /,
  );
});

test('a file that cannot be read is the reason that is given', () => {
  const unreadable = new AgentError('SY_CONFIG_UNREADABLE', 'It is gone.');
  assert.throws(
    () =>
      loadConfig({
        flags: new Map([['config', '/gone']]),
        readFile: () => {
          throw unreadable;
        },
        hostname: 'a',
      }),
    unreadable,
  );
});
