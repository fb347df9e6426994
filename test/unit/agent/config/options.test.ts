import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DOCUMENT_KINDS } from '../../../../src/agent/config/document-kinds.ts';
import { FLAGS, KEYS, OPTIONS } from '../../../../src/agent/config/options.ts';
import { renderFlagsDocs } from '../../../../tools/docs/flags.ts';

/** The flags of kube-proxy 1.36. */
const KUBE_PROXY_FLAGS = `
  config write-config-to cleanup init-only version hostname-override master v vmodule logging-format
  log-flush-frequency log-text-split-stream log-text-info-buffer-size log-json-split-stream
  log-json-info-buffer-size kubeconfig kube-api-content-type kube-api-qps kube-api-burst feature-gates
  bind-address healthz-bind-address metrics-bind-address healthz-port metrics-port bind-address-hard-fail
  profiling show-hidden-metrics-for-version proxy-mode iptables-masquerade-bit masquerade-all
  iptables-localhost-nodeports iptables-sync-period iptables-min-sync-period ipvs-sync-period
  ipvs-min-sync-period ipvs-scheduler ipvs-exclude-cidrs ipvs-strict-arp ipvs-tcp-timeout
  ipvs-tcpfin-timeout ipvs-udp-timeout detect-local-mode pod-bridge-interface pod-interface-name-prefix
  cluster-cidr nodeport-addresses oom-score-adj conntrack-max-per-core conntrack-min
  conntrack-tcp-timeout-established conntrack-tcp-timeout-close-wait conntrack-tcp-be-liberal
  conntrack-udp-timeout conntrack-udp-timeout-stream config-sync-period boot-id-file machine-id-file
  windows-service source-vip network-name enable-dsr root-hnsendpoint-name forward-healthcheck-vip`;

const OWN_FLAGS =
  'manifests ip-families coalesce-window verify-interval service-metrics status-socket state-folder bind-mode drain-period';

test('the table has every flag of kube-proxy, ours, and no other', () => {
  const expected = `${KUBE_PROXY_FLAGS} ${OWN_FLAGS}`.trim().split(/\s+/);
  assert.deepEqual([...FLAGS.keys()].toSorted(), expected.toSorted());
});

test('no two rows have the same flag or field, and a shared flag is one of another row', () => {
  const flags = KEYS.flatMap((key) => OPTIONS[key].flag ?? []);
  assert.equal(new Set(flags).size, flags.length);
  for (const { keys } of DOCUMENT_KINDS)
    assert.equal(new Set(keys.map((key) => OPTIONS[key].field)).size, keys.length);
  for (const key of KEYS) {
    const { sharesFlag } = OPTIONS[key];
    if (sharesFlag !== undefined) assert.ok(flags.includes(sharesFlag), sharesFlag);
  }
});

test('docs/flags.md is what the table says (npm run docs writes it)', () => {
  const file = new URL('../../../../docs/flags.md', import.meta.url);
  assert.equal(readFileSync(file, 'utf8'), renderFlagsDocs());
});
