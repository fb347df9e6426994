import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holderIn } from '../../../../src/kernel/iptables/lock.ts';

/** As proc(5) has it: those who wait stand below who holds. */
const LOCKS = `1: FLOCK  ADVISORY  WRITE 812 00:18:1421 0 EOF
1: -> FLOCK  ADVISORY  WRITE 4711 00:18:1421 0 EOF
1: -> FLOCK  ADVISORY  WRITE 4712 00:18:1421 0 EOF
2: POSIX  ADVISORY  WRITE 99 fe:00:77 0 EOF
2: -> POSIX  ADVISORY  WRITE 55 fe:00:77 0 EOF
3: FLOCK  ADVISORY  WRITE -1 00:19:3 0 EOF
3: -> FLOCK  ADVISORY  WRITE 56 00:19:3 0 EOF
`;

test('of those who wait for a lock it is told who holds it', () => {
  assert.equal(holderIn(LOCKS, 4711), 812);
  assert.equal(holderIn(LOCKS, 4712), 812);
  assert.equal(holderIn(LOCKS, 56), -1);
});

test('who holds a lock, waits for none or waits for one of another kind is not taken for waiting', () => {
  assert.equal(holderIn(LOCKS, 812), undefined);
  assert.equal(holderIn(LOCKS, 1), undefined);
  assert.equal(holderIn(LOCKS, 55), undefined);
  assert.equal(holderIn('', 4711), undefined);
});
