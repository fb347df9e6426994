/** Which programs that matter to Services run. */
import { basename } from 'node:path';
import { normaliseFlags } from '../../../agent/config/normalise-flags.ts';
import { FLAGS } from '../../../agent/config/options.ts';

/** A program that serves Services, announces their addresses, or uses IPVS. */
export type ProgramName =
  | 'antrea-agent'
  | 'cilium-agent'
  | 'keepalived'
  | 'kube-proxy'
  | 'kube-router'
  | 'kube-vip'
  | 'ldirectord'
  | 'metallb-speaker'
  | 'switchyard';

/** A running program. */
export interface NodeProcess {
  readonly pid: number;
  readonly name: ProgramName;
  /** Flags that matter, as `--name=value`. */
  readonly flags: readonly string[];
}

/** By the first word of the command line, without its folder. `speaker` is what MetalLB calls its own. */
const PROGRAMS: Readonly<Record<string, ProgramName>> = {
  'antrea-agent': 'antrea-agent',
  'cilium-agent': 'cilium-agent',
  keepalived: 'keepalived',
  'kube-proxy': 'kube-proxy',
  'kube-router': 'kube-router',
  'kube-vip': 'kube-vip',
  ldirectord: 'ldirectord',
  'metallb-speaker': 'metallb-speaker',
  speaker: 'metallb-speaker',
  switchyard: 'switchyard',
};

/** Names of the program's file under Node.js; as `kube-proxy` it takes the place of that. */
const SWITCHYARD = /^(?:switchyard(?:\.js)?|kube-proxy|main\.ts)$/;

/** What a command line is; `undefined` for programs that do not matter. */
export function identify(pid: number, words: readonly string[]): NodeProcess | undefined {
  const program = basename(words[0] ?? '');
  if (/^node(?:js)?$/.test(program)) {
    // Behind options of Node.js itself.
    const at = words.findIndex((word, index) => index > 0 && !word.startsWith('-'));
    const script = basename(words[at] ?? '');
    const isProxy = script === 'kube-proxy' || words[at + 1] === 'proxy';
    if (!SWITCHYARD.test(script) || !isProxy) return undefined;
    return { pid, name: 'switchyard', flags: proxyFlags(words.slice(at + 1)) };
  }
  const name = PROGRAMS[program];
  if (name === undefined || !Object.hasOwn(PROGRAMS, program)) return undefined;
  return { pid, name, flags: flagsOf(name, words.slice(1)) };
}

function flagsOf(name: ProgramName, args: readonly string[]): readonly string[] {
  if (name === 'kube-proxy' || name === 'switchyard') return proxyFlags(args);
  if (name !== 'kube-router') return [];
  return args.filter((arg) => /^--run-service-proxy(?:=(?:true|false))?$/.test(arg));
}

/** Where the API server is, and how to be let in, is nobody's business. */
const PRIVATE: ReadonlySet<string> = new Set(['kubeconfig', 'master']);

/** Flags that a proxy has; nothing else of the command line is kept. */
function proxyFlags(args: readonly string[]): readonly string[] {
  return normaliseFlags(args).filter((arg) => {
    const name = /^--([^=]+)=\S*$/.exec(arg)?.[1];
    return name !== undefined && FLAGS.has(name) && !PRIVATE.has(name);
  });
}

/** A line for a capture; {@link parseProcesses} reads it. */
export function processLine({ pid, name, flags }: NodeProcess): string {
  return [pid, name, ...flags].join(' ');
}

/** Reads lines of `PID COMMAND ARGUMENTS`, as `ps -eo pid,args` prints them, too. */
export function parseProcesses(text: string): readonly NodeProcess[] {
  return text.split('\n').flatMap((line) => {
    const [pid = '', ...words] = line.trim().split(/\s+/);
    const found = /^\d+$/.test(pid) ? identify(Number(pid), words) : undefined;
    return found === undefined ? [] : [found];
  });
}
