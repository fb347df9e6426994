/** The metrics, compared with recorded answers of a real kube-proxy. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { MetricsMode } from '../../../../src/agent/metrics/definition.ts';
import { METRICS, MISSING, registeredMetrics } from '../../../../src/agent/metrics/definitions.ts';
import { type MetricFamily, labelsText, parsePrometheus } from './exposition-parser.ts';
import { START, makeMetrics } from './harness.ts';

const ROOT = join(import.meta.dirname, '../../../..');

function recorded(mode: string): ReadonlyMap<string, MetricFamily> {
  const file = join(ROOT, `test/fixtures/kube-proxy-1.36/metrics-${mode}.txt`);
  return parsePrometheus(readFileSync(file, 'utf8'));
}

/** The label sets of a metric, without values: each histogram has one for each bucket. */
function seriesOf({ samples }: MetricFamily): ReadonlySet<string> {
  return new Set(samples.map(({ name, labels }) => `${name} ${labelsText(labels)}`));
}

/** How many metrics of a mode have this in their names. */
function countOf(mode: MetricsMode, part: string): number {
  return registeredMetrics(mode).filter(({ name }) => name.includes(part)).length;
}

/** What a kube-proxy has to do before all its series are there. */
async function used(mode: 'nftables' | 'iptables'): Promise<ReadonlyMap<string, MetricFamily>> {
  const metrics = makeMetrics({ mode });
  metrics.healthzAnswered(200);
  metrics.livezAnswered(200);
  metrics.planned({
    services: 1,
    routes: 1,
    noLocalEndpoints: [
      { family: 'IPv4', internal: 0, external: 1 },
      { family: 'IPv6', internal: 0, external: 0 },
    ],
  });
  const triggers = [{ family: 'IPv4', triggeredAt: new Date(START).toISOString() }] as const;
  const round = { ok: true, seconds: 1, latencyMs: 1, operations: 1, triggers };
  metrics.synced({ how: 'open', ...round });
  return parsePrometheus((await metrics.expose(false)).body);
}

for (const mode of ['nftables', 'iptables'] as const) {
  describe(`${mode} mode`, () => {
    it('has every recorded metric, with the same help text and type', async () => {
      const ours = await used(mode);
      for (const { name, help, type } of recorded(mode).values()) {
        const { samples: _, ...metric } = ours.get(name) ?? { samples: [] };
        assert.deepEqual(metric, { name, help, type });
      }
    });

    it('has the recorded labels and buckets', () => {
      for (const { name, samples, type } of recorded(mode).values()) {
        const definition = registeredMetrics(mode).find((metric) => metric.name === name);
        const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
        if (type === 'histogram') assert.ok(labels.delete('le'), name);
        assert.deepEqual(definition?.labels.toSorted(), [...labels].toSorted(), name);
        const bounds = samples.map((sample) => sample.labels['le']);
        const finite = new Set(bounds.filter((le) => le !== undefined && le !== '+Inf'));
        const expected = definition.buckets?.bounds.map(String) ?? [];
        assert.deepEqual(expected, [...finite], name);
      }
    });

    it('has every recorded series', async () => {
      const ours = await used(mode);
      for (const family of recorded(mode).values()) {
        // Rules of the iptables plane; it will say how many there are.
        if (/_iptables_(last|total)$/.test(family.name)) continue;
        const metric = ours.get(family.name);
        assert.ok(metric, family.name);
        const missing = seriesOf(family).difference(seriesOf(metric));
        assert.deepEqual([...missing], [], family.name);
      }
    });
  });
}

describe('differences', () => {
  it('has no metric of another mode', () => {
    assert.equal(countOf('nftables', 'iptables'), 0);
    assert.equal(countOf('iptables', 'nftables'), 0);
    assert.equal(countOf('ipvs', 'nftables'), 0);
    assert.equal(countOf('ipvs', 'iptables'), 1);
    assert.equal(countOf('ipvs', 'full_proxy_rules'), 0);
  });

  it('lists what is missing in docs/differences.md', () => {
    const differences = readFileSync(join(ROOT, 'docs/differences.md'), 'utf8');
    const names = new Set(METRICS.map(({ name }) => name));
    for (const { name } of MISSING) {
      assert.ok(!names.has(name), `${name} is not missing`);
      assert.ok(differences.includes(`\`${name}\``), `docs/differences.md does not name ${name}`);
    }
  });

  it('begins every other name with switchyard_, ipvs_ or nodejs_', () => {
    for (const { name, source } of METRICS) {
      assert.equal(/^(switchyard|ipvs|nodejs)_/.test(name), source !== 'kube-proxy', name);
    }
  });
});
