/** Measures the nftables plane: a process of its own for each size, all on the way of a change in the agent. */
import { readFileSync } from 'node:fs';
import type { LineProcess } from '../test/lab/line-process.ts';
import type { Network } from './network.ts';
import type { LongRun, Memory, PlaneCalls } from './plane-calls.ts';
import type { LongRunSummary, PlaneResult } from './results.ts';
import { summarise } from './statistics.ts';

/** A node with this many Services. */
export interface Site {
  readonly node: number;
  readonly services: number;
}

/** How often things are measured. */
export interface PlaneEffort {
  readonly loads: number;
  /** Multiple of {@link ROUND}. */
  readonly changes: number;
  readonly verifications: number;
}

/** Sizes take turns after this many changes, so that what else the machine does meets all of them. */
export const ROUND = 50;
const WARM_UP_ROUNDS = 2;

type Worker = LineProcess<PlaneCalls>;

interface Loaded {
  readonly site: Site;
  readonly worker: Worker;
  readonly loads: readonly LongRun[];
  readonly adoptions: readonly LongRun[];
  readonly memory: Memory;
  readonly kernelMemory: number;
}

interface Changes {
  readonly endpoint: number[];
  readonly added: number[];
  readonly removed: number[];
}

/** Loads rules and leaves them there. */
export async function loadOnly(network: Network, site: Site): Promise<void> {
  const worker = startWorker(network, site);
  await worker.call('load', loadParams(site));
  await worker.kill();
}

/** Measures everything at every site; the rules stay. */
export async function measurePlane(
  network: Network,
  sites: readonly Site[],
  effort: PlaneEffort,
  progress: (text: string) => void,
): Promise<readonly PlaneResult[]> {
  const loaded: Loaded[] = [];
  for (const site of sites) {
    progress(`${site.services} Services: full load and restart`);
    loaded.push(await load(network, site, effort.loads));
  }
  progress('one endpoint changed, Services added and removed');
  const changes = await change(loaded, effort.changes);
  const results: PlaneResult[] = [];
  for (const [index, { site, worker, loads, adoptions, memory, kernelMemory }] of loaded.entries()) {
    const { endpoint = [], added = [], removed = [] } = changes[index] ?? {};
    const memoryAfterChanges = await worker.call('memory', null);
    progress(`${site.services} Services: verification`);
    const verifications = await verify(worker, effort.verifications);
    await worker.kill();
    results.push({
      services: site.services,
      load: summariseRuns(loads),
      adopt: summariseRuns(adoptions),
      endpointChange: summarise(endpoint),
      serviceAdded: summarise(added),
      serviceRemoved: summarise(removed),
      ...verifications,
      memoryAfterLoad: memory,
      memoryAfterChanges,
      kernelMemory,
    });
  }
  return results;
}

function startWorker(network: Network, { node, services }: Site): Worker {
  const namespace = network.nodes[node];
  if (namespace === undefined) throw new RangeError(`there is no node ${node}`);
  const file = new URL('plane-worker.ts', import.meta.url);
  return network.start<PlaneCalls>(namespace, `plane with ${services} Services`, file);
}

function loadParams({ node, services }: Site): PlaneCalls['load']['params'] {
  return { network: node, services };
}

/** Every run in a fresh process, as after a start of the agent. */
async function load(network: Network, site: Site, runs: number): Promise<Loaded> {
  const loads: LongRun[] = [];
  const adoptions: LongRun[] = [];
  let kernelMemory = 0;
  let worker = startWorker(network, site);
  for (let run = 1; ; run++) {
    const before = kernelMegabytes();
    loads.push(await worker.call('load', loadParams(site)));
    // The memory of rules that were deleted is given back some time later: later runs would show too little.
    if (run === 1) kernelMemory = kernelMegabytes() - before;
    if (run === runs) break;
    await worker.call('deleteRules', null);
    await worker.kill();
    worker = startWorker(network, site);
  }
  const memory = await worker.call('memory', null);
  for (let run = 1; run <= runs; run++) {
    const successor = startWorker(network, site);
    const adoption = await successor.call('load', loadParams(site));
    if (adoption.report.operations > 0) throw new Error('a restart wrote rules that were there');
    adoptions.push(adoption);
    await successor.kill();
  }
  return { site, worker, loads, adoptions, memory, kernelMemory };
}

async function change(loaded: readonly Loaded[], count: number): Promise<readonly Changes[]> {
  const changes = loaded.map((): Changes => ({ endpoint: [], added: [], removed: [] }));
  for (let round = 0; round < WARM_UP_ROUNDS + count / ROUND; round++) {
    for (const [index, { worker }] of loaded.entries()) {
      const endpoint = await worker.call('changeEndpoints', { count: ROUND });
      const { added, removed } = await worker.call('addAndRemove', { count: ROUND / 2 });
      if (round < WARM_UP_ROUNDS) continue;
      changes[index]?.endpoint.push(...endpoint);
      changes[index]?.added.push(...added);
      changes[index]?.removed.push(...removed);
    }
  }
  return changes;
}

async function verify(
  worker: Worker,
  runs: number,
): Promise<Pick<PlaneResult, 'disturbedMs' | 'verifyUndisturbed' | 'verifyDeleted'>> {
  const undisturbed: LongRun[] = [];
  const deleted: LongRun[] = [];
  const questions: number[] = [];
  for (let run = 1; run <= runs; run++) {
    const quiet = await worker.call('verify', null);
    if (quiet.disturbed || quiet.drift > 0) throw new Error('the plane saw drift where none was');
    undisturbed.push(quiet);
    questions.push(quiet.disturbedMs);
    await worker.call('deleteRules', null);
    const repair = await worker.call('verify', null);
    if (!repair.disturbed || repair.drift === 0) throw new Error('the plane missed a deleted table');
    deleted.push(repair);
    questions.push(repair.disturbedMs);
  }
  return {
    disturbedMs: summarise(questions).p50,
    verifyUndisturbed: summariseRuns(undisturbed),
    verifyDeleted: summariseRuns(deleted),
  };
}

function summariseRuns(runs: readonly LongRun[]): LongRunSummary {
  const last = runs.at(-1);
  return {
    ms: summarise(runs.map(({ ms }) => ms)),
    cpuMs: summarise(runs.map(({ cpuMs }) => cpuMs)),
    kernelMs: summarise(runs.map(({ report }) => report.kernelMs)),
    stallMs: summarise(runs.map(({ stallMs }) => stallMs)),
    operations: last?.report.operations ?? 0,
    batches: last?.report.batches ?? 0,
  };
}

/** Memory of the whole kernel in which nf_tables keeps its objects and hash tables. */
function kernelMegabytes(): number {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0);
  return ((kilobytes('Slab') + kilobytes('VmallocUsed')) * 1024) / 1e6;
}
