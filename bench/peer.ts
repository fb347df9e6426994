/**
 * A kube-proxy binary as a black box: it reads from the stand-in API server in its node's namespace, and a client looks when
 * connections arrive. No kube-proxy was at hand when this was written: it was tried with the program of test/e2e/fixtures.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { formatCidr } from '../src/core/ip.ts';
import type { AgentCalls } from '../test/lab/agent/calls.ts';
import {
  CLUSTER_CIDR,
  ENDPOINT_PORT,
  NODE_NAME,
  SERVICE_PORT,
  STRIDE,
  clusterIp,
} from './cluster.ts';
import { type Network, nodeAddress } from './network.ts';
import { UsageError } from './options.ts';
import type { PeerCalls } from './peer-worker.ts';
import type { Site } from './plane.ts';
import type { PeerResult } from './results.ts';
import { now, summarise } from './statistics.ts';

/** The program given with `--peer`. */
export interface Peer {
  readonly path: string;
  /** As it says itself. */
  readonly version: string;
}

export interface PeerEffort {
  readonly changes: number;
  /** For everything at one size. */
  readonly limitMs: number;
}

/** Endpoints that were moved listen here. */
const MOVED_PORT = ENDPOINT_PORT + 1;
/** A connection without an answer is given up after this time, before the kernel repeats its first packet. */
const PROBE_TIMEOUT_MS = 25;
/** Between two connections, so that the client leaves the processor to the peer. */
const PROBE_PAUSE_MS = 2;
/** kube-proxy waits for a second after a sync, by default. Changes come when it is at rest. */
const REST_MS = 2000;
/** Characters of the peer's log that are shown when it ends too early. */
const LOG_KEPT = 2000;
/** USER_HZ, the unit of times in /proc: 100 on all architectures that Node.js runs on. */
const TICKS_PER_SECOND = 100;

/** The peer ended, or took too long. The message is published. */
class PeerFailure extends Error {}

/** Asks the program for its version. Throws a {@link UsageError} when it cannot be run. */
export function identifyPeer(given: string): Peer {
  const path = resolve(given);
  let said: string;
  try {
    said = execFileSync(path, ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--peer: ${given} cannot be run: ${reason}`, { cause: error });
  }
  const version = /\bv\d\S*/.exec(said)?.[0];
  if (version !== undefined) return { path, version };
  throw new UsageError(`--peer: ${given} --version does not name a version, as kube-proxy's does`);
}

/** The running peer. It leads a process group of its own, so that the programs it starts go with it. */
class PeerProcess {
  readonly #child: ChildProcess;
  readonly startedAt = now();
  log = '';
  /** How it ended. */
  ending: string | undefined;

  constructor(namespace: string, path: string, args: readonly string[]) {
    // `ip` replaces itself with the program: the process id is the program's.
    this.#child = spawn('ip', ['netns', 'exec', namespace, path, ...args], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.log = (this.log + text).slice(-LOG_KEPT);
    });
    this.#child.once('exit', (code, signal) => {
      this.ending = `ended with ${signal ?? `exit code ${code}`}`;
    });
  }

  /** RSS in MB, and processor time in proportion to the time since the start. */
  usage(): Required<Pick<PeerResult, 'rss' | 'processorShare'>> {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    // utime, stime, cutime and cstime: fields 14 to 17; the second one is in parentheses and may contain spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    const processorMs = (ticks / TICKS_PER_SECOND) * 1000;
    return {
      rss: (kilobytes * 1024) / 1e6,
      processorShare: processorMs / (now() - this.startedAt),
    };
  }

  killNow(): void {
    if (this.#child.pid === undefined || this.ending !== undefined) return;
    process.kill(-this.#child.pid, 'SIGKILL');
  }

  async kill(): Promise<void> {
    if (this.ending !== undefined) return;
    const exit = once(this.#child, 'exit');
    this.killNow();
    await exit;
  }
}

/** Runs the peer at one size. What it does not manage in time is missing from the result, which says so. */
export async function measurePeer(
  network: Network,
  { path }: Peer,
  { node, services }: Site,
  { changes, limitMs }: PeerEffort,
): Promise<PeerResult> {
  const namespace = network.nodes[node];
  if (namespace === undefined) throw new RangeError(`there is no node ${node}`);
  const apiFile = new URL('peer-worker.ts', import.meta.url);
  const agentFile = new URL('../test/lab/agent/main.ts', import.meta.url);
  const api = network.start<PeerCalls>(namespace, 'API server', apiFile);
  const backend = network.start<AgentCalls>(network.backend, 'backend', agentFile);
  const client = network.start<AgentCalls>(network.client, 'client', agentFile);
  await backend.call('listen', {
    server: 'backend',
    protocol: 'TCP',
    addresses: ['0.0.0.0'],
    ports: [ENDPOINT_PORT, MOVED_PORT],
  });
  const master = await api.call('open', { network: node, services });

  const peer = new PeerProcess(namespace, path, peerArguments(node, master));
  network.killLater(peer);
  const deadline = peer.startedAt + limitMs;
  /** When a connection to the Service arrived at that port. */
  const arrival = async (service: number, at: number): Promise<number> => {
    const [address, port] = [clusterIp(node, service), SERVICE_PORT];
    for (;;) {
      if (peer.ending !== undefined) throw new PeerFailure(peer.ending);
      if (now() > deadline) throw new PeerFailure(`not within ${limitMs / 1000} s`);
      const [probe] = await client.call('tcp', { address, port, timeoutMs: PROBE_TIMEOUT_MS });
      if (probe?.ok === true && probe.localPort === at) return now();
      await setTimeout(PROBE_PAUSE_MS);
    }
  };

  const samples: number[] = [];
  let result: PeerResult = { services };
  try {
    await arrival(0, ENDPOINT_PORT);
    await arrival(Math.floor(services / 2), ENDPOINT_PORT);
    const ready = (await arrival(services - 1, ENDPOINT_PORT)) - peer.startedAt;
    result = { services, ready };
    for (let change = 1; change <= changes; change++) {
      await setTimeout(REST_MS);
      const service = (change * STRIDE) % services;
      const written = await api.call('movePort', { service, port: MOVED_PORT });
      samples.push((await arrival(service, MOVED_PORT)) - written);
    }
  } catch (error) {
    if (!(error instanceof PeerFailure)) throw error;
    result = { ...result, failure: error.message };
  }
  if (peer.ending === undefined) result = { ...result, ...peer.usage() };
  else process.stderr.write(`${path} ${peer.ending}:\n${peer.log}\n`);
  await Promise.all([peer, api, backend, client].map(async (one) => one.kill()));
  return samples.length === 0 ? result : { ...result, endpointChange: summarise(samples) };
}

/** As a kube-proxy needs them that has this API server and may write no settings outside its namespace; the rest is default. */
function peerArguments(node: number, master: string): readonly string[] {
  return [
    `--master=${master}`,
    '--kube-api-content-type=application/json',
    // Plain lists: kube-proxy 1.36 was seen to work with them on a stand-in.
    '--feature-gates=WatchListClient=false',
    `--hostname-override=${NODE_NAME}`,
    '--conntrack-max-per-core=0',
    '--proxy-mode=nftables',
    `--nodeport-addresses=${nodeAddress(node)}/32`,
    `--cluster-cidr=${formatCidr(CLUSTER_CIDR)}`,
  ];
}
