import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetricsMode } from '../../../../src/agent/metrics/definition.ts';
import type { Round } from '../../../../src/agent/metrics/round-metrics.ts';
import { Answer, START, makeMetrics } from './harness.ts';

const PREFIX = 'kubeproxy_sync_proxy_rules_';
const BOTH = ['IPv4', 'IPv6'];

function round(facts: Partial<Round> = {}): Round {
  return {
    how: 'apply',
    ok: true,
    seconds: 0.003,
    latencyMs: 4,
    operations: 2,
    triggers: [],
    ...facts,
  };
}

test('a Service event counts once for each family and makes its Service pending once', async () => {
  const metrics = makeMetrics();
  metrics.serviceChanged('a/one');
  metrics.serviceChanged('a/one');
  metrics.serviceChanged('a/two');
  const before = await Answer.of(metrics);
  assert.equal(before.value(`${PREFIX}service_changes_total`), 6);
  assert.equal(before.value(`${PREFIX}service_changes_pending`), 2);
  metrics.syncStarted();
  metrics.serviceChanged('a/three');
  const after = await Answer.of(metrics);
  assert.equal(after.value(`${PREFIX}service_changes_total`), 8);
  assert.equal(after.value(`${PREFIX}service_changes_pending`), 1);
});

test('a slice event counts once, and not at all in a family that is not served', async () => {
  const metrics = makeMetrics({ families: ['IPv4'] });
  metrics.sliceChanged('IPv4');
  metrics.sliceChanged('IPv4');
  metrics.sliceChanged('IPv6');
  const before = await Answer.of(metrics);
  assert.equal(before.value(`${PREFIX}endpoint_changes_total`), 2);
  assert.equal(before.value(`${PREFIX}endpoint_changes_pending`), 2);
  metrics.syncStarted();
  const after = await Answer.of(metrics);
  assert.equal(after.value(`${PREFIX}endpoint_changes_total`), 2);
  assert.equal(after.value(`${PREFIX}endpoint_changes_pending`), 0);
});

test('the times of the last event and of the last success are told for both families', async () => {
  let now = START;
  const metrics = makeMetrics({ wallTime: () => now });
  const first = await Answer.of(metrics);
  for (const ip_family of BOTH) {
    const labels = { ip_family };
    assert.equal(first.value(`${PREFIX}last_queued_timestamp_seconds`, labels), START / 1000);
    assert.equal(first.value(`${PREFIX}last_timestamp_seconds`, labels), undefined);
  }
  now += 1500;
  metrics.syncQueued();
  now += 500;
  metrics.synced(round());
  now += 1000;
  metrics.synced(round({ ok: false }));
  const last = await Answer.of(metrics);
  for (const ip_family of BOTH) {
    const labels = { ip_family };
    assert.equal(last.value(`${PREFIX}last_queued_timestamp_seconds`, labels), START / 1000 + 1.5);
    assert.equal(last.value(`${PREFIX}last_timestamp_seconds`, labels), START / 1000 + 2);
  }
});

test('a round is observed for each family, as full or as partial', async () => {
  const metrics = makeMetrics();
  metrics.synced(round({ how: 'open', seconds: 2, latencyMs: 2500, operations: 1000 }));
  metrics.synced(round({ seconds: 0.25 }));
  metrics.synced(round({ seconds: 0.5 }));
  const answer = await Answer.of(metrics);
  const sum = (name: string, ip_family: string): number | undefined =>
    answer.value(`${name}_sum`, { ip_family });
  for (const ip_family of BOTH) {
    assert.equal(sum(`${PREFIX}duration_seconds`, ip_family), 2.75);
    assert.equal(sum('kubeproxy_sync_full_proxy_rules_duration_seconds', ip_family), 2);
    assert.equal(sum('kubeproxy_sync_partial_proxy_rules_duration_seconds', ip_family), 0.75);
  }
  const apply = { how: 'apply' };
  assert.equal(answer.value('switchyard_batch_operations_sum', { how: 'open' }), 1000);
  assert.equal(answer.value('switchyard_batch_operations_sum', apply), 4);
  const latency = 'switchyard_event_to_kernel_duration_seconds';
  assert.equal(answer.value(`${latency}_sum`, { how: 'open' }), 2.5);
  assert.equal(answer.value(`${latency}_count`, apply), 2);
  assert.equal(answer.value(`${latency}_bucket`, { ...apply, le: '0.002' }), 0);
  assert.equal(answer.value(`${latency}_bucket`, { ...apply, le: '0.004' }), 2);
});

test('a round that wrote nothing is a success without latency or size', async () => {
  const metrics = makeMetrics();
  metrics.synced(round({ operations: 0 }));
  const answer = await Answer.of(metrics);
  const labels = { ip_family: 'IPv4' };
  assert.equal(answer.value(`${PREFIX}duration_seconds_count`, labels), 1);
  assert.equal(answer.value(`${PREFIX}last_timestamp_seconds`, labels), START / 1000);
  const how = { how: 'apply' };
  assert.equal(answer.value('switchyard_event_to_kernel_duration_seconds_count', how), 0);
  assert.equal(answer.value('switchyard_batch_operations_count', how), 0);
});

/** Lets a full and a partial round fail. */
async function failTwice(mode: MetricsMode): Promise<Answer> {
  const metrics = makeMetrics({ mode });
  const triggers = [{ family: 'IPv4', triggeredAt: '2026-01-01T00:00:00Z' }] as const;
  metrics.synced(round({ how: 'open', ok: false, triggers }));
  metrics.synced(round({ how: 'apply', ok: false, triggers }));
  return Answer.of(metrics);
}

test('a round that failed has a duration, but programmed nothing', async () => {
  const answer = await failTwice('nftables');
  assert.equal(answer.value('switchyard_programming_failures_total'), 2);
  const ipv4 = { ip_family: 'IPv4' };
  assert.equal(answer.value(`${PREFIX}duration_seconds_count`, ipv4), 2);
  assert.equal(answer.value(`${PREFIX}last_timestamp_seconds`, ipv4), undefined);
  assert.equal(answer.value('switchyard_batch_operations_count', { how: 'apply' }), 0);
  assert.equal(answer.value('kubeproxy_network_programming_duration_seconds_count', ipv4), 0);
});

test('a round that failed counts as a failure of the mode, in each family', async () => {
  const expected = {
    nftables: {
      nftables_sync: 2,
      iptables_restore: undefined,
      iptables_partial_restore: undefined,
    },
    iptables: { nftables_sync: undefined, iptables_restore: 2, iptables_partial_restore: 1 },
    ipvs: { nftables_sync: undefined, iptables_restore: 2, iptables_partial_restore: undefined },
  };
  for (const mode of ['nftables', 'iptables', 'ipvs'] as const) {
    const answer = await failTwice(mode);
    for (const [what, count] of Object.entries(expected[mode])) {
      for (const ip_family of BOTH) {
        const found = answer.value(`${PREFIX}${what}_failures_total`, { ip_family });
        assert.equal(found, count, `${mode} ${what} ${ip_family}`);
      }
    }
  }
});

test('network programming is timed from the trigger of each slice change', async () => {
  let now = START;
  const metrics = makeMetrics({ wallTime: () => now });
  now += 60_000;
  metrics.synced(
    round({
      triggers: [
        { family: 'IPv4', triggeredAt: '2026-01-01T00:00:58.500000001Z' },
        { family: 'IPv4', triggeredAt: '2026-01-01T01:00:30+01:00' },
        { family: 'IPv6', triggeredAt: '2026-01-01T00:00:59Z' },
        // The clock of another machine may be ahead.
        { family: 'IPv6', triggeredAt: '2026-01-01T00:01:01Z' },
      ],
    }),
  );
  const answer = await Answer.of(metrics);
  const name = 'kubeproxy_network_programming_duration_seconds';
  assert.equal(answer.value(`${name}_count`, { ip_family: 'IPv4' }), 2);
  assert.equal(answer.value(`${name}_sum`, { ip_family: 'IPv4' }), 31.5);
  assert.equal(answer.value(`${name}_count`, { ip_family: 'IPv6' }), 2);
  assert.equal(answer.value(`${name}_sum`, { ip_family: 'IPv6' }), 1);
});

test('what was triggered before the process started, or is no time, is not timed', async () => {
  const metrics = makeMetrics({ families: ['IPv4'] });
  metrics.synced(
    round({
      triggers: [
        { family: 'IPv4', triggeredAt: '2025-12-31T23:59:59.999Z' },
        { family: 'IPv4', triggeredAt: 'yesterday' },
        { family: 'IPv4', triggeredAt: '' },
        { family: 'IPv6', triggeredAt: '2026-01-01T00:00:00Z' },
      ],
    }),
  );
  const answer = await Answer.of(metrics);
  const name = 'kubeproxy_network_programming_duration_seconds_count';
  assert.deepEqual(answer.labels(name), [{ ip_family: 'IPv4' }]);
  assert.equal(answer.value(name), 0);
});

test('facts of the last plan replace those before', async () => {
  const metrics = makeMetrics();
  const name = `${PREFIX}no_local_endpoints_total`;
  assert.deepEqual((await Answer.of(metrics)).labels(name), []);
  for (const services of [3, 2]) {
    metrics.planned({
      services,
      routes: services * 4,
      noLocalEndpoints: [
        { family: 'IPv4', internal: services, external: 1 },
        { family: 'IPv6', internal: 0, external: 0 },
      ],
    });
  }
  const answer = await Answer.of(metrics);
  assert.equal(answer.value('switchyard_services'), 2);
  assert.equal(answer.value('switchyard_routes'), 8);
  const value = (ip_family: string, traffic_policy: string): number | undefined =>
    answer.value(name, { ip_family, traffic_policy });
  assert.equal(value('IPv4', 'internal'), 2);
  assert.equal(value('IPv4', 'external'), 1);
  assert.equal(value('IPv6', 'external'), 0);
});

test('repairs count as drift only when somebody else had changed something', async () => {
  const metrics = makeMetrics();
  metrics.verified({ drift: [], operations: 0 });
  metrics.verified({ drift: [], operations: 5 });
  metrics.verified({ drift: ['a map is gone'], operations: 7 });
  const answer = await Answer.of(metrics);
  assert.equal(answer.value('switchyard_verifications_total', { result: 'clean' }), 2);
  assert.equal(answer.value('switchyard_verifications_total', { result: 'repaired' }), 1);
  assert.equal(answer.value('switchyard_drift_repaired_total'), 7);
});

test('deleted flows are counted and timed in their family', async () => {
  const metrics = makeMetrics();
  metrics.flowsDeleted('IPv6', 3, 0.125);
  metrics.flowsDeleted('IPv6', 0, 0.125);
  const answer = await Answer.of(metrics);
  const value = (name: string, ip_family: string): number | undefined =>
    answer.value(`kubeproxy_conntrack_reconciler_${name}`, { ip_family });
  assert.equal(value('deleted_entries_total', 'IPv6'), 3);
  assert.equal(value('sync_duration_seconds_sum', 'IPv6'), 0.25);
  assert.equal(value('deleted_entries_total', 'IPv4'), 0);
  assert.equal(value('sync_duration_seconds_count', 'IPv4'), 0);
});

test('answers of the health server are counted by code', async () => {
  const metrics = makeMetrics();
  metrics.healthzAnswered(200);
  metrics.healthzAnswered(200);
  metrics.healthzAnswered(503);
  metrics.livezAnswered(200);
  const answer = await Answer.of(metrics);
  assert.equal(answer.value('kubeproxy_proxy_healthz_total', { code: '200' }), 2);
  assert.equal(answer.value('kubeproxy_proxy_healthz_total', { code: '503' }), 1);
  assert.deepEqual(answer.labels('kubeproxy_proxy_livez_total'), [{ code: '200' }]);
});

test('a watch is up, down and up again', async () => {
  const metrics = makeMetrics();
  const resource = 'services';
  metrics.watchWorks(resource);
  metrics.objectsHeld(resource, 12);
  metrics.watchFailed(resource);
  metrics.objectsHeld('nodes', 1);
  const down = await Answer.of(metrics);
  assert.equal(down.value('switchyard_watch_up', { resource }), 0);
  assert.equal(down.value('switchyard_watch_failures_total', { resource }), 1);
  assert.equal(down.value('switchyard_objects', { resource }), 12);
  metrics.watchWorks(resource);
  const up = await Answer.of(metrics);
  assert.equal(up.value('switchyard_watch_up', { resource }), 1);
  assert.equal(up.value('switchyard_watch_failures_total', { resource }), 1);
});

test('requests to the API server are counted by answer and timed', async () => {
  const metrics = makeMetrics();
  const host = '[fd00::1]:6443';
  metrics.apiRequest({ method: 'GET', host, code: 200, seconds: 0.5 });
  metrics.apiRequest({ method: 'GET', host, code: undefined, seconds: 10 });
  const answer = await Answer.of(metrics);
  const requests = 'rest_client_requests_total';
  assert.deepEqual(answer.labels(requests), [
    { code: '200', method: 'GET', host },
    { code: '<error>', method: 'GET', host },
  ]);
  const duration = 'rest_client_request_duration_seconds_sum';
  assert.equal(answer.value(duration, { verb: 'GET', host }), 10.5);
});

test('two sets of metrics know nothing of each other', async () => {
  const [one, other] = [makeMetrics(), makeMetrics()];
  one.sliceChanged('IPv4');
  one.synced(round());
  const answer = await Answer.of(other);
  assert.equal(answer.value(`${PREFIX}endpoint_changes_total`), 0);
  assert.equal(answer.value(`${PREFIX}duration_seconds_count`, { ip_family: 'IPv4' }), 0);
});

test('what never changes says what is running', async () => {
  const metrics = makeMetrics({
    mode: 'ipvs',
    version: '1.2.3',
    featureGates: [
      { name: 'A', stage: 'BETA', enabled: true },
      { name: 'B', stage: '', enabled: false },
    ],
  });
  const answer = await Answer.of(metrics);
  assert.equal(answer.value('kubernetes_feature_enabled', { name: 'A', stage: 'BETA' }), 1);
  assert.equal(answer.value('kubernetes_feature_enabled', { name: 'B', stage: '' }), 0);
  const [kubernetes] = answer.labels('kubernetes_build_info');
  assert.equal(kubernetes?.['git_version'], 'v1.36.2+switchyard.1.2.3');
  assert.equal(kubernetes['go_version'], '');
  assert.deepEqual(answer.labels('switchyard_build_info'), [
    { mode: 'ipvs', node_version: process.version, version: '1.2.3' },
  ]);
  const alpha = { stability_level: 'ALPHA' };
  assert.ok((answer.value('registered_metrics_total', alpha) ?? 0) > 10);
  assert.equal(answer.value('hidden_metrics_total'), 0);
  assert.equal(answer.value('disabled_metrics_total'), 0);
});

test('the process tells what it takes', async () => {
  const metrics = makeMetrics({ wallTime: Date.now });
  const first = await Answer.of(metrics);
  const value = (name: string): number => first.value(name) ?? Number.NaN;
  const start = Date.now() / 1000 - process.uptime();
  assert.ok(Math.abs(value('process_start_time_seconds') - start) < 1);
  assert.ok(value('process_resident_memory_bytes') > 1e7);
  assert.ok(value('process_virtual_memory_bytes') > value('process_resident_memory_bytes'));
  assert.ok(value('process_open_fds') >= 3);
  assert.ok(value('process_max_fds') >= value('process_open_fds'));
  assert.ok(value('nodejs_heap_size_used_bytes') <= value('nodejs_heap_size_total_bytes'));
  assert.ok(value('nodejs_external_memory_bytes') > 0);
  assert.ok(value('nodejs_eventloop_lag_seconds') < 60);
  const used = process.cpuUsage();
  while (process.cpuUsage(used).user < 20_000) JSON.stringify(process.versions);
  const later = await Answer.of(metrics);
  for (const name of ['process_cpu_seconds_total', 'switchyard_event_loop_busy_seconds_total']) {
    assert.ok((later.value(name) ?? 0) - value(name) >= 0.015, name);
  }
});

test('after a switch of the mode counters go on, the mode is another, and its own metrics are there', async () => {
  const metrics = makeMetrics();
  metrics.serviceChanged('a/one');
  metrics.setMode('iptables');
  metrics.serviceChanged('a/one');
  metrics.synced(round({ ok: false }));
  const text = (await metrics.expose(false)).body;
  assert.match(text, /^switchyard_build_info\{mode="iptables",.*\} 1$/m);
  assert.doesNotMatch(text, /mode="nftables"/);
  const after = await Answer.of(metrics);
  assert.equal(after.value(`${PREFIX}service_changes_total`), 4);
  assert.equal(after.value(`${PREFIX}iptables_restore_failures_total`, { ip_family: 'IPv4' }), 1);
  metrics.setMode('nftables');
  metrics.serviceChanged('a/one');
  assert.equal((await Answer.of(metrics)).value(`${PREFIX}service_changes_total`), 6);
});
