/**
 * Measures inside the guest and prints the results as JSON: `node guest.ts LOADS CHANGES LISTS BUNDLE`.
 *
 * Everything that is loaded has a network namespace of its own: IPVS remembers deleted real servers for two minutes and looks
 * through all of them whenever one is added (ip_vs_trash_get_dest()).
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { release } from 'node:os';
import type { LineProcess } from '../../test/lab/line-process.ts';
import { Network } from '../network.ts';
import { now, summarise } from '../statistics.ts';
import type { WorkerCalls } from './calls.ts';
import type { ChangeResult, GuestResults, ListResult } from './results.ts';

const SERVICES = 1000;
/** Sizes that changes are compared between, beside the size of the loads. */
const FEW_SERVICES = 500;
const MANY_SERVICES = 5000;
/** For a load that is not measured. */
const WARM_UP_SERVICES = 10;
/** Sizes take turns after this many changes of both kinds, so that what else the machine does meets all of them. */
const ROUND = 50;
const WARM_UP_ROUNDS = 2;
/** In the guest's memory. */
const SAVED = '/tmp/ipvsadm-save';
const MAX_OUTPUT_BYTES = 64 << 20;

type Worker = LineProcess<WorkerCalls>;
type Load = WorkerCalls['load']['result'];

function progress(text: string): void {
  process.stderr.write(`${text} ...\n`);
}

function startWorker(network: Network, namespace: string): Worker {
  return network.start(namespace, `plane in ${namespace}`, new URL('worker.ts', import.meta.url));
}

function inNamespace(namespace: string, command: readonly string[]): readonly string[] {
  return ['netns', 'exec', namespace, ...command];
}

function output(namespace: string, command: readonly string[]): string {
  return execFileSync('ip', inNamespace(namespace, command), {
    encoding: 'utf8',
    maxBuffer: MAX_OUTPUT_BYTES,
  });
}

/** Milliseconds that a command takes. Its output is not read, and its input is no pipe: nobody takes turns with it. */
function timed(namespace: string, command: readonly string[], inputFile = '/dev/null'): number {
  const input = openSync(inputFile, 'r');
  const started = now();
  execFileSync('ip', inNamespace(namespace, command), { stdio: [input, 'ignore', 'inherit'] });
  const ms = now() - started;
  closeSync(input);
  return ms;
}

/** The kernel loads modules when they are used first: those of IPVS, and those that rules of iptables name. */
async function warmUp(network: Network, namespace: string): Promise<void> {
  const worker = startWorker(network, namespace);
  await worker.call('load', { services: WARM_UP_SERVICES });
  await worker.kill();
}

/** Loads the plane and restores the same with ipvsadm, in turns. */
async function measureLoads(
  network: Network,
  planeSides: readonly string[],
  ipvsadmSides: readonly string[],
): Promise<Pick<GuestResults, 'load' | 'restore' | 'adopt'>> {
  const loads: Load[] = [];
  const restores: number[] = [];
  const adoptions: Load[] = [];
  for (const [run, planeSide] of planeSides.entries()) {
    const worker = startWorker(network, planeSide);
    loads.push(await worker.call('load', { services: SERVICES }));
    await worker.kill();
    const ipvsadmSide = ipvsadmSides[run] ?? '';
    execFileSync('sh', ['-c', `ip netns exec ${planeSide} ipvsadm -Sn > ${SAVED}`]);
    restores.push(timed(ipvsadmSide, ['ipvsadm', '-R'], SAVED));
    const list = ['ipvsadm', '-Sn'];
    if (sorted(output(planeSide, list)) !== sorted(output(ipvsadmSide, list))) {
      throw new Error('ipvsadm -R made something else than the plane');
    }
  }
  for (const planeSide of planeSides) {
    const worker = startWorker(network, planeSide);
    const adoption = await worker.call('load', { services: SERVICES });
    if (adoption.operations > 0) throw new Error('a restart wrote what was there');
    adoptions.push(adoption);
    await worker.kill();
  }
  return {
    load: {
      ms: summarise(loads.map(({ ms }) => ms)),
      kernelMs: summarise(loads.map(({ kernelMs }) => kernelMs)),
      operations: loads.at(-1)?.operations ?? 0,
    },
    restore: summarise(restores),
    adopt: summarise(adoptions.map(({ ms }) => ms)),
  };
}

/** The order in which the kernel lists is that of a hash table with a random key. */
function sorted(text: string): string {
  return text.split('\n').toSorted().join('\n');
}

async function measureChanges(
  network: Network,
  namespaces: readonly string[],
  count: number,
): Promise<readonly ChangeResult[]> {
  const sizes = [FEW_SERVICES, SERVICES, MANY_SERVICES];
  const sites: { services: number; worker: Worker; removed: number[]; added: number[] }[] = [];
  for (const [index, services] of sizes.entries()) {
    const worker = startWorker(network, namespaces[index] ?? '');
    await worker.call('load', { services });
    sites.push({ services, worker, removed: [], added: [] });
  }
  for (let round = 0; round < WARM_UP_ROUNDS + count / ROUND; round++) {
    for (const { worker, removed, added } of sites) {
      const changes = await worker.call('changeEndpoints', { count: ROUND / 2 });
      if (round < WARM_UP_ROUNDS) continue;
      removed.push(...changes.removed);
      added.push(...changes.added);
    }
  }
  await Promise.all(sites.map(async ({ worker }) => worker.kill()));
  return sites.map(({ services, removed, added }) => ({
    services,
    endpointChange: summarise([...removed, ...added]),
    removed: summarise(removed),
    added: summarise(added),
  }));
}

function measureLists(namespace: string, bundle: string, runs: number): ListResult {
  const ours = [process.execPath, bundle, 'ipvs', 'list'];
  const theirs = ['ipvsadm', '-Ln'];
  if (output(namespace, ours) !== output(namespace, theirs)) {
    throw new Error('switchyard ipvs list and ipvsadm -Ln do not say the same');
  }
  const switchyard: number[] = [];
  const ipvsadm: number[] = [];
  for (let run = 0; run < runs; run++) {
    switchyard.push(timed(namespace, ours));
    ipvsadm.push(timed(namespace, theirs));
  }
  return { switchyard: summarise(switchyard), ipvsadm: summarise(ipvsadm) };
}

async function measure(
  loads: number,
  changes: number,
  lists: number,
  bundle: string,
): Promise<GuestResults> {
  using network = Network.open(2 * loads + 5);
  const planeSides = network.nodes.slice(0, loads);
  const ipvsadmSides = network.nodes.slice(loads, 2 * loads);
  const [first = '', empty = '', ...changeSides] = network.nodes.slice(2 * loads);
  await warmUp(network, first);
  progress(`${SERVICES} Services: full load, ipvsadm -R and restart, ${loads} times`);
  const loaded = await measureLoads(network, planeSides, ipvsadmSides);
  progress(`${SERVICES} Services: switchyard ipvs list and ipvsadm -Ln, ${lists} times`);
  const list = measureLists(planeSides[0] ?? '', bundle, lists);
  const emptyList = measureLists(empty, bundle, lists);
  progress(`one endpoint changed, ${changes} times at each size`);
  const changed = await measureChanges(network, changeSides, changes);
  return {
    kernel: release(),
    services: SERVICES,
    ...loaded,
    changes: changed,
    list,
    emptyList,
  };
}

const [loads, changes, lists, bundle = ''] = process.argv.slice(2);
const results = await measure(Number(loads), Number(changes), Number(lists), bundle);
process.stdout.write(JSON.stringify(results));
