import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { renderFeatures } from '../../../tools/docs/features.ts';
import { cases } from '../../netns/conformance/cases.ts';
import { planes } from '../../netns/conformance/planes.ts';

test('docs/features.md is what the conformance suite says (npm run docs writes it)', () => {
  const file = new URL('../../../docs/features.md', import.meta.url);
  assert.equal(readFileSync(file, 'utf8'), renderFeatures());
});

test('every reason of a mode is about a behaviour that there is', () => {
  const names = new Set(cases.map(({ name }) => name));
  for (const { name, skips } of planes) {
    assert.deepEqual(
      Object.keys(skips).filter((each) => !names.has(each)),
      [],
      name,
    );
  }
});
