import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mirror } from '../../../../src/planes/ipvs/mirror.ts';

const mirror = (): Mirror<string> => new Mirror((one, other) => one === other);

test('a thing is added once and deleted when nobody wants it any more', () => {
  const things = mirror();
  things.retain('a', 'one');
  things.retain('a', 'one');
  assert.deepEqual(things.settle(Infinity), { added: ['one'], deleted: [] });
  assert.ok(things.holds('a'));
  things.release('a');
  assert.deepEqual(things.settle(Infinity), { added: [], deleted: [] });
  things.release('a');
  assert.deepEqual(things.settle(Infinity), { added: [], deleted: ['one'] });
  assert.ok(!things.holds('a'));
  things.release('a');
  assert.deepEqual(things.settle(Infinity), { added: [], deleted: [] });
});

test('what changes hands between two settlements is not touched', () => {
  const things = mirror();
  things.retain('a', 'one');
  things.settle(Infinity);
  things.release('a');
  things.retain('a', 'one');
  assert.deepEqual(things.settle(Infinity), { added: [], deleted: [] });
  things.release('a');
  things.retain('a', 'other');
  assert.deepEqual(things.settle(Infinity), { added: ['other'], deleted: [] });
});

test('what was found is kept, put right or deleted', () => {
  const things = mirror();
  things.retain('right', '1');
  things.retain('wrong', '2');
  things.retain('missing', '3');
  things.settle(Infinity);
  things.adopt([
    ['right', '1'],
    ['wrong', 'x'],
    ['stale', '4'],
  ]);
  assert.deepEqual(things.settle(Infinity), { added: ['2', '3'], deleted: ['4'] });
  assert.deepEqual(things.settle(Infinity), { added: [], deleted: [] });
});

test('what is settled in parts comes to the same, and says when it is done', () => {
  const things = mirror();
  for (const key of ['a', 'b', 'c']) things.retain(key, key);
  assert.equal(things.size, 0);
  assert.deepEqual(things.settle(2), { added: ['a', 'b'], deleted: [] });
  assert.ok(!things.isSettled);
  assert.equal(things.size, 2);
  assert.deepEqual(things.settle(2), { added: ['c'], deleted: [] });
  assert.ok(things.isSettled);
});
