/** Looks at a live machine: the programs run side by side, everything else is read meanwhile. */
import { type Fields, isFields } from '../../core/decode/fields.ts';
import { readDocuments } from '../../agent/config/read-documents.ts';
import { type Capture, TEXT_NAMES, type TextName } from './capture.ts';
import { isCniFile, redactCni } from './facts/cni.ts';
import { type Fact, known, mapFact, unknown } from './facts/facts.ts';
import { type NodeProcess, identify, processLine } from './facts/processes.ts';
import { isProxyDocument, isUsedMetric, redactProxyDocument, splitFlag } from './facts/proxy.ts';
import type { Machine } from './machine.ts';
import { bootLines, kernelModules, kernelSettings } from './read-kernel.ts';

const METRICS_PORT = 10_249;
const CNI_FOLDER = '/etc/cni/net.d';
/** PROC_PID_INIT_INO of include/linux/proc_ns.h: the PID namespace of the machine itself. */
const INITIAL_PID_NAMESPACE = 'pid:[4026531836]';

/**
 * Takes a capture of a machine. Best as root and in the network namespace of the node: what cannot be seen is
 * unknown.
 *
 * @param objects Kubernetes objects, as {@link redactObject} leaves them.
 */
export async function captureMachine(
  machine: Machine,
  objects: Fact<readonly Fields[]>,
): Promise<Capture> {
  const { run, get } = machine;
  // Started before files are read.
  const outputs = Promise.all([
    run('nft', ['--version']),
    saveOf(machine, 'iptables'),
    saveOf(machine, 'ip6tables'),
    legacySaveOf(machine, 'iptables', '/proc/net/ip_tables_names'),
    legacySaveOf(machine, 'ip6tables', '/proc/net/ip6_tables_names'),
    run('nft', ['list', 'chains']),
    ipsets(machine),
    run('ip', ['-details', '-json', 'address']),
    run('ss', ['-Hltnup']),
    get(METRICS_PORT, '/proxyMode'),
    get(METRICS_PORT, '/metrics'),
  ]);
  const processes = nodeProcesses(machine);
  const texts = {
    kernel: known(machine.release),
    cpus: known(String(machine.cpus)),
    modules: known(kernelModules(machine)),
    ipvs: kernelText(machine, '/proc/net/ip_vs'),
    sysctl: known(kernelSettings(machine)),
    'sysctl-files': known(
      bootLines(machine, ['/etc/sysctl.conf'], SYSCTL_FOLDERS, /^\s*-?net[./][^=]*=/),
    ),
    modprobe: known(bootLines(machine, SCRIPTS, SCRIPT_FOLDERS, /^\s*(?:\/sbin\/)?modprobe\s/)),
    'conntrack-counters': textOf(machine, '/proc/net/stat/nf_conntrack'),
    route: textOf(machine, '/proc/net/route'),
    processes: mapFact(processes, (list) => list.map(processLine).join('\n')),
  };
  const cni = cniFiles(machine);
  const proxyDocuments = configurationFile(machine, processes);
  const [nft, save, save6, legacy, legacy6, chains, sets, addresses, sockets, mode, metrics] =
    await outputs;
  return {
    texts: asMap({
      ...texts,
      'nft-version': nft,
      'iptables-save': save,
      'ip6tables-save': save6,
      'iptables-legacy-save': legacy,
      'ip6tables-legacy-save': legacy6,
      'nft-list': chains,
      'ipset-list': sets,
      addresses,
      listeners: sockets,
      'proxy-mode': mode,
      'proxy-metrics': mapFact(metrics, (text) => text.split('\n').filter(isUsedMetric).join('\n')),
    }),
    cni,
    proxyDocuments,
    objects,
  };
}

/** The record says that none is forgotten. */
function asMap(texts: Readonly<Record<TextName, Fact<string>>>): Capture['texts'] {
  return new Map(TEXT_NAMES.map((name) => [name, texts[name]]));
}

const SYSCTL_FOLDERS = ['/usr/lib/sysctl.d', '/run/sysctl.d', '/etc/sysctl.d'] as const;
const SCRIPTS = ['/etc/rc.local', '/etc/rc.d/rc.local'] as const;
const SCRIPT_FOLDERS = ['/etc/sysconfig/modules'] as const;

function textOf(machine: Machine, path: string): Fact<string> {
  return mapFact(machine.readFile(path), String);
}

/** Of the nft variant where its programs have names of their own; otherwise of the one there is. */
async function saveOf({ run }: Machine, tool: string): Promise<Fact<string>> {
  const named = await run(`${tool}-nft-save`, []);
  return named.known ? named : run(`${tool}-save`, []);
}

/** Only where the kernel says that it has tables of this variant. */
async function legacySaveOf(
  machine: Machine,
  tool: string,
  tableNames: string,
): Promise<Fact<string>> {
  const names = kernelText(machine, tableNames);
  if (!names.known || names.value.trim() === '') return names;
  return machine.run(`${tool}-legacy-save`, []);
}

/** Asking would load the module. */
async function ipsets({ run, list }: Machine): Promise<Fact<string>> {
  return list('/sys/module/ip_set').length === 0 ? known('') : run('ipset', ['list', '-terse']);
}

/** A file that the kernel has only with the module: asking in another way would load that. */
function kernelText(machine: Machine, path: string): Fact<string> {
  const text = textOf(machine, path);
  return text.known || text.why.includes('EACCES') ? text : known('');
}

/** Those of this network namespace: a pod may have a proxy of its own. */
function nodeProcesses(machine: Machine): Fact<readonly NodeProcess[]> {
  const isWhole =
    machine.readLink('/proc/self/ns/pid') === INITIAL_PID_NAMESPACE ||
    /^(?:systemd|init)$/m.test(valueText(machine.readFile('/proc/1/comm')));
  if (!isWhole) {
    return unknown(
      'only the processes of a container can be seen: run it on the host, or with hostPID',
    );
  }
  if (!machine.isRoot) return unknown('processes of others cannot be looked at: run it as root');
  const own = machine.readLink('/proc/self/ns/net');
  return known(
    machine
      .list('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const words = valueText(machine.readFile(`/proc/${name}/cmdline`)).split('\0');
        const found = identify(Number(name), words);
        if (found === undefined) return [];
        return machine.readLink(`/proc/${name}/ns/net`) === own ? [found] : [];
      }),
  );
}

function valueText(fact: Fact<Buffer>): string {
  return fact.known ? fact.value.toString().trim() : '';
}

function cniFiles(machine: Machine): Capture['cni'] {
  const files = new Map<string, Fields>();
  for (const name of machine.list(CNI_FOLDER).filter(isCniFile)) {
    const content = readCniFile(valueText(machine.readFile(`${CNI_FOLDER}/${name}`)));
    if (content !== undefined) files.set(name, content);
  }
  return known(files);
}

/** What is kept of a network plugin's file; `undefined` for what is no JSON object. */
export function readCniFile(text: string): Fields | undefined {
  try {
    const content: unknown = JSON.parse(text);
    return isFields(content) ? redactCni(content) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Through the root folder of the process, because the path is one of its container. */
function configurationFile(
  machine: Machine,
  processes: Fact<readonly NodeProcess[]>,
): Capture['proxyDocuments'] {
  if (!processes.known) return processes;
  const proxy = processes.value.find(({ name }) => name === 'kube-proxy' || name === 'switchyard');
  if (proxy === undefined) return unknown('no kube-proxy runs here');
  const path = proxy.flags.map(splitFlag).find(([name]) => name === 'config')?.[1];
  if (path === undefined) return unknown('the proxy runs without a configuration file');
  const text = textOf(machine, `/proc/${proxy.pid}/root${path}`);
  if (!text.known) return text;
  const read = readDocuments(text.value);
  if (!read.ok) return unknown(`${path}: ${read.reason}`);
  const documents = read.documents.map(({ value }) => value).filter(isProxyDocument);
  return known(documents.map(redactProxyDocument));
}
