/** A running proxy, compared with the recorded answers of kube-proxy 1.36. Differences: docs/differences.md. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { inNamespace } from '../../lab/in-namespace.ts';
import { ask } from '../../unit/agent/http/client.ts';
import { type MetricFamily, parsePrometheus } from '../../unit/agent/metrics/exposition-parser.ts';
import { Cluster, setUpNode } from './cluster.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/kube-proxy-1.36');

/** Settings with which kube-proxy was recorded, as far as they are not the defaults. */
const RECORDED = [
  '--hostname-override=node1',
  '-v=9',
  '--proxy-mode=nftables',
  '--kube-api-content-type=application/json',
  '--feature-gates=WatchListClient=false',
  '--cluster-cidr=10.180.0.0/16,fd00:10:180::/48',
  '--conntrack-tcp-timeout-established=24h',
  '--conntrack-tcp-timeout-close-wait=1h',
];

/** Metrics that kube-proxy has, too, but not before it had something to measure, as when it was recorded. */
const NOT_RECORDED = [
  'kubeproxy_network_programming_duration_seconds',
  'kubeproxy_sync_partial_proxy_rules_duration_seconds',
  'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
];

function fixture(name: string): string {
  return readFileSync(join(FIXTURES, name), 'utf8');
}

/** What is the same whatever was measured: type, help, names of labels, and buckets. */
function shapeOf({ type, help, samples }: MetricFamily) {
  const shapes = samples.map(({ name, labels }) =>
    [name, labels['le'] ?? '', ...Object.keys(labels).toSorted()].join(' '),
  );
  return { type, help, shapes: [...new Set(shapes)].toSorted() };
}

inNamespace(import.meta.filename, () => {
  before(setUpNode);

  test('configz, metrics, healthz and livez answer as kube-proxy does', async (t) => {
    await using cluster = await Cluster.start();
    const node = cluster.server.get('Node', '', 'node-1');
    cluster.server.apply({ ...node, apiVersion: 'v1', kind: 'Node', metadata: { name: 'node1' } });
    const proxy = cluster.proxy(RECORDED);
    await proxy.logged(/\] "Serving" /);

    await t.test('configz', async () => {
      const { headers, body } = await ask({ port: 10_249, path: '/configz' });
      assert.equal(headers['content-type'], 'application/json');
      const path = JSON.stringify(cluster.file('kubeconfig'));
      assert.equal(body.replace(path, '""'), fixture('configz-nftables.txt').trimEnd());
    });

    await t.test('healthz and livez', async () => {
      const time = String.raw`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"`;
      const family = `{"lastUpdated":${time},"healthy":true}`;
      const head = `"lastUpdated":${time},"currentTime":${time}`;
      const status = `"healthy":true,"status":{"IPv4":${family},"IPv6":${family}}`;
      const healthz = await ask({ port: 10_256, path: '/healthz' });
      assert.match(healthz.body, new RegExp(`^{${head},"nodeEligible":true,${status}}$`));
      assert.equal(healthz.headers['content-type'], 'application/json');
      assert.equal(healthz.headers['x-content-type-options'], 'nosniff');
      const livez = await ask({ port: 10_256, path: '/livez' });
      assert.match(livez.body, new RegExp(`^{${head},${status}}$`));
    });

    await t.test('metrics', async () => {
      const { headers, body } = await ask({ port: 10_249, path: '/metrics' });
      assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
      const ours = parsePrometheus(body);
      const recorded = parsePrometheus(fixture('metrics-nftables.txt'));
      for (const [name, family] of recorded) {
        const own = ours.get(name);
        assert.ok(own, name);
        assert.deepEqual(shapeOf(own), shapeOf(family), name);
      }
      const more = [...ours.keys()].filter(
        (name) => name.startsWith('kubeproxy_') && !recorded.has(name),
      );
      assert.deepEqual(more.toSorted(), NOT_RECORDED);
    });
  });
});
