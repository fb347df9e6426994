import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SYSTEM_CLOCK } from '../../../../src/agent/clock.ts';
import { healthServer } from '../../../../src/agent/http/health-server.ts';
import { HealthState } from '../../../../src/agent/http/health-state.ts';
import { address, ask } from './client.ts';

/** A health port on loopback, with a clock that a test sets. */
async function openUnderTest(t: TestContext) {
  const time = { now: 0 };
  const health = new HealthState({
    clock: { now: () => time.now },
    wallTime: () => Date.UTC(2026, 10, 22) + time.now,
    syncPeriodMs: 30_000,
  });
  const answers: string[] = [];
  const server = healthServer({
    address: address('127.0.0.1'),
    port: 0,
    health,
    clock: SYSTEM_CLOCK,
    events: {
      listening: () => undefined,
      failed: ({ message }) => assert.fail(message),
      fault: (error) => assert.fail(String(error)),
    },
    onAnswer: (question, status) => answers.push(`${question} ${status}`),
  });
  t.after(async () => server.close());
  await server.open();
  return { port: server.port, health, time, answers };
}

test('health goes from 200 to 503 and back, and each answer is counted', async (t) => {
  const { port, health, time, answers } = await openUnderTest(t);
  health.updated('IPv4');
  assert.equal((await ask({ port, path: '/healthz' })).status, 200);
  health.queuedUpdate('IPv4');
  time.now += 60_000;
  assert.equal((await ask({ port, path: '/healthz' })).status, 503);
  assert.equal((await ask({ port, path: '/livez' })).status, 503);
  health.updated('IPv4');
  assert.equal((await ask({ port, path: '/livez' })).status, 200);
  assert.deepEqual(answers, ['healthz 200', 'healthz 503', 'livez 503', 'livez 200']);
});

test('a node that is about to go is 503 for load balancers, and 200 for the kubelet', async (t) => {
  const { port, health } = await openUnderTest(t);
  health.setNodeEligible(false);
  const { status, headers, body } = await ask({ port, path: '/healthz?verbose' });
  assert.equal(status, 503);
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.match(body, /"nodeEligible":false,"healthy":true\}$/);
  const livez = await ask({ port, path: '/livez' });
  assert.equal(livez.status, 200);
  assert.doesNotMatch(livez.body, /nodeEligible/);
});

test('any method is a question', async (t) => {
  const { port } = await openUnderTest(t);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    assert.equal((await ask({ port, path: '/healthz', method })).status, 200, method);
  }
  const { status, body } = await ask({ port, path: '/healthz', method: 'HEAD' });
  assert.deepEqual([status, body], [200, '']);
});

test('other paths are not there, and are not counted', async (t) => {
  const { port, answers } = await openUnderTest(t);
  for (const path of ['/', '/metrics', '/healthz/', '/healthz/ping', '/livezz']) {
    const { status, body, headers } = await ask({ port, path });
    assert.deepEqual([status, body], [404, '404 page not found\n'], path);
    assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  }
  assert.deepEqual(answers, []);
});
