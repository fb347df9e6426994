/** What is known of a cluster and of a node, and how it is given as text. */
import type { PlaneMode } from '../../agent/config/option.ts';
import type { PlaneName } from '../../agent/mode.ts';
import type { Measurement } from './measure/results.ts';

/** `major.minor`. */
export interface Version {
  readonly major: number;
  readonly minor: number;
}

/** What the planes found out about one mode on this kernel. */
interface ModeFact {
  readonly works: boolean;
  /** What is missing, a sentence each. */
  readonly reasons: readonly string[];
}

/** What can be given. `undefined`: not known. */
export interface GivenFacts {
  readonly proxy?: 'switchyard' | 'kube-proxy' | undefined;
  readonly kubernetes?: Version | undefined;
  readonly kernel?: Version | undefined;
  readonly nodes?: number | undefined;
  readonly services?: number | undefined;
  readonly endpoints?: number | undefined;
  readonly changesPerSecond?: number | undefined;
  readonly cniServesServices?: boolean | undefined;
  readonly schedulers?: boolean | undefined;
  readonly localhostNodePorts?: boolean | undefined;
  readonly affinityServices?: number | undefined;
}

/** Everything the tree looks at. */
export interface Facts extends GivenFacts {
  /** Modes that were tried on this kernel; empty when it is another machine that is asked about. */
  readonly modes: Readonly<Partial<Record<PlaneMode, ModeFact>>>;
  readonly measured: Measurement | undefined;
}

/** Name of a fact that can be given, in a file and, with dashes, as a flag. */
export type FactName = keyof GivenFacts;

/** How a fact is given. */
export interface FactField {
  readonly kind: 'proxy' | 'version' | 'count' | 'rate' | 'yesNo';
  readonly help: string;
}

/** All facts that can be given; help texts complete the sentence `It says …`. */
export const FACT_FIELDS: Readonly<Record<FactName, FactField>> = {
  proxy: { kind: 'proxy', help: 'which proxy is to serve: switchyard (default) or kube-proxy' },
  kubernetes: { kind: 'version', help: 'the version of the cluster and its kube-proxy, like 1.36' },
  kernel: { kind: 'version', help: 'the version of the nodes’ kernel, if not this one, like 6.12' },
  nodes: { kind: 'count', help: 'how many nodes there are' },
  services: { kind: 'count', help: 'how many Services there are' },
  endpoints: { kind: 'count', help: 'how many endpoints all Services have together' },
  changesPerSecond: { kind: 'rate', help: 'how many EndpointSlices change a second' },
  cniServesServices: { kind: 'yesNo', help: 'whether the CNI serves Services itself: yes or no' },
  schedulers: {
    kind: 'yesNo',
    help: 'whether Services need a scheduler that only IPVS has, such as lc or mh: yes or no',
  },
  localhostNodePorts: {
    kind: 'yesNo',
    help: 'whether node ports are used by 127.0.0.1: yes or no',
  },
  affinityServices: { kind: 'count', help: 'how many Services have session affinity' },
};

/** Names of {@link FACT_FIELDS}. */
export const FACT_NAMES: readonly FactName[] = [
  'proxy',
  'kubernetes',
  'kernel',
  'nodes',
  'services',
  'endpoints',
  'changesPerSecond',
  'cniServesServices',
  'schedulers',
  'localhostNodePorts',
  'affinityServices',
];

/** Name of the flag that says a fact, without its dashes. */
export function factFlag(name: FactName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Completes the sentence "It must be …". */
export const EXPECTED: Readonly<Record<FactField['kind'], string>> = {
  proxy: 'switchyard or kube-proxy',
  version: 'a version like 6.12',
  count: 'a whole number from 0 on',
  rate: 'a number from 0 on',
  yesNo: 'yes or no',
};

/** What was found out of planes by what they lack. A mode with two variants works if one of them does. */
export function factsOfModes(
  planes: readonly { readonly name: PlaneName; readonly reasons: readonly string[] }[],
): Facts['modes'] {
  const modes: { [Mode in PlaneMode]?: ModeFact } = {};
  for (const { name, reasons } of planes) {
    const mode = name === 'nftables' || name === 'ipvs' ? name : 'iptables';
    if (modes[mode]?.works !== true) modes[mode] = { works: reasons.length === 0, reasons };
  }
  return modes;
}

/** All of them; of two that say the same fact the last one counts. */
export function mergeFacts(all: Iterable<GivenFacts | undefined>): GivenFacts {
  const merged: GivenFacts = {};
  for (const facts of all) Object.assign(merged, facts);
  return merged;
}

/** The fact that a text says; `undefined` when it is no such fact. */
export function parseFact(name: FactName, text: string): GivenFacts | undefined {
  const value = PARSERS[FACT_FIELDS[name].kind](text);
  return value === undefined ? undefined : { [name]: value };
}

const YES_NO: ReadonlyMap<string, boolean> = new Map([
  ['yes', true],
  ['true', true],
  ['no', false],
  ['false', false],
]);

const PARSERS: Readonly<Record<FactField['kind'], (text: string) => unknown>> = {
  proxy: (text) => (text === 'switchyard' || text === 'kube-proxy' ? text : undefined),
  version: parseVersion,
  count: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined),
  rate: (text) => (/^\d{1,9}(?:\.\d{1,6})?$/.test(text) ? Number(text) : undefined),
  yesNo: (text) => YES_NO.get(text),
};

/** The first two numbers of a text such as `6.18.44-amd64` or `v1.36.2`; `undefined` for any other. */
export function parseVersion(text: string): Version | undefined {
  const [, major, minor] = /^v?(\d+)\.(\d+)(?:[.+-].*)?$/.exec(text) ?? [];
  if (major === undefined || minor === undefined) return undefined;
  return { major: Number(major), minor: Number(minor) };
}

/** True when a version is at least another one. */
export function isAtLeast(version: Version, { major, minor }: Version): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}

/** `major.minor`. */
export function formatVersion({ major, minor }: Version): string {
  return `${major}.${minor}`;
}
