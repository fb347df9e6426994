import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mirror } from '../../../../src/planes/ipvs/mirror.ts';

const mirror = (): Mirror<string> => new Mirror((one, other) => one === other);

function settle(things: Mirror<string>) {
  return { added: things.additions(Infinity), deleted: things.deletions(Infinity) };
}

test('a thing is added once and deleted when nobody wants it any more', () => {
  const things = mirror();
  things.retain('a', 'one');
  things.retain('a', 'one');
  assert.deepEqual(settle(things), { added: ['one'], deleted: [] });
  assert.ok(things.holds('a'));
  things.release('a');
  assert.deepEqual(settle(things), { added: [], deleted: [] });
  things.release('a');
  assert.deepEqual(settle(things), { added: [], deleted: ['one'] });
  assert.ok(!things.holds('a'));
  things.release('a');
  assert.deepEqual(settle(things), { added: [], deleted: [] });
});

test('what changes hands between two settlements is not touched', () => {
  const things = mirror();
  things.retain('a', 'one');
  settle(things);
  things.release('a');
  things.retain('a', 'one');
  assert.deepEqual(settle(things), { added: [], deleted: [] });
  things.release('a');
  things.retain('a', 'other');
  assert.deepEqual(settle(things), { added: ['other'], deleted: [] });
});

test('what was found is kept, put right or deleted', () => {
  const things = mirror();
  things.retain('right', '1');
  things.retain('wrong', '2');
  things.retain('missing', '3');
  settle(things);
  things.adopt([
    ['right', '1'],
    ['wrong', 'x'],
    ['stale', '4'],
  ]);
  assert.deepEqual(settle(things), { added: ['2', '3'], deleted: ['4'] });
  assert.deepEqual(settle(things), { added: [], deleted: [] });
});

test('what is settled in parts comes to the same, and says when it is done', () => {
  const things = mirror();
  for (const key of ['a', 'b', 'c']) things.retain(key, key);
  assert.equal(things.size, 0);
  assert.deepEqual(things.additions(2), ['a', 'b']);
  assert.ok(!things.isComplete);
  assert.equal(things.size, 2);
  assert.deepEqual(things.additions(2), ['c']);
  assert.ok(things.isComplete);
  for (const key of ['a', 'b', 'c']) things.release(key);
  assert.ok(!things.isClean);
  assert.deepEqual(things.deletions(2), ['a', 'b']);
  assert.ok(!things.isClean);
  assert.deepEqual(things.deletions(2), ['c']);
  assert.ok(things.isClean);
});

test('what is wanted again before deletions are asked for stays', () => {
  const things = mirror();
  things.retain('a', 'one');
  settle(things);
  things.release('a');
  assert.deepEqual(things.additions(Infinity), []);
  things.retain('a', 'one');
  assert.deepEqual(settle(things), { added: [], deleted: [] });
  assert.ok(things.holds('a'));
});
