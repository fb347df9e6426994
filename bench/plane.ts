/** Measures the nftables plane: a process of its own for each size, all on the way of a change in the agent. */
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
  /** A multiple of 50. */
  readonly changes: number;
  readonly verifications: number;
}

/** Sizes take turns after this many changes, so that what else the machine does meets all of them. */
const ROUND = 50;
const WARM_UP_ROUNDS = 2;

type Worker = LineProcess<PlaneCalls>;

interface Loaded {
  readonly site: Site;
  readonly worker: Worker;
  readonly loads: readonly LongRun[];
  readonly adoptions: readonly LongRun[];
  readonly afterLoad: Memory;
  readonly afterAdoption: Memory;
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
  for (const [index, at] of loaded.entries()) {
    const { site, worker, afterLoad, afterAdoption } = at;
    const { endpoint = [], added = [], removed = [] } = changes[index] ?? {};
    const afterChanges = await worker.call('memory', null);
    progress(`${site.services} Services: verification`);
    const verifications = await verify(worker, effort.verifications);
    await worker.kill();
    results.push({
      services: site.services,
      load: summariseRuns(at.loads),
      adopt: summariseRuns(at.adoptions),
      endpointChange: summarise(endpoint),
      serviceAdded: summarise(added),
      serviceRemoved: summarise(removed),
      ...verifications,
      memory: { afterLoad, afterChanges, afterAdoption },
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
  let worker = startWorker(network, site);
  for (let run = 1; ; run++) {
    loads.push(await worker.call('load', loadParams(site)));
    if (run === runs) break;
    await worker.call('deleteRules', null);
    await worker.kill();
    worker = startWorker(network, site);
  }
  const afterLoad = await worker.call('memory', null);
  let afterAdoption = afterLoad;
  for (let run = 1; run <= runs; run++) {
    const successor = startWorker(network, site);
    const adoption = await successor.call('load', loadParams(site));
    if (adoption.report.operations > 0) throw new Error('a restart wrote rules that were there');
    adoptions.push(adoption);
    afterAdoption = await successor.call('memory', null);
    await successor.kill();
  }
  return { site, worker, loads, adoptions, afterLoad, afterAdoption };
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
    if (!repair.disturbed || repair.drift === 0)
      throw new Error('the plane missed a deleted table');
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
