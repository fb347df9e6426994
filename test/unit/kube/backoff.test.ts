import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Backoff } from '../../../src/kube/backoff.ts';
import { isOlder } from '../../../src/kube/resource-version.ts';

/** Seven waits, a second apart. */
const waits = (backoff: Backoff): readonly number[] =>
  Array.from({ length: 7 }, (_, index) => Math.round(backoff.next(index * 1000)));

it('waits grow from 0.8 s to 30 s, are spread by chance, and start anew after two quiet minutes', () => {
  const low = new Backoff(() => 0);
  const high = new Backoff(() => 0.999_999);
  assert.deepEqual(waits(low), [800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
  assert.deepEqual(waits(high), [1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  assert.equal(low.next(126_000), 15_000);
  assert.equal(low.next(246_001), 800);
});

it('versions are compared as numbers of any length, and other texts not at all', () => {
  assert.equal(isOlder('9', '10'), true);
  assert.equal(isOlder('10', '9'), false);
  assert.equal(isOlder('10', '10'), false);
  assert.equal(isOlder('18446744073709551614', '18446744073709551615'), true);
  assert.equal(isOlder('a', 'b'), false);
  assert.equal(isOlder('', '5'), false);
  assert.equal(isOlder('05', '6'), false);
});
