/** A strict reader of Prometheus' text format 0.0.4 and of OpenMetrics 1.0: what it does not know is an error. */
import assert from 'node:assert/strict';

/** One line with a value. */
export interface Sample {
  /** Name with its suffix, `_bucket` for one. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All that is said of one metric. */
export interface MetricFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (NaN|[+-]Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\["\\n])*)"(,|$)/y;

/** Suffixes of the samples of a type. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
};

/** Labels in an order that says which series it is. */
export function labelsText(labels: Sample['labels']): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.toSorted((left, right) => (left < right ? -1 : 1)).join(' ');
}

/** Reads Prometheus' text format. */
export function parsePrometheus(body: string): ReadonlyMap<string, MetricFamily> {
  assert.ok(body.endsWith('\n'), 'the last line ends');
  return parse(
    body.split('\n').filter((line) => line !== ''),
    SUFFIXES,
  );
}

/** Reads OpenMetrics. */
export function parseOpenMetrics(body: string): ReadonlyMap<string, MetricFamily> {
  assert.ok(body.endsWith('\n# EOF\n'), 'the end is marked');
  const lines = body.slice(0, -'\n# EOF\n'.length).split('\n');
  assert.ok(!lines.includes(''), 'no line is empty');
  return parse(lines, { ...SUFFIXES, counter: ['_total'] });
}

function parse(
  lines: readonly string[],
  suffixes: typeof SUFFIXES,
): ReadonlyMap<string, MetricFamily> {
  const families = new Map<string, MetricFamily & { samples: Sample[] }>();
  const series = new Set<string>();
  let current: (MetricFamily & { samples: Sample[] }) | undefined;
  let help: readonly [string, string] | undefined;
  for (const line of lines) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    const [, keyword, name = '', text = ''] = comment ?? [];
    if (keyword === 'HELP') {
      assert.equal(help, undefined, `two HELP lines: ${line}`);
      help = [name, text];
    } else if (keyword === 'TYPE') {
      assert.ok(help?.[0] === name, `no HELP before ${line}`);
      assert.ok(!families.has(name), `told twice: ${name}`);
      assert.ok(text in suffixes, `unknown type: ${line}`);
      current = { name, type: text, help: help[1], samples: [] };
      families.set(name, current);
      help = undefined;
    } else {
      assert.ok(current !== undefined && help === undefined, `out of place: ${line}`);
      const sample = parseSample(line);
      const suffix = sample.name.slice(current.name.length);
      assert.ok(sample.name.startsWith(current.name), `of another metric: ${line}`);
      assert.ok(suffixes[current.type]?.includes(suffix), `wrong name: ${line}`);
      const identity = `${sample.name} ${labelsText(sample.labels)}`;
      assert.ok(!series.has(identity), `told twice: ${line}`);
      series.add(identity);
      current.samples.push(sample);
    }
  }
  for (const family of families.values()) if (family.type === 'histogram') checkHistogram(family);
  return families;
}

function parseSample(line: string): Sample {
  const match = SAMPLE.exec(line);
  assert.ok(match, `not a sample: ${line}`);
  const [, name = '', labels = '', value = ''] = match;
  return {
    name,
    labels: parseLabels(labels, line),
    value: Number(value.replace('Inf', 'Infinity')),
  };
}

function parseLabels(text: string, line: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  let end = 0;
  while (end < text.length) {
    const match = LABEL.exec(text);
    assert.ok(match, `bad labels: ${line}`);
    const [, name = '', value = ''] = match;
    assert.ok(!(name in labels), `label twice: ${line}`);
    labels[name] = value.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
    end = LABEL.lastIndex;
  }
  return labels;
}

/** Buckets grow, end at +Inf, and agree with the count. */
function checkHistogram({ name, samples }: MetricFamily): void {
  const groups = Map.groupBy(samples, ({ labels: { le: _le, ...rest } }) => labelsText(rest));
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => Number(labels['le']?.replace('+Inf', 'Infinity')));
    assert.deepEqual(
      bounds,
      bounds.toSorted((left, right) => left - right),
      name,
    );
    assert.equal(bounds.at(-1), Infinity, name);
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(
      counts,
      counts.toSorted((left, right) => left - right),
      name,
    );
    const count = group.find((sample) => sample.name === `${name}_count`);
    assert.equal(counts.at(-1), count?.value, name);
    assert.ok(
      group.some((sample) => sample.name === `${name}_sum`),
      name,
    );
  }
}
