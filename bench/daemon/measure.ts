/**
 * Measures the bundled daemon against the stand-in API server, from outside: by its log, by /proc and by what the kernel tells.
 *
 * The latency of a change begins when the API server has encoded the event, before TLS and the socket, and ends when the kernel
 * reports the transaction with that endpoint to a third process. The kernel does so just before it acknowledges it
 * (nf_tables_commit()), and it makes these reports anyway, for the daemon listens to them too. All three processes share the
 * processors, and all read the same CLOCK_MONOTONIC.
 */
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { formatCidr } from '../../src/core/ip.ts';
import type { LineProcess } from '../../test/lab/line-process.ts';
import { BlackBox, type Usage } from '../black-box.ts';
import { CLUSTER_CIDR, NODE_NAME } from '../cluster.ts';
import { NODE_FLAGS, type Network, nodeAddress } from '../network.ts';
import { now, summarise } from '../statistics.ts';
import type { ApiServerCalls, Change, Heard, KernelCalls } from './calls.ts';
import type { DaemonOptions } from './options.ts';
import type { ChurnResult, DaemonResults, StartResult } from './results.ts';

/** The node in the network, which has no others. */
const NODE = 0;
/** Between start and churn, and behind the last change. */
const REST_MS = 2000;
/** A start that takes longer has failed. */
const START_LIMIT_MS = 120_000;
/** Memory is looked at this often. */
const SAMPLE_MS = 1000;

/** What is measured, and what helps. */
interface Setting {
  readonly options: DaemonOptions;
  readonly api: LineProcess<ApiServerCalls>;
  readonly kernel: LineProcess<KernelCalls>;
  /** Starts the daemon. */
  readonly start: () => BlackBox;
}

interface Start {
  readonly daemon: BlackBox;
  readonly ms: number;
  readonly usage: Usage;
}

/** Starts the daemon several times with and without rules in the kernel, and then changes slices. */
export async function measureDaemon(
  network: Network,
  options: DaemonOptions,
  bundle: string,
  progress: (text: string) => void,
): Promise<Pick<DaemonResults, 'start' | 'restart' | 'churn'>> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'switchyard-bench-'));
  const kubeconfig = join(folder.path, 'kubeconfig');
  const [namespace = ''] = network.nodes;
  const apiFile = new URL('api-server-worker.ts', import.meta.url);
  const kernelFile = new URL('kernel-worker.ts', import.meta.url);
  const setting: Setting = {
    options,
    api: network.start(namespace, 'API server', apiFile),
    kernel: network.start(namespace, 'kernel', kernelFile),
    start: () => {
      const command = daemonCommand(bundle, kubeconfig);
      const daemon = new BlackBox(namespace, command, { NODE_OPTIONS: NODE_FLAGS.join(' ') });
      network.killLater(daemon);
      return daemon;
    },
  };
  const { services, endpoints, starts } = options;
  await setting.api.call('open', {
    services,
    endpoints,
    nodeAddress: nodeAddress(NODE),
    kubeconfig,
  });
  progress(`${services} Services: start`);
  const fresh: Start[] = [];
  for (let run = 0; run < starts; run++) {
    await fresh.at(-1)?.daemon.kill();
    await setting.kernel.call('clear', null);
    fresh.push(await start(setting));
  }
  progress(`${services} Services: restart over existing rules`);
  const again: Start[] = [];
  for (let run = 0; run < starts; run++) {
    await (again.at(-1) ?? fresh.at(-1))?.daemon.kill();
    again.push(await start(setting));
  }
  progress(`${options.ratePerSecond} slices a second for ${options.seconds} s`);
  const daemon = again.at(-1)?.daemon;
  if (daemon === undefined) throw new RangeError('nothing was started');
  const churn = await change(setting, daemon);
  await Promise.all([daemon, setting.api, setting.kernel].map(async (one) => one.kill()));
  return { start: summariseStarts(fresh), restart: summariseStarts(again), churn };
}

/** As in a cluster, with the content type that is default, and without settings outside of its namespace. */
function daemonCommand(bundle: string, kubeconfig: string): readonly string[] {
  return [
    process.execPath,
    bundle,
    'proxy',
    `--kubeconfig=${kubeconfig}`,
    `--hostname-override=${NODE_NAME}`,
    '--proxy-mode=nftables',
    `--cluster-cidr=${formatCidr(CLUSTER_CIDR)}`,
    '--conntrack-max-per-core=0',
  ];
}

/** Starts the daemon, and makes sure that the kernel has what the daemon says. */
async function start({ options, kernel, start: spawn }: Setting): Promise<Start> {
  const daemon = spawn();
  const ms = (await daemon.logged('"Serving"', START_LIMIT_MS)) - daemon.startedAt;
  const usage = daemon.usage();
  const { frontends, endpoints } = await kernel.call('count', null);
  const { services } = options;
  if (frontends !== services || endpoints !== services * options.endpoints) {
    throw new Error(`the kernel has ${frontends} frontends and ${endpoints} endpoints`);
  }
  return { daemon, ms, usage };
}

async function change({ options, api, kernel }: Setting, daemon: BlackBox): Promise<ChurnResult> {
  const { ratePerSecond, seconds } = options;
  await kernel.call('listen', null);
  await setTimeout(REST_MS);
  const rss: number[] = [];
  const before = daemon.usage();
  const startedAt = now();
  await api.call('churn', { ratePerSecond });
  while (now() - startedAt < seconds * 1000) {
    await setTimeout(SAMPLE_MS);
    rss.push(daemon.usage().rss);
  }
  const written = await api.call('churn', { ratePerSecond: 0 });
  const after = daemon.usage();
  const passedMs = now() - startedAt;
  await setTimeout(REST_MS);
  const heard = await kernel.call('heard', null);
  const quarter = Math.ceil(rss.length / 4);
  return {
    seconds: passedMs / 1000,
    changes: written.length,
    latency: summarise(latencies(written, heard)),
    transactions: heard.transactions,
    processorShare: (after.processorMs - before.processorMs) / passedMs,
    waitedShare: (after.waitedMs - before.waitedMs) / passedMs,
    rss: {
      first: mean(rss.slice(0, quarter)),
      last: mean(rss.slice(-quarter)),
      peak: after.peakRss,
    },
  };
}

/** Of each change; all of them must have reached the kernel. */
function latencies(written: readonly Change[], { changes }: Heard): readonly number[] {
  const heardAt = new Map(changes.map(({ address, at }) => [address, at]));
  const found = written.flatMap(({ address, at }) => {
    const arrived = heardAt.get(address);
    return arrived === undefined ? [] : [arrived - at];
  });
  if (found.length === written.length) return found;
  throw new Error(`${written.length - found.length} changes have not reached the kernel`);
}

function summariseStarts(starts: readonly Start[]): StartResult {
  return {
    ms: summarise(starts.map(({ ms }) => ms)),
    cpuMs: summarise(starts.map(({ usage }) => usage.processorMs)),
    waitedMs: summarise(starts.map(({ usage }) => usage.waitedMs)),
    peakRss: Math.max(...starts.map(({ usage }) => usage.peakRss)),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
