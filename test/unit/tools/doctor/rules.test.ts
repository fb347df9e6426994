import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fact } from '../../../../src/tools/doctor/facts/facts.ts';
import { unknown } from '../../../../src/tools/doctor/facts/facts.ts';
import { diagnose } from '../../../../src/tools/doctor/diagnose.ts';
import { readFacts } from '../../../../src/tools/doctor/read-facts.ts';
import { RULE_GROUPS } from '../../../../src/tools/doctor/rules/rules.ts';
import { captureOf, cleanNode } from './clean-node.ts';
import { PLANTS } from './plants/plants.ts';

const RULES = RULE_GROUPS.flatMap(({ rules }) => rules);

test('a clean node has no findings, and everything but ConfigMaps was looked at', () => {
  const { findings, unknown: unseen } = diagnose(readFacts(captureOf(cleanNode())));
  assert.deepEqual(findings, []);
  assert.deepEqual(
    unseen.map(({ fact }) => fact),
    ['cluster'],
  );
});

for (const { rule, change, says, also = [] } of PLANTS) {
  test(`planted ${rule} is found, and nothing else: ${says.source}`, () => {
    const { findings } = diagnose(readFacts(captureOf(change(cleanNode()))));
    assert.deepEqual(findings.map(({ id }) => id).toSorted(), [rule, ...also].toSorted());
    assert.match(findings.find(({ id }) => id === rule)?.seen.join('\n') ?? '', says);
  });
}

test('every rule has a fault that it must find, more than 40 in all', () => {
  assert.deepEqual(
    [...new Set(PLANTS.map(({ rule }) => rule))].toSorted(),
    RULES.map(({ id }) => id).toSorted(),
  );
  assert.ok(RULES.length > 40);
});

test('rules say all there is to say, once', () => {
  const ids = RULES.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const { id, title, why, prove, fix, source, date } of RULES) {
    assert.match(id, /^[a-z0-9]+(?:-[a-z0-9]+)+$/);
    for (const text of [title, why, prove, fix, source]) assert.ok(text.length > 5, id);
    for (const text of [why, fix]) assert.match(text, /[.)]$/, id);
    assert.doesNotMatch(title, /\.$/, id);
    assert.match(date, /^2026-\d\d$/, id);
  }
});

test('of a machine that cannot be looked at nothing is claimed, and it is said why', () => {
  const capture = captureOf(cleanNode());
  const blind: Fact<never> = unknown('it is dark');
  const { findings, unknown: unseen } = diagnose(
    readFacts({
      texts: new Map([...capture.texts.keys()].map((name) => [name, blind])),
      cni: blind,
      proxyDocuments: blind,
      objects: blind,
    }),
  );
  assert.deepEqual(findings, []);
  assert.ok(unseen.length > 20);
  for (const { why } of unseen) assert.equal(why, 'it is dark');
});
