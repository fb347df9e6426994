/** `npm run bench -- iptables`: measures the iptables plane in both variants, on nodes of the bench's network. */
import { execFileSync, spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { labReason } from '../../test/lab/lab.ts';
import type { LineProcess } from '../../test/lab/line-process.ts';
import { type RuledSite, measureConnect } from '../connect.ts';
import { describeMachine } from '../machine.ts';
import { Network } from '../network.ts';
import { summarise } from '../statistics.ts';
import { writeResults } from '../write-results.ts';
import type { Load, WorkerCalls } from './calls.ts';
import { type IptablesOptions, iptablesCommandLine } from './options.ts';
import { formatIptablesReport, judgeIptables } from './report.ts';
import type { RuleSet, SizeResult } from './results.ts';

const FEW = 10;
const SIZES = [100, 1000, 10_000];
/** More changes than this are not made of a kube-proxy: each takes as long as it takes. */
const PEER_CHANGES = 10;

interface Effort {
  readonly loads: number;
  readonly changes: number;
  readonly connections: number;
}

const EFFORT: Effort = { loads: 3, changes: 200, connections: 5000 };
const QUICK_EFFORT: Effort = { loads: 1, changes: 40, connections: 1500 };

/** Why it cannot be measured on this machine, or `undefined` if it can. */
export function iptablesReason(): string | undefined {
  const missing = ['iptables-nft', 'iptables-legacy'].find(
    (tool) => spawnSync(tool, ['--version']).error !== undefined,
  );
  return (
    labReason() ??
    (missing === undefined ? undefined : `needs ${missing} (Debian package iptables)`)
  );
}

/** Measures and reports. To be called where {@link iptablesReason} has no reason. */
export async function benchIptables(
  options: IptablesOptions,
  progress: (text: string) => void,
): Promise<void> {
  const started = new Date();
  const [before = 0] = loadavg();
  const effort = options.quick ? QUICK_EFFORT : EFFORT;
  const sites = planSites(options);
  using network = Network.open(sites.length);
  const sizes: SizeResult[] = [];
  for (const site of sites) {
    if (site.rules === 'none') continue;
    progress(`${site.services} Services: ${site.rules}`);
    sizes.push(await measureSite(network, site, effort));
  }
  progress('connections');
  const connect = await measureConnect(network, sites, effort.connections);
  const [after = 0] = loadavg();
  const results = {
    version: 1,
    startedAt: started.toISOString(),
    seconds: Math.round((Date.now() - started.getTime()) / 1000),
    commandLine: iptablesCommandLine(options),
    machine: describeMachine(),
    iptables: toolVersion(),
    loadAverage: { before, after },
    sizes,
    connect,
  } as const;
  process.stdout.write(`\n${formatIptablesReport(results)}`);
  const kind = options.quick ? '-iptables-quick' : '-iptables';
  writeResults({ ...results, targets: judgeIptables(results) }, kind, options.json);
}

function planSites({ slow }: IptablesOptions): readonly RuledSite<RuleSet>[] {
  const sites: RuledSite<RuleSet>[] = [{ node: 0, rules: 'none', services: 0 }];
  const add = (rules: RuleSet, services: number): void => {
    sites.push({ node: sites.length, rules, services });
  };
  for (const rules of ['switchyard nft', 'switchyard legacy'] as const) {
    for (const services of [FEW, ...SIZES]) add(rules, services);
  }
  for (const rules of ['kube-proxy nft', 'kube-proxy legacy'] as const) {
    for (const services of slow ? [1000, 10_000] : [1000]) add(rules, services);
  }
  return sites;
}

async function measureSite(
  network: Network,
  site: RuledSite<RuleSet>,
  effort: Effort,
): Promise<SizeResult> {
  const isOurs = site.rules.startsWith('switchyard');
  const params = { network: site.node, services: site.services };
  const loads: Load[] = [];
  const adoptions: Load[] = [];
  let worker = start(network, site);
  // Each in a fresh process, as after a start of the agent.
  for (let run = 1; ; run++) {
    loads.push(await worker.call('load', params));
    if (!isOurs || run === effort.loads) break;
    await worker.kill();
    emptyTables(network, site);
    worker = start(network, site);
  }
  for (let run = isOurs ? 1 : effort.loads + 1; run <= effort.loads; run++) {
    await worker.kill();
    worker = start(network, site);
    const adoption = await worker.call('load', params);
    if (adoption.operations > 0) throw new Error('a restart wrote rules that were there');
    adoptions.push(adoption);
  }
  const count = isOurs ? effort.changes : Math.min(effort.changes, PEER_CHANGES);
  const changes = await worker.call('changeEndpoints', { count });
  await worker.kill();
  return {
    rules: site.rules,
    services: site.services,
    load: summarise(loads.map(({ ms }) => ms)),
    loadKernelMs: summarise(loads.map(({ kernelMs }) => kernelMs)),
    adopt: adoptions.length === 0 ? undefined : summarise(adoptions.map(({ ms }) => ms)),
    endpointChange: summarise(changes),
  };
}

function start(
  network: Network,
  { node, rules, services }: RuledSite<RuleSet>,
): LineProcess<WorkerCalls> {
  const [whose, variant = ''] = rules.split(' ');
  const name = whose === 'kube-proxy' ? 'kube-proxy-worker.ts' : 'worker.ts';
  const title = `${rules} with ${services} Services`;
  const file = new URL(name, import.meta.url);
  return network.start<WorkerCalls>(namespaceOf(network, node), title, file, [variant]);
}

function emptyTables(network: Network, { node, rules }: RuledSite<RuleSet>): void {
  const tool = rules.endsWith('legacy') ? 'iptables-legacy' : 'iptables-nft';
  for (const table of ['nat', 'filter']) {
    for (const command of ['-F', '-X']) {
      network.run(namespaceOf(network, node), tool, ['-t', table, command]);
    }
  }
}

function namespaceOf({ nodes }: Network, node: number): string {
  const namespace = nodes[node];
  if (namespace === undefined) throw new RangeError(`there is no node ${node}`);
  return namespace;
}

function toolVersion(): string {
  const said = execFileSync('iptables-nft', ['--version'], { encoding: 'utf8' });
  return /\d+\.\d+(?:\.\d+)?/.exec(said)?.[0] ?? said.trim();
}
