/** From texts to facts. */
import type { Fields } from '../../core/decode/fields.ts';
import { type Capture, type TextName } from './capture.ts';
import { readNode, readService, readSettings, readSlices } from './facts/cluster.ts';
import { readCni } from './facts/cni.ts';
import {
  type Fact,
  type Facts,
  type ModuleState,
  known,
  mapFact,
  unknown,
  valueOf,
} from './facts/facts.ts';
import { type RuleTable, parseIptablesSave } from './facts/iptables.ts';
import { parseDefaultRoute, parseLinks } from './facts/links.ts';
import { parseListeners } from './facts/listeners.ts';
import { parseNftListing } from './facts/nft.ts';
import { type NodeProcess, parseProcesses } from './facts/processes.ts';
import {
  type ProxySettings,
  asMode,
  isProxyDocument,
  parseMetrics,
  settingsOfDocuments,
  settingsOfFlags,
} from './facts/proxy.ts';
import { parseVirtualServers } from './facts/servers.ts';
import {
  parseConntrackCounters,
  parseFoundLines,
  parseSysctlLines,
  parseSysctls,
} from './facts/settings.ts';
import { findVersion } from './facts/version.ts';
import { readDocuments } from '../../agent/config/read-documents.ts';

/** Reads everything. What cannot be understood is unknown, with the reason. */
export function readFacts(capture: Capture): Facts {
  const { texts } = capture;
  const text = <T>(name: TextName, parse: (text: string) => T | undefined): Fact<T> =>
    parseFact(textOf(texts, name), name, parse);
  const kinds = mapFact(capture.objects, (objects) =>
    Map.groupBy(objects, ({ kind }) => (typeof kind === 'string' ? kind : '')),
  );
  const ofKind = <T>(kind: string, read: (objects: readonly Fields[]) => T): Fact<T> => {
    const found = mapFact(kinds, (all) => all.get(kind));
    if (!found.known) return found;
    if (found.value === undefined) return unknown(`no ${kind} is among the objects`);
    return known(read(found.value));
  };
  const processes = text('processes', parseProcesses);
  const cluster = ofKind('ConfigMap', readSettings);
  return {
    kernel: text('kernel', findVersion),
    cpus: text('cpus', readCount),
    nft: text('nft-version', findVersion),
    modules: text('modules', parseModules),
    iptables: iptables(texts),
    nftables: text('nft-list', parseNftListing),
    ipsets: text('ipset-list', parseSetNames),
    virtualServers: text('ipvs', parseVirtualServers),
    sysctls: text('sysctl', parseSysctls),
    sysctlFiles: text('sysctl-files', parseSysctlLines),
    modprobeLines: text('modprobe', parseFoundLines),
    conntrackCounters: text('conntrack-counters', parseConntrackCounters),
    links: text('addresses', parseLinks),
    uplink: mapFact(textOf(texts, 'route'), parseDefaultRoute),
    processes,
    listeners: text('listeners', parseListeners),
    cni: mapFact(capture.cni, (files) => [...files].map(([name, file]) => readCni(name, file))),
    settings: proxySettings(capture, valueOf(processes), valueOf(cluster)?.proxyConfig),
    servedMode: text('proxy-mode', (answer) => asMode(answer.trim())),
    metrics: text('proxy-metrics', parseMetrics),
    services: ofKind('Service', (objects) =>
      objects.flatMap((object) => readService(object) ?? []),
    ),
    slices: ofKind('EndpointSlice', readSlices),
    nodes: ofKind('Node', (objects) => objects.flatMap((object) => readNode(object) ?? [])),
    cluster,
  };
}

function textOf(texts: Capture['texts'], name: TextName): Fact<string> {
  return texts.get(name) ?? unknown('it was not looked at');
}

function parseFact<T>(
  fact: Fact<string>,
  name: TextName,
  parse: (text: string) => T | undefined,
): Fact<T> {
  if (!fact.known) return fact;
  try {
    const value = parse(fact.value);
    if (value !== undefined) return known(value);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return unknown(`what ${name} says cannot be understood`);
}

const SAVES = [
  ['iptables-save', 'IPv4'],
  ['ip6tables-save', 'IPv6'],
  ['iptables-legacy-save', 'IPv4'],
  ['ip6tables-legacy-save', 'IPv6'],
] as const;

/** Known as soon as one listing is: on many nodes only one variant is installed. */
function iptables(texts: Capture['texts']): Fact<readonly RuleTable[]> {
  const facts = SAVES.map(([name, family]) =>
    mapFact(textOf(texts, name), (text) => parseIptablesSave(text, family)),
  );
  const tables = facts.flatMap((fact) => (fact.known ? [fact.value] : []));
  return tables.length > 0
    ? known(tables.flat())
    : mapFact(textOf(texts, 'iptables-save'), () => []);
}

function readCount(text: string): number | undefined {
  const count = Number(text.trim());
  return Number.isInteger(count) && count > 0 ? count : undefined;
}

const STATES: readonly ModuleState[] = ['loaded', 'available', 'absent'];

function parseModules(text: string): ReadonlyMap<string, ModuleState> {
  const modules = new Map<string, ModuleState>();
  for (const line of text.split('\n')) {
    const [name = '', word] = line.trim().split(/\s+/);
    const state = STATES.find((candidate) => candidate === word);
    if (state !== undefined) modules.set(name, state);
  }
  return modules;
}

/** `Name: X` of `ipset list`, `create X …` of `ipset save`. */
function parseSetNames(text: string): readonly string[] {
  return [...text.matchAll(/^(?:Name:|create) (\S+)/gm)].map(([, name = '']) => name);
}

/** The file that the running proxy reads, else its command line, else what the cluster gives it. */
function proxySettings(
  { proxyDocuments }: Capture,
  processes: readonly NodeProcess[] | undefined,
  configMap: string | undefined,
): Fact<ProxySettings> {
  if (proxyDocuments.known)
    return known(settingsOfDocuments(proxyDocuments.value, 'its configuration file'));
  const proxy = processes?.find(({ name }) => name === 'kube-proxy' || name === 'switchyard');
  if (proxy?.flags.some((flag) => flag.startsWith('--config=')) === false)
    return known(settingsOfFlags(proxy.flags));
  if (configMap === undefined) return proxyDocuments;
  const read = readDocuments(configMap);
  if (!read.ok) return unknown(`ConfigMap kube-proxy: ${read.reason}`);
  const documents = read.documents.map(({ value }) => value).filter(isProxyDocument);
  return known(settingsOfDocuments(documents, 'ConfigMap kube-proxy'));
}
