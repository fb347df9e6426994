import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HealthState } from '../../../../src/agent/http/health-state.ts';

/** Clocks that a test sets, and a sync period of 30 s. */
function stateUnderTest() {
  const time = { clock: 0, wall: 1_000_000 };
  const pass = (ms: number): void => {
    time.clock += ms;
    time.wall += ms;
  };
  const state = new HealthState({
    clock: { now: () => time.clock },
    wallTime: () => time.wall,
    syncPeriodMs: 30_000,
  });
  return { state, time, pass };
}

test('a proxy that just started is healthy, and says nothing of families', () => {
  const { state } = stateUnderTest();
  assert.deepEqual(state.read(), {
    now: 1_000_000,
    isHealthy: true,
    isNodeEligible: true,
    families: [],
  });
});

test('a family is unhealthy when a request waits for twice the sync period, and not a moment earlier', () => {
  const { state, pass } = stateUnderTest();
  state.updated('IPv4');
  state.queuedUpdate('IPv4');
  pass(59_999);
  assert.equal(state.isHealthy, true);
  pass(1);
  assert.equal(state.isHealthy, false);
  assert.deepEqual(state.read().families, [
    { family: 'IPv4', lastUpdated: 1_000_000, isHealthy: false },
  ]);
});

test('the oldest request counts, however many come after it', () => {
  const { state, pass } = stateUnderTest();
  state.updated('IPv4');
  for (let seconds = 0; seconds < 60; seconds++) {
    state.queuedUpdate('IPv4');
    pass(1000);
  }
  assert.equal(state.isHealthy, false);
});

test('an update makes a family healthy again, and the next request begins anew', () => {
  const { state, pass } = stateUnderTest();
  state.updated('IPv4');
  state.queuedUpdate('IPv4');
  pass(60_000);
  state.updated('IPv4');
  assert.equal(state.isHealthy, true);
  state.queuedUpdate('IPv4');
  pass(59_999);
  assert.equal(state.isHealthy, true);
  assert.equal(state.read().families[0]?.lastUpdated, 1_060_000);
});

test('time without requests makes nobody unhealthy', () => {
  const { state, pass } = stateUnderTest();
  state.updated('IPv4');
  state.updated('IPv6');
  pass(86_400_000);
  assert.equal(state.isHealthy, true);
});

test('one late family is enough, and the other one stays healthy by itself', () => {
  const { state, pass } = stateUnderTest();
  state.updated('IPv6');
  state.updated('IPv4');
  state.queuedUpdate('IPv6');
  pass(60_000);
  const { isHealthy, families } = state.read();
  assert.equal(isHealthy, false);
  assert.deepEqual(
    families.map((family) => [family.family, family.isHealthy]),
    [
      ['IPv4', true],
      ['IPv6', false],
    ],
  );
});

test('a family that never reported is ignored', () => {
  const { state, pass } = stateUnderTest();
  state.updated('IPv4');
  state.queuedUpdate('IPv6');
  pass(3_600_000);
  assert.equal(state.isHealthy, true);
  assert.equal(state.read().families.length, 1);
});

test('a wall clock that jumps makes nobody late', () => {
  const { state, time } = stateUnderTest();
  state.updated('IPv4');
  state.queuedUpdate('IPv4');
  time.wall += 86_400_000;
  assert.equal(state.isHealthy, true);
});

test('eligibility of the node is not health of the proxy', () => {
  const { state } = stateUnderTest();
  state.updated('IPv4');
  state.setNodeEligible(false);
  assert.equal(state.isHealthy, true);
  assert.equal(state.read().isNodeEligible, false);
  state.setNodeEligible(true);
  assert.equal(state.read().isNodeEligible, true);
});
