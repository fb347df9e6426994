import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Unsent } from '../../../../src/agent/http/unsent.ts';

/** Connections to nowhere. */
function sockets(t: TestContext): readonly [Socket, Socket, Socket] {
  const all = [new Socket(), new Socket(), new Socket()] as const;
  t.after(() => {
    for (const socket of all) socket.destroy();
  });
  return all;
}

test('what was sent, or whose connection is gone, makes room', (t) => {
  const [a, b, c] = sockets(t);
  const unsent = new Unsent(100);
  for (let round = 0; round < 10; round++) {
    unsent.add(a, 60);
    unsent.add(a, 40);
    unsent.sent(a, 60);
    unsent.sent(a, 40);
    unsent.add(b, 100);
    unsent.forget(b);
  }
  unsent.add(a, 50);
  unsent.add(c, 50);
  assert.deepEqual([a.destroyed, b.destroyed, c.destroyed], [false, false, false]);
});

test('the connection that waits the longest is broken first, and no more than needed', (t) => {
  const [a, b, c] = sockets(t);
  const unsent = new Unsent(100);
  unsent.add(b, 40);
  unsent.add(a, 40);
  unsent.add(c, 30);
  assert.deepEqual([a.destroyed, b.destroyed, c.destroyed], [false, true, false]);
  // What the broken one still reports changes nothing.
  unsent.sent(b, 40);
  unsent.forget(b);
  unsent.add(c, 30);
  assert.deepEqual([a.destroyed, c.destroyed], [false, false]);
  unsent.add(c, 1);
  assert.deepEqual([a.destroyed, c.destroyed], [true, false]);
});

test('a single answer is always taken, a second one on top of it is not', (t) => {
  const [a] = sockets(t);
  const unsent = new Unsent(100);
  unsent.add(a, 1000);
  assert.equal(a.destroyed, false);
  unsent.add(a, 1);
  assert.equal(a.destroyed, true);
});
