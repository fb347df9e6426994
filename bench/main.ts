/**
 * `npm run bench`: measures the nftables plane on this machine's kernel, in network namespaces of its own. With `agent`: the
 * whole daemon (daemon/). With `ipvs` and `iptables`: these planes (ipvs/, iptables/).
 */
import { loadavg } from 'node:os';
import { labReason } from '../test/lab/lab.ts';
import { type RuledSite, measureConnect } from './connect.ts';
import { benchDaemon } from './daemon/main.ts';
import { USAGE as DAEMON_USAGE, parseDaemonOptions } from './daemon/options.ts';
import { benchIptables, iptablesReason } from './iptables/main.ts';
import { USAGE as IPTABLES_USAGE, parseIptablesOptions } from './iptables/options.ts';
import { benchIpvs, ipvsReason } from './ipvs/main.ts';
import { USAGE as IPVS_USAGE, parseIpvsOptions } from './ipvs/options.ts';
import { measureKubeProxyShape } from './kube-proxy.ts';
import { describeMachine } from './machine.ts';
import { Network } from './network.ts';
import { type Options, USAGE, commandLine, parseOptions } from './options.ts';
import { type Peer, type PeerEffort, identifyPeer, measurePeer } from './peer.ts';
import { type PlaneEffort, type Site, loadOnly, measurePlane } from './plane.ts';
import { formatReport } from './report.ts';
import type { KubeProxyResult, Machine, PeerResult, Results } from './results.ts';
import { judge } from './targets.ts';
import { UsageError } from './usage-error.ts';
import { writeResults } from './write-results.ts';

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

/** Of what is measured when it is named. */
const USAGES: ReadonlyMap<string | undefined, string> = new Map([
  ['agent', DAEMON_USAGE],
  ['ipvs', IPVS_USAGE],
  ['iptables', IPTABLES_USAGE],
]);

/** Exit code: 0 measured, whatever came out; 1 cannot measure here; 2 wrong command line. */
async function main(args: readonly string[]): Promise<number> {
  const [mode, ...rest] = args;
  try {
    if (mode === 'agent') return await runDaemon(rest);
    if (mode === 'ipvs') return await runIpvs(rest);
    if (mode === 'iptables') return await runIptables(rest);
    return await runPlane(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${USAGES.get(mode) ?? USAGE}`);
    return 2;
  }
}

async function runDaemon(args: readonly string[]): Promise<number> {
  const options = parseDaemonOptions(args);
  if (options.help) return help(DAEMON_USAGE);
  return measureIfPossible(labReason(), async () => benchDaemon(options, progress));
}

async function runIpvs(args: readonly string[]): Promise<number> {
  const options = parseIpvsOptions(args);
  if (options.help) return help(IPVS_USAGE);
  return measureIfPossible(ipvsReason(), async () => benchIpvs(options, progress));
}

async function runIptables(args: readonly string[]): Promise<number> {
  const options = parseIptablesOptions(args);
  if (options.help) return help(IPTABLES_USAGE);
  return measureIfPossible(iptablesReason(), async () => benchIptables(options, progress));
}

async function runPlane(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) return help(`${USAGE}\n${[...USAGES.values()].join('\n')}`);
  const peer = options.peer === undefined ? undefined : identifyPeer(options.peer);
  return measureIfPossible(labReason(), async () => {
    const results = await measure(options, describeMachine(), peer);
    process.stdout.write(`\n${formatReport(results)}`);
    // Beside the figures, so that a file can be read alone.
    const whole = { ...results, targets: judge(results) };
    writeResults(whole, options.quick ? '-quick' : '', options.json);
  });
}

function help(usage: string): number {
  process.stdout.write(usage);
  return 0;
}

async function measureIfPossible(
  reason: string | undefined,
  run: () => Promise<void>,
): Promise<number> {
  if (reason === undefined) {
    await run();
    return 0;
  }
  process.stderr.write(`The bench cannot run here: ${reason}\n`);
  return 1;
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

function progress(text: string): void {
  process.stderr.write(`${text} ...\n`);
}

process.exitCode = await main(process.argv.slice(2));
