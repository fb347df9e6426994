import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { METRICS } from '../../../../src/agent/metrics/definitions.ts';
import { renderMetricsDocs } from '../../../../src/agent/metrics/docs.ts';

test('docs/metrics.md is what the definitions say', () => {
  const file = join(import.meta.dirname, '../../../../docs/metrics.md');
  assert.equal(readFileSync(file, 'utf8'), renderMetricsDocs());
});

test('the documentation names every metric', () => {
  const text = renderMetricsDocs();
  for (const { name } of METRICS) assert.ok(text.includes(`| \`${name}\``), name);
});
