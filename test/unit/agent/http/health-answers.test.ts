import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthzAnswer, livezAnswer } from '../../../../src/agent/http/health-answers.ts';
import type { HealthReport } from '../../../../src/agent/http/health-state.ts';

const NOW = Date.UTC(2026, 10, 22, 1, 23, 45, 670);

function report(fields: Partial<HealthReport> = {}): HealthReport {
  return {
    now: NOW,
    isHealthy: true,
    isNodeEligible: true,
    families: [
      { family: 'IPv4', lastUpdated: NOW - 10_670, isHealthy: true },
      { family: 'IPv6', lastUpdated: NOW - 9000, isHealthy: true },
    ],
    ...fields,
  };
}

const HEADERS = { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' };

test('a healthy proxy on an eligible node says that it was updated now', () => {
  assert.deepEqual(healthzAnswer(report(), 0), {
    status: 200,
    headers: HEADERS,
    body: '{"lastUpdated":"2026-11-22T01:23:45.67Z","currentTime":"2026-11-22T01:23:45.67Z","nodeEligible":true,"healthy":true,"status":{"IPv4":{"lastUpdated":"2026-11-22T01:23:35Z","healthy":true},"IPv6":{"lastUpdated":"2026-11-22T01:23:36.67Z","healthy":true}}}',
  });
});

test('livez says nothing of the node', () => {
  assert.deepEqual(livezAnswer(report({ isNodeEligible: false }), 0), {
    status: 200,
    headers: HEADERS,
    body: '{"lastUpdated":"2026-11-22T01:23:45.67Z","currentTime":"2026-11-22T01:23:45.67Z","healthy":true,"status":{"IPv4":{"lastUpdated":"2026-11-22T01:23:35Z","healthy":true},"IPv6":{"lastUpdated":"2026-11-22T01:23:36.67Z","healthy":true}}}',
  });
});

test('a node that is not eligible is 503 with a healthy proxy, and with the true time of the newest update', () => {
  const { status, body } = healthzAnswer(report({ isNodeEligible: false }), 0);
  assert.equal(status, 503);
  assert.equal(
    body,
    '{"lastUpdated":"2026-11-22T01:23:36.67Z","currentTime":"2026-11-22T01:23:45.67Z","nodeEligible":false,"healthy":true,"status":{"IPv4":{"lastUpdated":"2026-11-22T01:23:35Z","healthy":true},"IPv6":{"lastUpdated":"2026-11-22T01:23:36.67Z","healthy":true}}}',
  );
});

test('a late proxy is 503 for both questions', () => {
  const late = report({
    isHealthy: false,
    families: [{ family: 'IPv4', lastUpdated: NOW - 60_000, isHealthy: false }],
  });
  const status = '"status":{"IPv4":{"lastUpdated":"2026-11-22T01:22:45.67Z","healthy":false}}}';
  const times = '{"lastUpdated":"2026-11-22T01:22:45.67Z","currentTime":"2026-11-22T01:23:45.67Z",';
  assert.equal(healthzAnswer(late, 0).status, 503);
  assert.equal(
    healthzAnswer(late, 0).body,
    `${times}"nodeEligible":true,"healthy":false,${status}`,
  );
  assert.equal(livezAnswer(late, 0).status, 503);
  assert.equal(livezAnswer(late, 0).body, `${times}"healthy":false,${status}`);
});

test('before any report there is no status, and an ineligible node was never updated', () => {
  const fresh = report({ families: [] });
  assert.equal(
    livezAnswer(fresh, 0).body,
    '{"lastUpdated":"2026-11-22T01:23:45.67Z","currentTime":"2026-11-22T01:23:45.67Z","healthy":true}',
  );
  assert.equal(
    healthzAnswer({ ...fresh, isNodeEligible: false }, 0).body,
    '{"lastUpdated":"0001-01-01T00:00:00Z","currentTime":"2026-11-22T01:23:45.67Z","nodeEligible":false,"healthy":true}',
  );
});

function currentTime(now: number, zone: number): unknown {
  const body: unknown = JSON.parse(String(livezAnswer(report({ now }), zone).body));
  return (body as { currentTime: unknown }).currentTime;
}

test('times are in the local zone, the zeros at their end left out', () => {
  const midnight = Date.UTC(2026, 0, 1);
  assert.equal(currentTime(midnight, 0), '2026-01-01T00:00:00Z');
  assert.equal(currentTime(midnight + 5, 60), '2026-01-01T01:00:00.005+01:00');
  assert.equal(currentTime(midnight + 500, 345), '2026-01-01T05:45:00.5+05:45');
  assert.equal(currentTime(midnight + 120, -210), '2025-12-31T20:30:00.12-03:30');
});
