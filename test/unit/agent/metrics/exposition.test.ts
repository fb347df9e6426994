import assert from 'node:assert/strict';
import { test } from 'node:test';
import { METRICS } from '../../../../src/agent/metrics/definitions.ts';
import { type MetricFamily, parseOpenMetrics, parsePrometheus } from './exposition-parser.ts';
import { makeMetrics } from './harness.ts';

/** Everything that was said, but for what differs from one moment to the next. */
function comparable(families: ReadonlyMap<string, MetricFamily>): readonly unknown[] {
  return [...families.values()]
    .filter(({ name }) => !/^(process|nodejs|switchyard_event_loop)_/.test(name))
    .map(({ samples, ...rest }) => [rest, samples]);
}

/** What OpenMetrics writes in another way, as Prometheus' format has it. */
function asInPrometheus({ name, type, help, samples }: MetricFamily): MetricFamily {
  const normal = samples.map((sample) => {
    const { le } = sample.labels;
    if (le === undefined || le === '+Inf') return sample;
    assert.match(le, /\./, 'bounds have a point');
    const { name: sampleName, value, labels } = sample;
    return {
      name: sampleName,
      value,
      labels: Object.assign({}, labels, { le: String(Number(le)) }),
    };
  });
  return { name: type === 'counter' ? `${name}_total` : name, type, help, samples: normal };
}

test('both formats say the same, whichever was asked for before', async () => {
  const metrics = makeMetrics();
  metrics.serviceChanged('a/b');
  const before = await metrics.expose(false);
  const open = await metrics.expose(true);
  const after = await metrics.expose(false);
  assert.equal(before.contentType, 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(open.contentType, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  const expected = parsePrometheus(before.body);
  assert.deepEqual(comparable(parsePrometheus(after.body)), comparable(expected));

  const families = parseOpenMetrics(open.body);
  assert.equal(families.size, expected.size);
  const renamed = [...families.values()].map(asInPrometheus);
  const normal = new Map(renamed.map((family) => [family.name, family]));
  assert.deepEqual(comparable(normal), comparable(expected));
});

test('names and help texts are fit for both formats', () => {
  const names = METRICS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length, 'no name twice');
  for (const { name, type, help, labels, buckets } of METRICS) {
    if (type === 'counter') assert.match(name, /_total$/);
    assert.match(help, /^[^"\\\n]+$/, name);
    assert.equal(buckets !== undefined, type === 'histogram', name);
    assert.ok(!labels.includes('le'), name);
  }
});
