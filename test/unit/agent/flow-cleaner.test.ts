import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowCleaner } from '../../../src/agent/flow-cleaner.ts';
import type { StaleFlows } from '../../../src/core/flows.ts';
import { address, turns } from './fakes.ts';

function stale(ip: string, keep: readonly string[]): StaleFlows {
  return { family: 'IPv4', address: address(ip), port: 53, keep: new Set(keep), only: undefined };
}

/** A cleaner whose deletions end when the test says so. */
class Bench {
  readonly calls: (readonly StaleFlows[])[] = [];
  readonly cleaned: number[] = [];
  readonly failures: unknown[] = [];
  #answer = Promise.withResolvers<number>();
  readonly cleaner = new FlowCleaner(
    async (flows) => {
      this.calls.push(flows);
      return this.#answer.promise;
    },
    {
      onCleaned: (deleted) => this.cleaned.push(deleted),
      onFailure: (error) => this.failures.push(error),
    },
    () => 0,
  );

  async answer(result: number | Error): Promise<void> {
    const answered = this.#answer;
    this.#answer = Promise.withResolvers<number>();
    if (typeof result === 'number') answered.resolve(result);
    else answered.reject(result);
    await turns();
  }
}

test('what comes during a deletion is deleted together afterwards, the latest word counts', async () => {
  const bench = new Bench();
  bench.cleaner.clean([stale('10.96.0.1', ['a'])]);
  bench.cleaner.clean([stale('10.96.0.1', ['b']), stale('10.96.0.2', [])]);
  bench.cleaner.clean([stale('10.96.0.1', ['c'])]);
  await turns();
  assert.equal(bench.calls.length, 1);
  await bench.answer(3);
  assert.deepEqual(
    bench.calls[1]?.map((flows) => [flows.address, ...flows.keep]),
    [['10.96.0.1', 'c'], ['10.96.0.2']],
  );
  await bench.answer(0);
  assert.deepEqual(bench.cleaned, [3, 0]);
  assert.equal(bench.calls.length, 2);
});

test('nothing to delete is no call', async () => {
  const bench = new Bench();
  bench.cleaner.clean([]);
  await turns();
  assert.equal(bench.calls.length, 0);
});

test('a failure is told and does not stop what comes after it', async () => {
  const bench = new Bench();
  bench.cleaner.clean([stale('10.96.0.1', [])]);
  await turns();
  await bench.answer(new Error('no'));
  assert.equal(bench.failures.length, 1);
  bench.cleaner.clean([stale('10.96.0.2', [])]);
  await turns();
  await bench.answer(1);
  assert.deepEqual(bench.cleaned, [1]);
});
