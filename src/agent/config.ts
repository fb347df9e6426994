/** The options of the proxy: what users write as flags, and what the agent works with. */
import * as z from 'zod/mini';
import { type Cidr, type Family, parseCidr } from '../core/ip.ts';
import type { Mode } from '../planes/plane.ts';
import { AgentError } from './errors.ts';

/** How traffic of the node's own pods is recognised (kube-proxy: detectLocalMode). */
export type DetectLocal =
  /** At most one CIDR of each family; none: nothing is recognised. */
  | { readonly mode: 'ClusterCIDR'; readonly cidrs: readonly Cidr[] }
  /** The pod CIDRs of the Node object. */
  | { readonly mode: 'NodeCIDR' }
  | { readonly mode: 'BridgeInterface'; readonly name: string }
  | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string };

/** Options that were checked. */
export interface AgentConfig {
  /** File or folder. */
  readonly manifests: string;
  /** Name of the Node object this machine is. */
  readonly nodeName: string;
  readonly mode: Mode;
  /** `undefined`: those the kernel has. */
  readonly families: readonly Family[] | undefined;
  readonly detectLocal: DetectLocal;
  readonly nodePortAddresses: 'primary' | readonly Cidr[];
  readonly masqueradeAll: boolean;
  /** Verbosity of the log, 0 to 10. */
  readonly verbosity: number;
  /** Least time between two batches, in milliseconds. */
  readonly coalesceMs: number;
  /** Longest time until a disturbance by others is looked into, in milliseconds. */
  readonly verifyMs: number;
}

/** Modes kube-proxy has, or Switchyard will have. */
const OTHER_MODES = new Set(['iptables', 'ipvs', 'ebpf', 'userspace']);
const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** IFNAMSIZ without the terminating zero (linux/if.h). */
const INTERFACE_NAME_LENGTH = 15;

/** A text that `read` turns into a value, or refuses with a reason. */
function text<T>(read: (text: string) => T | undefined, expected: string) {
  return z.pipe(
    z.string(),
    z.transform((input, context): T => {
      const value = read(input.trim());
      if (value !== undefined) return value;
      const message = `must be ${expected}, not ${JSON.stringify(input)}`;
      context.issues.push({ code: 'custom', message, input });
      return z.NEVER;
    }),
  );
}

const interfaceName = text(
  (name) => (name.length <= INTERFACE_NAME_LENGTH && /^[^\s/]+$/.test(name) ? name : undefined),
  `the name of a network interface (at most ${INTERFACE_NAME_LENGTH} characters)`,
);

const duration = text(readDuration, 'a duration such as 2ms, 30s or 5m');

const FLAGS = z.object({
  manifests: text((path) => (path === '' ? undefined : path), 'a file or a folder'),
  node: text(
    (name) => (/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name) ? name : undefined),
    'the name of a Node (lower-case letters, digits, "-" and ".")',
  ),
  mode: z.string(),
  ipFamilies: z.optional(
    text((names) => readList(names, readFamily), 'IPv4, IPv6 or both, separated by a comma'),
  ),
  clusterCidr: z.optional(
    text(readClusterCidrs, 'a CIDR such as 10.244.0.0/16, or one of each family with a comma'),
  ),
  detectLocalMode: z.optional(
    z.enum(['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix'], {
      error: 'must be ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix',
    }),
  ),
  podBridgeInterface: z.optional(interfaceName),
  podInterfaceNamePrefix: z.optional(interfaceName),
  nodeportAddresses: z.optional(
    text(
      (list) => (list === 'primary' ? list : readList(list, parseCidr)),
      'primary, or CIDRs separated by commas',
    ),
  ),
  masqueradeAll: z.optional(
    text(
      (word) => (word === 'true' ? true : word === 'false' ? false : undefined),
      'true or false',
    ),
  ),
  v: z.optional(
    text((digits) => (/^(?:\d|10)$/.test(digits) ? Number(digits) : undefined), 'from 0 to 10'),
  ),
  coalesceWindow: z.optional(duration),
  verifyInterval: z.optional(duration),
});

/**
 * Checks options as the command line has them: texts by the name of their flag in camel case.
 *
 * Throws an {@link AgentError}, `SY_CONFIG_INVALID` with all faults or `SY_MODE_NOT_BUILT`.
 */
export function parseConfig(flags: unknown): AgentConfig {
  const result = z.safeParse(FLAGS, flags);
  if (!result.success) {
    const faults = result.error.issues.map(
      ({ path, message }) => `${flagName(path[0])} ${message}`,
    );
    throw new AgentError('SY_CONFIG_INVALID', `${faults.join('; ')}.`);
  }
  const { data } = result;
  return {
    manifests: data.manifests,
    nodeName: data.node,
    mode: checkMode(data.mode),
    families: data.ipFamilies,
    detectLocal: readDetectLocal(data),
    nodePortAddresses: data.nodeportAddresses ?? 'primary',
    masqueradeAll: data.masqueradeAll ?? false,
    verbosity: data.v ?? 0,
    coalesceMs: data.coalesceWindow ?? 2,
    verifyMs: data.verifyInterval ?? 30_000,
  };
}

/** Refuses a mode that cannot be used. Throws an {@link AgentError}. */
export function checkMode(mode: string): Mode {
  if (mode === 'nftables') return mode;
  if (OTHER_MODES.has(mode))
    throw new AgentError(
      'SY_MODE_NOT_BUILT',
      `The mode ${mode} is not built yet: use --mode nftables.`,
    );
  throw new AgentError(
    'SY_CONFIG_INVALID',
    `--mode must be nftables, not ${JSON.stringify(mode)}.`,
  );
}

function readDetectLocal(flags: z.infer<typeof FLAGS>): DetectLocal {
  const { detectLocalMode: mode = 'ClusterCIDR' } = flags;
  if (mode === 'ClusterCIDR') return { mode, cidrs: flags.clusterCidr ?? [] };
  if (mode === 'NodeCIDR') return { mode };
  if (mode === 'BridgeInterface')
    return { mode, name: required(mode, flags.podBridgeInterface, '--pod-bridge-interface') };
  const flag = '--pod-interface-name-prefix';
  return { mode, prefix: required(mode, flags.podInterfaceNamePrefix, flag) };
}

function required(mode: string, value: string | undefined, flag: string): string {
  if (value !== undefined) return value;
  throw new AgentError('SY_CONFIG_INVALID', `--detect-local-mode ${mode} needs ${flag} too.`);
}

function readClusterCidrs(list: string): readonly Cidr[] | undefined {
  const cidrs = readList(list, parseCidr);
  const families = new Set(cidrs?.map(({ family }) => family));
  return cidrs?.length === families.size ? cidrs : undefined;
}

/** Reads a list with commas. `undefined` when it is empty or one of its items cannot be read. */
function readList<T>(
  list: string,
  read: (item: string) => T | undefined,
): readonly T[] | undefined {
  const values: T[] = [];
  for (const item of list.split(',')) {
    const value = read(item.trim());
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

function readFamily(name: string): Family | undefined {
  return FAMILIES.find((family) => family.toLowerCase() === name.toLowerCase());
}

/** Reads a duration in the spelling of Go: `300ms`, `1m30s`. */
function readDuration(spelling: string): number | undefined {
  if (spelling === '0') return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(spelling)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of spelling.matchAll(/([\d.]+)(ms|s|m|h)/g)) {
    sum += Number(amount) * (UNITS[unit ?? ''] ?? 0);
  }
  return sum;
}

/** `clusterCidr` is `--cluster-cidr`, `v` is `-v`. */
function flagName(key: PropertyKey | undefined): string {
  const name = String(key).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return name.length === 1 ? `-${name}` : `--${name}`;
}
