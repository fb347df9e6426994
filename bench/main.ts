/** `npm run bench`: measures the nftables plane on this machine's kernel, in network namespaces of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { labReason } from '../test/lab/lab.ts';
import { type RuledSite, measureConnect } from './connect.ts';
import { measureKubeProxyShape } from './kube-proxy.ts';
import { describeMachine } from './machine.ts';
import { Network } from './network.ts';
import { type Options, USAGE, UsageError, commandLine, parseOptions } from './options.ts';
import { type Peer, type PeerEffort, identifyPeer, measurePeer } from './peer.ts';
import { type PlaneEffort, type Site, loadOnly, measurePlane } from './plane.ts';
import { formatReport } from './report.ts';
import type { KubeProxyResult, Machine, PeerResult, Results } from './results.ts';
import { judge } from './targets.ts';

/** Latency is compared with that of a node with this many Services. */
const FEW_SERVICES = 10;

/** A real kube-proxy takes as long as it takes; its figures do not depend on how quick the bench is to be. */
const PEER_EFFORT: PeerEffort = { changes: 10, limitMs: 300_000 };

interface Effort extends PlaneEffort {
  readonly connections: number;
  readonly kubeProxyChanges: number;
}

const EFFORT: Effort = {
  loads: 3,
  changes: 2000,
  verifications: 3,
  connections: 5000,
  kubeProxyChanges: 30,
};
const QUICK_EFFORT: Effort = {
  loads: 1,
  changes: 500,
  verifications: 1,
  connections: 1500,
  kubeProxyChanges: 10,
};

/** Exit code: 0 measured, whatever came out; 1 cannot measure here; 2 wrong command line. */
async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  let peer: Peer | undefined;
  try {
    options = parseOptions(args);
    if (!options.help && options.peer !== undefined) peer = identifyPeer(options.peer);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const reason = labReason();
  if (reason !== undefined) {
    process.stderr.write(`The bench cannot run here: ${reason}\n`);
    return 1;
  }
  const results = await measure(options, describeMachine(), peer);
  process.stdout.write(`\n${formatReport(results)}`);
  const file = options.json ?? defaultFile(results, options.quick);
  // Beside the figures, so that a file can be read alone.
  const text = JSON.stringify({ ...results, targets: judge(results) }, rounded, 2);
  writeFileSync(file, `${text}\n`);
  process.stdout.write(`Written to ${file}\n`);
  return 0;
}

async function measure(
  options: Options,
  machine: Machine,
  peer: Peer | undefined,
): Promise<Results> {
  const started = new Date();
  const [before = 0] = loadavg();
  const effort = options.quick ? QUICK_EFFORT : EFFORT;
  const sites = planSites(options, machine.nft !== undefined);
  const peerSites = kubeProxySizes(options).map((services, index) => {
    return { node: sites.length + index, services };
  });
  using network = Network.open(sites.length + (peer === undefined ? 0 : peerSites.length));

  const measured: RuledSite[] = [];
  for (const site of sites) {
    if (site.rules !== 'switchyard') continue;
    if (options.sizes.includes(site.services)) measured.push(site);
    else await loadOnly(network, site);
  }
  const plane = await measurePlane(network, measured, effort, progress);
  const kubeProxyShape: KubeProxyResult[] = [];
  for (const site of sites) {
    if (site.rules !== 'kube-proxy') continue;
    progress(`${site.services} Services: kube-proxy's shape of rules`);
    kubeProxyShape.push(await measureKubeProxyShape(network, site, effort.kubeProxyChanges));
  }
  progress('connections');
  const connect = await measureConnect(network, sites, effort.connections);
  const peerResults = peer && (await measurePeers(network, peer, peerSites));
  const [after = 0] = loadavg();
  return {
    version: 1,
    startedAt: started.toISOString(),
    seconds: Math.round((Date.now() - started.getTime()) / 1000),
    commandLine: commandLine(options),
    machine,
    loadAverage: { before, after },
    plane,
    connect,
    kubeProxyShape,
    peer: peerResults,
  };
}

async function measurePeers(
  network: Network,
  peer: Peer,
  sites: readonly Site[],
): Promise<Results['peer']> {
  const sizes: PeerResult[] = [];
  for (const site of sites) {
    progress(`${site.services} Services: kube-proxy ${peer.version}`);
    sizes.push(await measurePeer(network, peer, site, PEER_EFFORT));
  }
  return { version: peer.version, sizes };
}

/** One node for everything that is measured. */
function planSites(options: Options, hasNft: boolean): readonly RuledSite[] {
  const sizes = [...new Set([FEW_SERVICES, ...options.sizes])];
  const sites: RuledSite[] = [{ node: 0, rules: 'none', services: 0 }];
  for (const services of sizes) sites.push({ node: sites.length, rules: 'switchyard', services });
  for (const services of hasNft ? kubeProxySizes(options) : []) {
    sites.push({ node: sites.length, rules: 'kube-proxy', services });
  }
  return sites;
}

function kubeProxySizes({ slow }: Options): readonly number[] {
  return slow ? [1000, 10_000] : [1000];
}

function defaultFile({ startedAt, machine }: Results, quick: boolean): string {
  const folder = new URL('results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const kernel = machine.kernel.split('.', 2).join('.');
  const kind = `linux-${kernel}-${machine.architecture}-${machine.processors}cpu`;
  const name = `${startedAt.slice(0, 10)}-${kind}${quick ? '-quick' : ''}.json`;
  return fileURLToPath(new URL(name, folder));
}

/** More digits than were measured would only make files large. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1e4) / 1e4 : value;
}

function progress(text: string): void {
  process.stderr.write(`${text} ...\n`);
}

process.exitCode = await main(process.argv.slice(2));
