import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { AgentStatus } from '../../../../src/agent/status/agent-status.ts';
import { jsonList } from '../../../../src/agent/status/json-list.ts';
import { type StatusSources, statusPages } from '../../../../src/agent/status/pages.ts';
import { Planner } from '../../../../src/agent/planner.ts';
import type { PipelineEvents } from '../../../../src/agent/pipeline.ts';
import { parseCidr } from '../../../../src/core/ip.ts';
import type { ProgrammedFrontend } from '../../../../src/planes/plane.ts';
import { FakeClock, VIEW, service, setService, setSlice, slice } from '../fakes.ts';
import { Folder, ServerUnderTest, ask } from './socket.ts';

const SUBJECT = { version: '1.2.3', pid: 7, node: 'n1' };
const NO_TOTALS = {
  services: 0,
  routes: 0,
  objects: { Services: 0, EndpointSlices: 0 },
  localGaps: [],
};

const NO_EVENTS: PipelineEvents = {
  onQueued: () => undefined,
  onStarted: () => undefined,
  onSynced: () => undefined,
  onFailure: () => undefined,
  onRecovered: () => undefined,
  onVerified: () => undefined,
  onTended: () => undefined,
  onProblems: () => undefined,
  onConflict: () => undefined,
  onStaleFlows: () => undefined,
};

const SYNCED = {
  how: 'apply',
  ms: 1,
  totals: NO_TOTALS,
  healthChecks: new Map(),
  slices: new Map(),
} as const;

async function sources(more: Partial<StatusSources> = {}): Promise<StatusSources> {
  const range = parseCidr('192.0.2.0/24');
  assert.ok(range !== undefined);
  const planner = new Planner(VIEW, () => undefined);
  const web = {
    ...service('web', '10.96.0.1'),
    weights: new Map([['*', 2]]),
    loadBalancerSourceRanges: [range],
  };
  planner.accept([setService(web), setSlice(slice('web', ['10.1.0.1', '10.1.0.2']))]);
  await planner.plan(new FakeClock());
  return {
    status: () => new AgentStatus(SUBJECT, () => 0).describe('nftables', planner.totals),
    planned: () => planner,
    inspect: async () => [],
    breathe: async () => {
      await setImmediate();
    },
    ...more,
  };
}

async function items(path: string, given: StatusSources): Promise<readonly unknown[]> {
  using folder = new Folder();
  const socket = folder.file('status.sock');
  await using under = new ServerUnderTest(socket, statusPages(given));
  await under.server.open();
  const { status, body } = await ask(socket, path);
  assert.equal(status, 200);
  const { mode, items: found } = JSON.parse(body) as { mode: unknown; items: unknown[] };
  assert.equal(mode, 'nftables');
  return found;
}

test('Services are told as they were read, with how many endpoints they have', async () => {
  const [only, ...others] = await items('/v1/services', await sources());
  assert.deepEqual(others, []);
  const { name, weights, loadBalancerSourceRanges, endpoints } = only as Record<string, unknown>;
  assert.equal(name, 'web');
  assert.deepEqual(weights, { '*': 2 });
  assert.deepEqual(loadBalancerSourceRanges, ['192.0.2.0/24']);
  assert.deepEqual(endpoints, { ready: 2, all: 2 });
});

test('endpoints and Routes are told, each in a list', async () => {
  const given = await sources();
  const endpoints = await items('/v1/endpoints', given);
  assert.deepEqual(
    endpoints.map((each) => (each as { address: unknown }).address),
    ['10.1.0.1', '10.1.0.2'],
  );
  const routes = await items('/v1/routes', given);
  assert.deepEqual(
    routes.map((each) => (each as { key: unknown }).key),
    ['shop/web:/TCP/IPv4'],
  );
});

test('the kernel is read once for all who ask at the same time, and again for the next', async () => {
  const frontend: ProgrammedFrontend = {
    frontend: '10.96.0.1:80',
    protocol: 'TCP',
    label: 'shop/web',
    target: ['10.1.0.1:8080'],
    insideTarget: undefined,
    affinitySeconds: undefined,
    masquerade: false,
    allowedSources: undefined,
  };
  let reads = 0;
  let { promise, resolve } = Promise.withResolvers<undefined>();
  const given = await sources({
    inspect: async () => {
      reads++;
      await promise;
      return [frontend];
    },
  });
  const handle = statusPages(given).get('/v1/programmed')?.GET;
  assert.ok(handle !== undefined);
  const request = undefined as never;
  const both = Promise.all([handle(request), handle(request)]);
  resolve(undefined);
  await both;
  assert.equal(reads, 1);
  ({ promise, resolve } = Promise.withResolvers<undefined>());
  const third = handle(request);
  resolve(undefined);
  await third;
  assert.equal(reads, 2);
});

test('the list of an agent without anything is valid JSON', async () => {
  let text = '';
  for await (const piece of jsonList({ mode: 'a"b' }, [], async () => undefined)) text += piece;
  assert.deepEqual(JSON.parse(text), { mode: 'a"b', items: [] });
});

test('a long list is made in pieces, and others run in between', async () => {
  const numbers = Array.from({ length: 10_000 }, (_, index) => ({ index, text: 'x'.repeat(50) }));
  let breaths = 0;
  const pieces: string[] = [];
  for await (const piece of jsonList({}, numbers, async () => void breaths++)) pieces.push(piece);
  assert.deepEqual(JSON.parse(pieces.join('')), { items: numbers });
  assert.ok(pieces.length > 5);
  assert.ok(pieces.every(({ length }) => length < 70_000));
  assert.equal(breaths, pieces.length - 1);
});

test('the status tells since when Services are served, and what became of the last rounds', () => {
  let now = 0;
  const status = new AgentStatus(SUBJECT, () => now);
  const told: string[] = [];
  const events = status.watch({
    ...NO_EVENTS,
    onSynced: () => told.push('synced'),
    onFailure: () => told.push('failed'),
    onRecovered: () => told.push('recovered'),
    onVerified: () => told.push('verified'),
  });
  const describe = (): ReturnType<AgentStatus['describe']> => status.describe('ipvs', NO_TOTALS);
  const before = describe();
  assert.equal(before.servingSince, undefined);
  assert.equal(before.lastError, undefined);
  assert.equal(before.startedAt, '1970-01-01T00:00:00Z');

  now = 1000;
  const programmed = { operations: 3, batches: 1, kernelMs: 1, notices: [], latencyMs: 2 };
  const round = { ...programmed, how: 'apply', services: [], routes: 1 } as const;
  events.onSynced({ ...SYNCED, programmed: round });
  now = 2000;
  events.onSynced({ ...SYNCED, programmed: undefined });
  const served = describe();
  assert.equal(served.servingSince, '1970-01-01T00:00:01Z');
  assert.deepEqual(served.lastProgrammed, {
    at: '1970-01-01T00:00:01Z',
    operations: 3,
    latencyMs: 2,
  });

  events.onFailure(new Error('no memory'), 50, undefined);
  assert.equal(describe().lastError?.lasts, true);
  assert.match(describe().lastError?.error ?? '', /no memory/);
  events.onRecovered();
  assert.equal(describe().lastError?.lasts, false);
  assert.equal(describe().lastError?.at, '1970-01-01T00:00:02Z');

  const report = { operations: 1, batches: 1, kernelMs: 1, notices: [] };
  events.onVerified({ ...report, drift: [] });
  assert.equal(describe().lastRepair, undefined);
  events.onVerified({ ...report, drift: ['x was missing'] });
  assert.deepEqual(describe().lastRepair?.drift, ['x was missing']);
  assert.deepEqual(told, ['synced', 'synced', 'failed', 'recovered', 'verified', 'verified']);
});
