import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, parseAddress } from '../../../../src/core/ip.ts';
import type { Endpoint } from '../../../../src/core/route.ts';
import { MAX_SLOTS } from '../../../../src/planes/nftables/schema.ts';
import { assignSlots, wantedSlots } from '../../../../src/planes/nftables/slots.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined);
  return parsed;
}

function endpoint(last: number, weight = 1): Endpoint {
  return { address: address(`10.0.${last >> 8}.${last & 255}`), port: 80, local: false, weight };
}

/** How often each content appears. */
function counts(slots: readonly string[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const slot of slots) found.set(slot, (found.get(slot) ?? 0) + 1);
  return found;
}

void test('each endpoint gets as many slots as its weight, without what all weights share', () => {
  const slots = wantedSlots([endpoint(1, 30), endpoint(2, 10)]);
  assert.deepEqual([...counts(slots).values()], [3, 1]);
});

void test('equal weights are one slot each', () => {
  assert.equal(wantedSlots([endpoint(1, 100), endpoint(2, 100), endpoint(3, 100)]).length, 3);
});

void test('an endpoint of weight 0 gets no slot, and none at all if all have weight 0', () => {
  assert.equal(wantedSlots([endpoint(1, 0), endpoint(2, 5)]).length, 1);
  assert.equal(wantedSlots([endpoint(1, 0)]).length, 0);
  assert.equal(wantedSlots([]).length, 0);
});

void test('more slots than a classid can count are cut off', () => {
  assert.equal(wantedSlots([endpoint(1, MAX_SLOTS), endpoint(2, 7)]).length, MAX_SLOTS);
});

void test('one endpoint less changes two slots at most', () => {
  const before = wantedSlots(Array.from({ length: 1000 }, (_, last) => endpoint(last)));
  const after = assignSlots(before, before.toSpliced(3, 1));
  const changed = before.filter((slot, at) => after[at] !== slot);
  assert.equal(after.length, 999);
  assert.equal(changed.length, 2, 'the slot of the endpoint that went, and the last one');
});

void test('one endpoint more changes one slot', () => {
  const before = wantedSlots([endpoint(5), endpoint(6), endpoint(7)]);
  const after = assignSlots(
    before,
    wantedSlots([endpoint(1), endpoint(5), endpoint(6), endpoint(7)]),
  );
  assert.deepEqual(after.slice(0, 3), before);
  assert.equal(after.length, 4);
});

void test('holes are filled', () => {
  const [a = '', b = '', c = ''] = wantedSlots([endpoint(1), endpoint(2), endpoint(3)]);
  assert.deepEqual(assignSlots([undefined, b], [a, b, c]), [a, b, c]);
});

void test('whatever was there, every wanted slot is there once and nothing moves without need', () => {
  const content = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  fc.assert(
    fc.property(
      fc.array(fc.option(content, { nil: undefined }), { maxLength: 12 }),
      fc.array(content, { maxLength: 12 }),
      (current, wanted) => {
        const assigned = assignSlots(current, wanted);
        assert.deepEqual(assigned.toSorted(), wanted.toSorted());
        for (const [slot, was] of current.slice(0, wanted.length).entries()) {
          if (was === undefined || assigned[slot] === was) continue;
          const wantedTimes = wanted.filter((other) => other === was).length;
          const keptTimes = assigned.filter((other, at) => other === was && current[at] === was);
          assert.equal(keptTimes.length, wantedTimes, `${was} moved although there was room`);
        }
      },
    ),
  );
});
