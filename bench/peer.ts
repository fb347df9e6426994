/**
 * A kube-proxy binary as a black box: it reads from the stand-in API server in its node's namespace, and a client looks when
 * connections arrive. No kube-proxy was at hand when this was written: it was tried with the program of test/e2e/fixtures.
 */
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { formatCidr } from '../src/core/ip.ts';
import type { AgentCalls } from '../test/lab/agent/calls.ts';
import { BlackBox } from './black-box.ts';
import {
  CLUSTER_CIDR,
  ENDPOINT_PORT,
  NODE_NAME,
  SERVICE_PORT,
  STRIDE,
  clusterIp,
} from './cluster.ts';
import { type Network, nodeAddress } from './network.ts';
import type { PeerCalls } from './peer-worker.ts';
import type { Site } from './plane.ts';
import type { PeerResult } from './results.ts';
import { now, summarise } from './statistics.ts';
import { UsageError } from './usage-error.ts';

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

  const peer = new BlackBox(namespace, [path, ...peerArguments(node, master)]);
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
  if (peer.ending === undefined) {
    const { rss, processorMs } = peer.usage();
    result = { ...result, rss, processorShare: processorMs / (now() - peer.startedAt) };
  } else process.stderr.write(`${path} ${peer.ending}:\n${peer.log}\n`);
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
