import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mergeChanges } from '../../../src/agent/merge-changes.ts';
import type { Route, RouteChange, RouteKey } from '../../../src/core/route.ts';
import { route } from '../core/routes.ts';

const KEYS: readonly RouteKey[] = ['s/a:/TCP/IPv4', 's/b:/TCP/IPv4', 's/c:/TCP/IPv4'];

function version(key: RouteKey, number: number): Route {
  return route({ key, label: `${number}` });
}

/** The change between two states; `undefined` where there is none. */
function between(key: RouteKey, before?: Route, after?: Route): RouteChange | undefined {
  if (before !== undefined) return { key, before, after };
  return after === undefined ? undefined : { key, before, after };
}

test('merged changes lead where the single ones lead, with one change for each Route', () => {
  const step = fc.record({
    key: fc.constantFrom(...KEYS),
    number: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const start = new Map(KEYS.slice(0, 2).map((key) => [key, version(key, 0)]));
      const state = new Map(start);
      const merged = new Map<RouteKey, RouteChange>();
      for (const { key, number } of steps) {
        const after = number === undefined ? undefined : version(key, number);
        const change = between(key, state.get(key), after);
        if (change === undefined) continue;
        mergeChanges(merged, [change]);
        if (after === undefined) state.delete(key);
        else state.set(key, after);
      }
      const result = new Map(start);
      for (const change of merged.values()) {
        const { key, before, after } = change;
        assert.equal(before, start.get(key));
        if (after === undefined) result.delete(key);
        else result.set(key, after);
      }
      assert.deepEqual(result, state);
    }),
  );
});

test('a Route that takes over what another one released stays behind it', () => {
  const merged = new Map<RouteKey, RouteChange>();
  const [a, b] = [KEYS[0] ?? 's/a:/TCP/IPv4', KEYS[1] ?? 's/b:/TCP/IPv4'];
  mergeChanges(merged, [{ key: b, before: version(b, 0), after: version(b, 1) }]);
  mergeChanges(merged, [
    { key: a, before: version(a, 0), after: undefined },
    { key: b, before: version(b, 1), after: version(b, 2) },
  ]);
  assert.deepEqual([...merged.keys()], [a, b]);
});
