/** The process under test, in a node's namespace. It is asked over standard input (plane-calls.ts). */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { openKernelIo } from '../src/kernel/koffi-io.ts';
import type { ObjectChange } from '../src/core/change.ts';
import { openNftablesPlane } from '../src/planes/nftables/plane.ts';
import type { WriteReport } from '../src/planes/plane.ts';
import { serveCalls } from '../test/lab/line-process.ts';
import { Agent } from './agent.ts';
import { ENDPOINTS, STRIDE, makeService, makeSlice } from './cluster.ts';
import type { LongRun, PlaneCalls } from './plane-calls.ts';

const MEGABYTE = 1_000_000;

const io = openKernelIo();
const plane = openNftablesPlane(io);
const agent = new Agent(plane);
let network = 0;
let services = 0;
let changes = 0;

function set(service: number, without?: number): readonly ObjectChange[] {
  return [
    { type: 'set', item: { kind: 'Service', object: makeService(network, service) } },
    setSlice(service, without),
  ];
}

function setSlice(service: number, without?: number): ObjectChange {
  const object = makeSlice(network, service, without);
  return { type: 'set', item: { kind: 'EndpointSlice', object } };
}

function remove(service: number): readonly ObjectChange[] {
  return set(service).map(({ item }) => ({ type: 'remove', item }));
}

async function longRun(run: () => Promise<WriteReport>): Promise<LongRun> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpu = process.cpuUsage();
  const started = performance.now();
  const report = await run();
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  // The monitor notices that the loop stood still when its timer next has a turn.
  await setTimeout(2);
  delay.disable();
  const { operations, batches, kernelMs } = report;
  return {
    ms,
    cpuMs: (user + system) / 1000,
    stallMs: delay.max / 1e6,
    report: { operations, batches, kernelMs, notices: [] },
  };
}

serveCalls<PlaneCalls>({
  load: async (params) => {
    ({ network, services } = params);
    const objects: ObjectChange[] = [];
    for (let service = 0; service < services; service++) objects.push(...set(service));
    return longRun(async () => agent.load(objects));
  },
  changeEndpoints: async ({ count }) => {
    const samples: number[] = [];
    for (let sample = 0; sample < count; sample++, changes++) {
      const pair = Math.floor(changes / 2);
      const service = (pair * STRIDE) % services;
      const change = setSlice(service, changes % 2 === 0 ? pair % ENDPOINTS : undefined);
      samples.push((await agent.change([change])).latencyMs);
    }
    return samples;
  },
  addAndRemove: async ({ count }) => {
    const added: number[] = [];
    const removed: number[] = [];
    for (let service = services; service < services + count; service++) {
      added.push((await agent.change(set(service))).latencyMs);
      removed.push((await agent.change(remove(service))).latencyMs);
    }
    return { added, removed };
  },
  verify: async () => {
    const started = performance.now();
    const disturbed = plane.disturbed();
    const disturbedMs = performance.now() - started;
    let drift = 0;
    const run = await longRun(async () => {
      const report = await plane.verify();
      drift = report.drift.length;
      return report;
    });
    return { ...run, drift, disturbed, disturbedMs };
  },
  deleteRules: async () => {
    const other = openNftablesPlane(io);
    await other.remove();
    other.close();
    return null;
  },
  memory: () => {
    const { rss, heapUsed } = process.memoryUsage();
    // In kB, getrusage(2).
    const peakRss = process.resourceUsage().maxRSS * 1024;
    return {
      rss: rss / MEGABYTE,
      peakRss: peakRss / MEGABYTE,
      heapUsed: heapUsed / MEGABYTE,
    };
  },
});
