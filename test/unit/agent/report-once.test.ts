import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReportOnce } from '../../../src/agent/report-once.ts';

test('a problem is news once, as long as it lasts', () => {
  const once = new ReportOnce();
  assert.deepEqual(once.news('a', ['x', 'y', 'x']), ['x', 'y']);
  assert.deepEqual(once.news('a', ['y', 'z']), ['z']);
  assert.deepEqual(once.news('a', ['y', 'z']), []);
});

test('a problem that was gone is news again', () => {
  const once = new ReportOnce();
  once.news('a', ['x', 'y']);
  once.news('a', ['y']);
  assert.deepEqual(once.news('a', ['x', 'y']), ['x']);
  once.news('a', []);
  assert.deepEqual(once.news('a', ['y']), ['y']);
});

test('subjects do not know of each other', () => {
  const once = new ReportOnce();
  once.news('a', ['x']);
  assert.deepEqual(once.news('b', ['x']), ['x']);
});
