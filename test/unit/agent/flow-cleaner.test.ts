import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowCleaner } from '../../../src/agent/flow-cleaner.ts';
import { parseAddress } from '../../../src/core/ip.ts';
import type { StaleFlows } from '../../../src/core/flows.ts';

function stale(keep: readonly string[], only?: readonly string[]): StaleFlows {
  const address = parseAddress('10.96.0.10');
  assert.ok(address !== undefined);
  return {
    family: 'IPv4',
    address,
    port: 53,
    keep: new Set(keep),
    only: only === undefined ? undefined : new Set(only),
  };
}

/** A cleaner whose deletions end when the test says so. */
function cleanerUnderTest() {
  const calls: (readonly StaleFlows[])[] = [];
  const ends: (() => void)[] = [];
  const failures: unknown[] = [];
  const idle = Promise.withResolvers<void>();
  const cleaner = new FlowCleaner(
    async (flows) => {
      calls.push(flows);
      if (calls.length === 1) await new Promise<void>((resolve) => ends.push(resolve));
      if (calls.length === 2) throw new Error('no conntrack');
      return 1;
    },
    {
      onCleaned: () => {
        if (calls.length === 3) idle.resolve();
      },
      onFailure: (error) => failures.push(error),
    },
    () => 0,
  );
  return { cleaner, calls, failures, idle: idle.promise, end: () => ends.shift()?.() };
}

test('while a deletion runs the last decision about a frontend counts, but none is lost', async () => {
  const { cleaner, calls, failures, idle, end } = cleanerUnderTest();
  const [first, second, third, gone] = [stale(['a']), stale(['b']), stale(['c']), stale([], ['c'])];
  cleaner.clean([first]);
  cleaner.clean([second]);
  cleaner.clean([third]);
  cleaner.clean([gone]);
  assert.deepEqual(calls, [[first]], 'one at a time');
  end();
  await idle;
  assert.deepEqual(calls, [[first], [third], [gone]]);
  assert.equal(failures.length, 1, 'a failure does not stop the next deletion');
});
