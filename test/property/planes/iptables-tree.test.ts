/** The tree of the iptables plane depends on nothing but its keys, and its differences lead from one to the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { prefixChain } from '../../../src/planes/iptables/keys.ts';
import {
  EMPTY_TREE,
  type Tree,
  buildTree,
  changedNodes,
  drop,
  entriesOf,
  goneSlots,
  nodesOf,
  put,
  rulesOf,
} from '../../../src/planes/iptables/tree.ts';

/** Frontends that crowd in a few places, so that nodes split and merge all the time. */
const arbitraryKey = fc
  .tuple(
    fc.constantFrom('0a60', '0a61', '0a01', 'c0a8'),
    fc.oneof(fc.constant(1), fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 0xffff })),
    fc.constantFrom('t', 'u', 's'),
    fc.oneof(fc.constant(80), fc.integer({ min: 30_000, max: 30_100 })),
  )
  .map(
    ([net, host, protocol, port]) =>
      `${net}${host.toString(16).padStart(4, '0')}${protocol}${port.toString(16).padStart(4, '0')}`,
  );

const arbitrarySteps = fc.array(
  fc.array(
    fc.record({ key: arbitraryKey, rule: fc.constantFrom('one', 'two'), isDrop: fc.boolean() }),
    { maxLength: 20 },
  ),
  { maxLength: 20 },
);

/** Chains by slot, each as what stands in it. */
function chainsOf(nodes: Iterable<{ readonly slot: string; readonly tree: Tree }>) {
  return new Map(
    [...nodes].map(({ slot, tree }) => [
      slot,
      [...rulesOf(tree)].map((each) =>
        typeof each === 'string' ? `goto ${each}` : `${each.key} ${each.rule}`,
      ),
    ]),
  );
}

test('any sequence of changes makes the tree that its keys make at once, and tells every chain that differs', () => {
  fc.assert(
    fc.property(arbitrarySteps, (steps) => {
      const entries = new Map<string, string>();
      let tree = EMPTY_TREE;
      const kernel = chainsOf(nodesOf(tree));
      for (const step of steps) {
        const before = tree;
        for (const { key, rule, isDrop } of step) {
          tree = isDrop ? drop(tree, key) : put(tree, { key, rule });
          if (isDrop) entries.delete(key);
          else entries.set(key, rule);
        }
        const changed = chainsOf(changedNodes(before, tree));
        // Children first: a rule may only lead to a chain that is there.
        for (const [slot, rules] of changed) {
          for (const rule of rules) {
            const next = /^goto (.*)$/.exec(rule)?.[1];
            assert.ok(next === undefined || kernel.has(next), `${slot} leads to ${next}`);
          }
          kernel.set(slot, rules);
        }
        for (const slot of goneSlots(before, tree)) assert.ok(kernel.delete(slot), slot);
        const fresh = buildTree([...entries].map(([key, rule]) => ({ key, rule })));
        assert.deepEqual(tree, fresh);
        assert.deepEqual(kernel, chainsOf(nodesOf(fresh)));
      }
    }),
    { numRuns: 300 },
  );
});

test('every key is found from the root, in one chain only, and no chain is long', () => {
  fc.assert(
    fc.property(fc.uniqueArray(arbitraryKey, { maxLength: 400 }), (keys) => {
      const tree = buildTree(keys.map((key) => ({ key, rule: key })));
      const chains = chainsOf(nodesOf(tree));
      assert.deepEqual(
        [...entriesOf(tree)].map(({ key }) => key),
        keys.toSorted(),
      );
      const places = [...chains.values()].flat().filter((rule) => !rule.startsWith('goto '));
      assert.equal(places.length, keys.length);
      for (const rules of chains.values()) assert.ok(rules.length <= 16, `${rules.length} rules`);
      for (const key of keys) {
        let slot = '';
        for (;;) {
          const rules = chains.get(slot) ?? [];
          if (rules.includes(`${key} ${key}`)) break;
          const next = rules.find((rule) => key.startsWith(rule.slice(5)) && rule.startsWith('g'));
          assert.ok(next !== undefined, `${key} is lost in ${slot}`);
          slot = next.slice(5);
        }
      }
    }),
  );
});

test('no two nodes share a chain', () => {
  fc.assert(
    fc.property(fc.uniqueArray(arbitraryKey, { maxLength: 400 }), (keys) => {
      const slots = [...nodesOf(buildTree(keys.map((key) => ({ key, rule: '' }))))]
        .map(({ slot }) => slot)
        .filter((slot) => slot !== '');
      const names = new Set(slots.map((slot) => prefixChain('IPv4', 'S', slot)));
      assert.equal(names.size, slots.length);
    }),
  );
});
