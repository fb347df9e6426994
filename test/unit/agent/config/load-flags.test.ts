import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Flags, differences, load, refusal } from './loading.ts';

test('the defaults are those of kube-proxy', () => {
  const { settings, nodeName, warnings } = load();
  assert.equal(nodeName, 'host-1');
  assert.deepEqual(warnings, []);
  assert.equal(settings.mode, 'auto');
  assert.equal(settings.detectLocalMode, 'ClusterCIDR');
  assert.deepEqual(settings.nodePortAddresses, ['primary']);
  assert.equal(settings.healthzBindAddress, '0.0.0.0:10256');
  assert.equal(settings.metricsBindAddress, '127.0.0.1:10249');
  assert.equal(settings.conntrackTcpEstablishedTimeout, 86_400_000);
  assert.equal(settings.oomScoreAdj, -999);
  assert.equal(settings.iptablesLocalhostNodePorts, true);
  assert.equal(settings.coalesceWindow, 2);
});

test('each type of flag is read, and nothing else is set by it', () => {
  const cases: readonly (readonly [Flags, object])[] = [
    [{ 'bind-address-hard-fail': 'T' }, { bindAddressHardFail: true }],
    [{ 'iptables-localhost-nodeports': '0' }, { iptablesLocalhostNodePorts: false }],
    [{ 'oom-score-adj': '-10' }, { oomScoreAdj: -10 }],
    [{ 'conntrack-min': '0x10' }, { conntrackMin: 16 }],
    [{ 'kube-api-qps': '-1.5' }, { qps: -1.5 }],
    [{ 'conntrack-udp-timeout': '1m30s' }, { conntrackUdpTimeout: 90_000 }],
    [{ 'conntrack-tcp-timeout-established': '0' }, { conntrackTcpEstablishedTimeout: 0 }],
    [
      { 'nodeport-addresses': '10.0.0.0/8, fd00::/8' },
      { nodePortAddresses: ['10.0.0.0/8', 'fd00::/8'] },
    ],
    [{ 'cluster-cidr': '10.0.0.0/8,fd00::/8' }, { clusterCidr: ['10.0.0.0/8', 'fd00::/8'] }],
    [{ 'feature-gates': 'A=true,B=false' }, { featureGates: { A: true, B: false } }],
    [
      { vmodule: 'a*=1,b=2' },
      {
        vmodule: [
          { filePattern: 'a*', verbosity: 1 },
          { filePattern: 'b', verbosity: 2 },
        ],
      },
    ],
    [{ 'log-json-info-buffer-size': '512Ki' }, { logJsonInfoBufferSize: '512Ki' }],
    [{ 'logging-format': 'json' }, { logFormat: 'json' }],
    [{ 'detect-local-mode': 'NodeCIDR' }, { detectLocalMode: 'NodeCIDR' }],
    [{ 'ip-families': 'ipv6,IPv4' }, { ipFamilies: ['IPv6', 'IPv4'] }],
    [{ 'hostname-override': ' Node-A ' }, { hostnameOverride: 'node-a' }],
    [{ manifests: '/m' }, { manifests: '/m' }],
    [{ 'bind-address': '010.0.0.1' }, { bindAddress: '010.0.0.1' }],
    [{ 'healthz-bind-address': '192.0.2.1' }, { healthzBindAddress: '192.0.2.1:10256' }],
    [{ 'metrics-bind-address': '::' }, { metricsBindAddress: '[::]:10249' }],
    [{ 'metrics-bind-address': '[::]:99' }, { metricsBindAddress: '[::]:99' }],
    [
      { 'source-vip': '10.0.0.1', 'windows-service': 'true' },
      { winSourceVip: '10.0.0.1', windowsService: true },
    ],
  ];
  const { settings: defaults } = load();
  for (const [flags, expected] of cases)
    assert.deepEqual(differences(defaults, load(flags).settings), expected);
});

test('empty and auto are the same mode, and each mode has its own default for node ports', () => {
  assert.equal(load({ 'proxy-mode': '' }).settings.mode, 'auto');
  assert.equal(load({ 'proxy-mode': 'auto' }).settings.mode, 'auto');
  assert.deepEqual(load({ 'proxy-mode': 'nftables' }).settings.nodePortAddresses, ['primary']);
  assert.deepEqual(load({ 'proxy-mode': 'ipvs' }).settings.nodePortAddresses, []);
  assert.deepEqual(load({ 'proxy-mode': 'iptables' }).settings.nodePortAddresses, []);
});

test('flags of iptables mode count in nftables mode, too, but not in ipvs mode', () => {
  const { settings } = load({
    'masquerade-all': 'true',
    'iptables-sync-period': '1m',
    'iptables-min-sync-period': '2s',
  });
  assert.equal(settings.nftablesMasqueradeAll, true);
  assert.equal(settings.nftablesSyncPeriod, 60_000);
  assert.equal(settings.nftablesMinSyncPeriod, 2000);
  assert.equal(settings.ipvsSyncPeriod, 30_000);
  assert.equal(settings.ipvsMinSyncPeriod, 0);
});

test('an empty address changes nothing, as in kube-proxy', () => {
  const flags = { 'metrics-bind-address': '', 'healthz-bind-address': '', 'bind-address': '' };
  assert.deepEqual(differences(load().settings, load(flags).settings), {});
});

test('an IPv6 bind address as a flag does not move the servers', () => {
  const { settings } = load({ 'bind-address': '::' });
  assert.equal(settings.healthzBindAddress, '0.0.0.0:10256');
  assert.equal(settings.metricsBindAddress, '127.0.0.1:10249');
});

test('the deprecated ports complete an address, and 0 turns the health server off', () => {
  const port = { 'healthz-port': '99', 'healthz-bind-address': '::1' };
  assert.equal(load(port).settings.healthzBindAddress, '[::1]:99');
  assert.equal(load({ 'healthz-port': '0' }).settings.healthzBindAddress, '');
  assert.deepEqual(load({ 'healthz-port': '0' }).warnings, [
    '--healthz-port is deprecated: use --healthz-bind-address.',
  ]);
  const useless = load({ 'metrics-port': '99' });
  assert.equal(useless.settings.metricsBindAddress, '127.0.0.1:10249');
  assert.match(
    useless.warnings.join('\n'),
    /^--metrics-port=99 has no effect, because --metrics-bind/,
  );
  assert.match(
    refusal(() => load({ 'metrics-port': '0' })),
    /^--metrics-port must be .*not ""/,
  );
  const written = load({
    'write-config-to': '/x',
    'healthz-port': '0',
    'metrics-bind-address': '::',
  });
  assert.equal(written.settings.healthzBindAddress, '0.0.0.0:10256');
  assert.equal(written.settings.metricsBindAddress, '[::]:10249');
});

test('feature gates are named in a warning', () => {
  assert.deepEqual(load({ 'feature-gates': 'B=false,A=true' }).warnings, [
    'Feature gates have no effect here: A=true,B=false.',
  ]);
});

test('a flag that cannot be used is refused with what it may be', () => {
  const cases: readonly (readonly [Flags, RegExp])[] = [
    [{ 'masquerade-all': 'yes' }, /^--masquerade-all must be true or false, not "yes"\.$/],
    [{ 'conntrack-min': '1.5' }, /^--conntrack-min must be a whole number .*, not "1.5"\.$/],
    [{ 'conntrack-min': '010' }, /^--conntrack-min must be a whole number/],
    [{ 'conntrack-min': '3000000000' }, /^--conntrack-min must be a whole number from -2147483648/],
    [{ 'kube-api-qps': 'many' }, /^--kube-api-qps must be a number/],
    [{ 'config-sync-period': '5' }, /^--config-sync-period must be a duration with units.*not "5"/],
    [{ 'feature-gates': 'A' }, /^--feature-gates must be names with true or false/],
    [{ 'feature-gates': '=true' }, /^--feature-gates must be names/],
    [{ vmodule: 'a' }, /^--vmodule must be patterns/],
    [
      { 'log-text-info-buffer-size': '-1' },
      /^--log-text-info-buffer-size must be a number of bytes/,
    ],
    [{ 'logging-format': 'xml' }, /^--logging-format must be text or json, not "xml"/],
    [{ 'proxy-mode': 'userspace' }, /^--proxy-mode must be nftables, ipvs, iptables or auto/],
    [{ 'proxy-mode': 'toString' }, /^--proxy-mode must be /],
    [{ v: '-1' }, /^--v must be a whole number from 0/],
    [{ 'ip-families': 'IPv5' }, /^--ip-families must be IPv4, IPv6 or both/],
    [{ 'no-such': 'x' }, /^there is no flag --no-such\.$/],
    [{ 'conntrack-min': '-1' }, /^--conntrack-min must be 0 or more, not -1/],
    [{ 'oom-score-adj': '1001' }, /^--oom-score-adj must be from -1000 to 1000/],
    [
      { 'iptables-masquerade-bit': '32', 'proxy-mode': 'nftables' },
      /^--iptables-masquerade-bit must be from 0 to 31/,
    ],
    [{ 'kube-api-burst': '-1' }, /^--kube-api-burst must be 0 or more/],
    [{ 'kube-api-content-type': 'text/html' }, /^--kube-api-content-type must be application/],
    [{ 'config-sync-period': '0' }, /^--config-sync-period must be more than 0, not "0s"/],
    [{ 'iptables-sync-period': '0' }, /^--iptables-sync-period must be more than 0, not "0s"\.$/],
    [
      { 'iptables-min-sync-period': '1h' },
      /^--iptables-min-sync-period must be at most --iptables-sync-period \(30s\), not "1h0m0s"\.$/,
    ],
    [
      { 'iptables-min-sync-period': '-1s' },
      /^--iptables-min-sync-period must be 0 or more, not "-1s"\.$/,
    ],
    [{ 'bind-address': 'localhost' }, /^--bind-address must be an IP address/],
    [{ 'metrics-bind-address': '0' }, /^--metrics-bind-address must be IP or IP:port/],
    [{ 'metrics-bind-address': '1.2.3.4:0' }, /^--metrics-bind-address must be IP or IP:port/],
    [{ 'healthz-bind-address': '1.2.3.4:65536' }, /^--healthz-bind-address must be IP or IP:port/],
    [{ 'healthz-bind-address': ':10256' }, /^--healthz-bind-address must be IP or IP:port/],
    [{ 'nodeport-addresses': 'primary,10.0.0.0/8' }, /^--nodeport-addresses must be CIDRs/],
    [
      { 'show-hidden-metrics-for-version': '1.34' },
      /^--show-hidden-metrics-for-version must be "1.35"/,
    ],
    [{ 'cluster-cidr': '10.0.0.0/8,11.0.0.0/8' }, /^--cluster-cidr must be a CIDR/],
    [{ 'cluster-cidr': '10.0.0.0' }, /^--cluster-cidr must be a CIDR/],
    [
      { 'detect-local-mode': 'BridgeInterface' },
      /^--pod-bridge-interface must be .* when --detect-local-mode is BridgeInterface, not ""/,
    ],
    [{ 'detect-local-mode': 'InterfaceNamePrefix' }, /^--pod-interface-name-prefix must be /],
    [{ 'hostname-override': '  ' }, /^--hostname-override must be the name of a Node/],
    [{ 'hostname-override': 'a_b' }, /^--hostname-override must be .*, not "a_b"/],
    [{ 'verify-interval': '0' }, /^--verify-interval must be more than 0/],
    [{ 'coalesce-window': '-1ms' }, /^--coalesce-window must be 0 or more/],
    [{ 'service-metrics': '-1' }, /^--service-metrics must be from 0 to 2000/],
  ];
  for (const [flags, message] of cases)
    assert.match(
      refusal(() => load(flags)),
      message,
    );
});

test('settings of another mode may be wrong, where kube-proxy does not look at them', () => {
  const flags = { 'ipvs-exclude-cidrs': 'x', 'ipvs-udp-timeout': '-1s', 'ipvs-sync-period': '0' };
  load({ ...flags, 'proxy-mode': 'nftables' });
  for (const mode of ['ipvs', 'auto'])
    assert.match(
      refusal(() => load({ ...flags, 'proxy-mode': mode })),
      /--ipvs-sync-period must be .*--ipvs-exclude-cidrs must be .*--ipvs-udp-timeout must be /,
    );
  load({ 'cluster-cidr': 'x', 'detect-local-mode': 'NodeCIDR' });
});

test('a host name that is none is refused, unless another one is given', () => {
  assert.match(
    refusal(() => load({}, ' ')),
    /^the host name \(or --hostname-override\) must be /,
  );
  assert.equal(load({ 'hostname-override': 'n1' }, ' ').nodeName, 'n1');
});

test('all faults are told together, each once', () => {
  const message = refusal(() => load({ v: 'x', 'masquerade-all': 'y', 'oom-score-adj': '-5000' }));
  assert.match(
    message,
    /^--v must be [^;]*; --masquerade-all must be [^;]*; --oom-score-adj must be [^;]*\.$/,
  );
});
