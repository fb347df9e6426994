import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mirror } from '../../../../src/planes/ipvs/mirror.ts';

const mirror = (): Mirror<string> => new Mirror((one, other) => one === other);

test('a thing is added once and deleted when nobody wants it any more', () => {
  const things = mirror();
  things.retain('a', 'one');
  things.retain('a', 'one');
  assert.deepEqual(things.settle(), { added: ['one'], deleted: [] });
  assert.ok(things.holds('a'));
  things.release('a');
  assert.deepEqual(things.settle(), { added: [], deleted: [] });
  things.release('a');
  assert.deepEqual(things.settle(), { added: [], deleted: ['one'] });
  assert.ok(!things.holds('a'));
  things.release('a');
  assert.deepEqual(things.settle(), { added: [], deleted: [] });
});

test('what changes hands between two settlements is not touched', () => {
  const things = mirror();
  things.retain('a', 'one');
  things.settle();
  things.release('a');
  things.retain('a', 'one');
  assert.deepEqual(things.settle(), { added: [], deleted: [] });
  things.release('a');
  things.retain('a', 'other');
  assert.deepEqual(things.settle(), { added: ['other'], deleted: [] });
});

test('what was found is kept, put right or deleted', () => {
  const things = mirror();
  things.retain('right', '1');
  things.retain('wrong', '2');
  things.retain('missing', '3');
  things.settle();
  things.adopt([
    ['right', '1'],
    ['wrong', 'x'],
    ['stale', '4'],
  ]);
  assert.deepEqual(things.settle(), { added: ['2', '3'], deleted: ['4'] });
  assert.deepEqual(things.settle(), { added: [], deleted: [] });
});
