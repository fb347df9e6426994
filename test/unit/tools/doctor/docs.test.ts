import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RULE_GROUPS } from '../../../../src/tools/doctor/rules/rules.ts';
import { renderDoctorDocs } from '../../../../tools/docs/doctor.ts';

test('docs/doctor.md is what the rules say', () => {
  const file = join(import.meta.dirname, '../../../../docs/doctor.md');
  assert.equal(readFileSync(file, 'utf8'), renderDoctorDocs());
});

test('the documentation names every rule', () => {
  const text = renderDoctorDocs();
  for (const { id } of RULE_GROUPS.flatMap(({ rules }) => rules)) {
    assert.ok(text.includes(`| \`${id}\``), id);
  }
});
