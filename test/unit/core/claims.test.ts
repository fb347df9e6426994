import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Claims } from '../../../src/core/claims.ts';
import type { Claimant } from '../../../src/core/claims.ts';

const FRONTEND = '198.51.100.1:80/TCP';

const claimant = (name: string, createdAt: string): Claimant => ({
  route: `shop/${name}:/TCP/IPv4`,
  service: `shop/${name}`,
  createdAt,
});

const a = claimant('a', '2026-01-01T00:00:00Z');
const b = claimant('b', '2026-02-01T00:00:00Z');
const c = claimant('c', '');

test('a first claim is no contest', () => {
  const claims = new Claims();
  assert.equal(claims.owner(FRONTEND), undefined);
  assert.equal(claims.add(FRONTEND, b), undefined);
  assert.equal(claims.add('198.51.100.2:80/TCP', a), undefined);
  assert.equal(claims.owner(FRONTEND), b.route);
});

test('a claim that is lost names the owner, one that wins names who had it', () => {
  const claims = new Claims();
  claims.add(FRONTEND, b);
  assert.deepEqual(claims.add(FRONTEND, c), { winner: b, loser: c });
  assert.deepEqual(claims.add(FRONTEND, a), { winner: a, loser: b });
  assert.equal(claims.owner(FRONTEND), a.route);
});

test('only an owner that leaves has an heir', () => {
  const claims = new Claims();
  for (const one of [a, b, c]) claims.add(FRONTEND, one);
  assert.equal(claims.remove(FRONTEND, b.route), undefined);
  assert.equal(claims.owner(FRONTEND), a.route);
  assert.equal(claims.remove(FRONTEND, a.route), c.route);
  assert.equal(claims.remove(FRONTEND, c.route), undefined);
  assert.equal(claims.owner(FRONTEND), undefined);
});

test('taking back a claim that was never made changes nothing', () => {
  const claims = new Claims();
  assert.equal(claims.remove(FRONTEND, a.route), undefined);
  claims.add(FRONTEND, b);
  assert.equal(claims.remove(FRONTEND, a.route), undefined);
  assert.equal(claims.owner(FRONTEND), b.route);
});
