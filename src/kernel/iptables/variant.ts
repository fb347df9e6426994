/**
 * Which iptables: `nft` (its rules live in nf_tables) or `legacy` (in x_tables). A packet meets the rules of both,
 * but each tool sees only its own: everybody on a node has to use the same one. We choose as Kubernetes' images do
 * (kubernetes-sigs/iptables-wrappers).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Family } from '../../core/ip.ts';
import { KernelError } from '../errors.ts';
import { PRIVILEGES, isDenied } from './restore-error.ts';
import { INSTALL, missingProgram } from './restore-process.ts';

/** Where the rules live. */
export type Variant = 'nft' | 'legacy';

/** The tools of one variant, and why it is this one. */
export interface IptablesTools {
  readonly variant: Variant;
  /** What they say of themselves: `v1.8.9 (nf_tables)`. */
  readonly version: string;
  /** A sentence for the log. */
  readonly reason: string;
  /** Names of the programs; `-save` and `-restore` are appended. */
  readonly programs: { readonly [F in Family]: string };
}

/** What there is to choose from. */
export interface VariantFacts {
  /** The one that the command `iptables` is. */
  readonly byDefault: Variant;
  /** The kernel takes rules of the nft variant. */
  readonly nftWorks: boolean;
  /** Whose tables have a chain that the kubelet makes to show which variant it uses (KEP-3178). */
  readonly kubelet: Variant | undefined;
  /** Rules of both families. */
  readonly rules: { readonly [V in Variant]: number };
}

interface Installed {
  readonly programs: IptablesTools['programs'];
  readonly version: string;
}

const FAMILIES = ['IPv4', 'IPv6'] as const satisfies readonly Family[];
const KUBELET_CHAINS = /^:KUBE-(?:IPTABLES-HINT|KUBELET-CANARY) /m;
const LONGEST_MS = 60_000;
const LONGEST_OUTPUT = 512 << 20;

/** Since then iptables-restore flushes what it prints at each comment: before, it never answers us. */
const OLDEST = [1, 8, 5] as const;

/**
 * Finds the tools. Blocks while it runs a few short programs.
 * @param wanted The one to use whatever is in force; without it, the one that others use here.
 * @throws KernelError UNSUPPORTED: there is no iptables, none of that variant, or one before 1.8.5.
 */
export function findTools(wanted?: Variant): IptablesTools {
  const named = {
    nft: installed('iptables-nft', 'ip6tables-nft'),
    legacy: installed('iptables-legacy', 'ip6tables-legacy'),
  };
  const plain = installed('iptables', 'ip6tables');
  const byDefault = plain && variantOf(plain.version);
  const nft = named.nft ?? (byDefault === 'nft' ? plain : undefined);
  const legacy = named.legacy ?? (byDefault === 'legacy' ? plain : undefined);
  const use = (variant: Variant, reason: string): IptablesTools => {
    const found = variant === 'nft' ? nft : legacy;
    if (found === undefined) throw missingProgram(`iptables-${variant}`);
    checkVersion(found.version);
    if (variant === 'nft') checkNft(found);
    else checkRights();
    return { variant, reason, ...found };
  };
  if (wanted !== undefined) return use(wanted, 'the configuration asks for it');
  if (nft === undefined) return use('legacy', 'no other variant is installed');
  if (legacy === undefined) return use('nft', 'no other variant is installed');
  const { variant, reason } = chooseVariant(readFacts(byDefault ?? 'nft', nft, legacy));
  return use(variant, reason);
}

/** Chooses where both are installed: the kubelet's, then the one with more rules, then the default of the machine. */
export function chooseVariant({ byDefault, nftWorks, kubelet, rules }: VariantFacts): {
  readonly variant: Variant;
  readonly reason: string;
} {
  const both =
    rules.nft > 0 && rules.legacy > 0
      ? `; rules of both variants are in force (nft: ${rules.nft}, legacy: ${rules.legacy}), and no tool shows all of them`
      : '';
  if (!nftWorks) return { variant: 'legacy', reason: 'the kernel takes no rules of iptables-nft' };
  if (kubelet !== undefined) return { variant: kubelet, reason: `the kubelet uses it${both}` };
  if (rules.legacy !== rules.nft) {
    const variant = rules.legacy > rules.nft ? 'legacy' : 'nft';
    return { variant, reason: `most rules are in its tables${both}` };
  }
  return { variant: byDefault, reason: `it is what the command iptables is here${both}` };
}

/**
 * Takes what the tools say of themselves, and refuses those that do not say how far they are.
 * @throws KernelError UNSUPPORTED: they are older than 1.8.5, or do not tell.
 */
export function checkVersion(version: string): void {
  const numbers = /^v(\d+)\.(\d+)(?:\.(\d+))?/.exec(version)?.slice(1) ?? [];
  const differing = OLDEST.findIndex((number, index) => Number(numbers[index] ?? 0) !== number);
  if (Number(numbers[differing] ?? 0) >= (OLDEST[differing] ?? 0)) return;
  throw new KernelError(
    `iptables ${version} is too old: while its iptables-restore runs, it does not say what it has done. ${INSTALL}`,
    { code: 'SY_KERNEL_UNSUPPORTED' },
  );
}

/** Tables of iptables-legacy that the kernel has loaded; to ask for another one loads it. */
export function legacyTables(family: Family): readonly string[] {
  const file = family === 'IPv4' ? '/proc/net/ip_tables_names' : '/proc/net/ip6_tables_names';
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((name) => name !== '');
  } catch {
    return [];
  }
}

function installed(IPv4: string, IPv6: string): Installed | undefined {
  const said = run(IPv4, ['--version']);
  if (said === undefined) return undefined;
  const version = /v\S+.*/.exec(said)?.[0].trim() ?? said.trim();
  return { programs: { IPv4, IPv6 }, version };
}

function variantOf(version: string): Variant {
  if (version.includes('(nf_tables)')) return 'nft';
  if (version.includes('(legacy)')) return 'legacy';
  throw new KernelError(
    `iptables ${version} does not say of which variant it is: it is older than 1.8. ${INSTALL}`,
    { code: 'SY_KERNEL_UNSUPPORTED' },
  );
}

/** The legacy variant is not tried: to ask it for a table makes the kernel load that. */
function checkNft({ programs }: Installed): void {
  const { status, stderr } = spawnTool(`${programs.IPv4}-save`, ['-t', 'mangle']);
  if (status === 0) return;
  throw new KernelError(
    `${programs.IPv4}-save does not work here: ${stderr.trim()}. ` +
      (isDenied(stderr) ? PRIVILEGES : 'Use a kernel with nf_tables, or iptables-legacy.'),
    { code: isDenied(stderr) ? 'SY_KERNEL_PERMISSION' : 'SY_KERNEL_UNSUPPORTED' },
  );
}

/** Stands in for trying the legacy variant. CAP_NET_ADMIN is bit 12 (linux/capability.h). */
function checkRights(): void {
  const [, rights = '0'] =
    /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  if (((BigInt(`0x${rights}`) >> 12n) & 1n) === 1n) return;
  throw new KernelError(`iptables-legacy does not work here: not permitted. ${PRIVILEGES}`, {
    code: 'SY_KERNEL_PERMISSION',
  });
}

function readFacts(byDefault: Variant, nft: Installed, legacy: Installed): VariantFacts {
  const nftMangle = FAMILIES.map((family) => save(nft, family, 'mangle'));
  const legacySaved = FAMILIES.map((family) =>
    legacyTables(family).length === 0 ? '' : save(legacy, family),
  );
  const nftWorks = nftMangle.some((text) => text !== undefined);
  const legacyRules = countRules(legacySaved);
  // To count the rules of the nft variant takes seconds where there are many: only where the answer counts.
  const isNftCounted = nftWorks && (legacyRules > 0 || byDefault === 'legacy');
  return {
    byDefault,
    nftWorks,
    kubelet: hasHint(nftMangle) ? 'nft' : hasHint(legacySaved) ? 'legacy' : undefined,
    rules: {
      nft: isNftCounted ? countRules(FAMILIES.map((family) => save(nft, family))) : 0,
      legacy: legacyRules,
    },
  };
}

function hasHint(saved: readonly (string | undefined)[]): boolean {
  return saved.some((text) => text !== undefined && KUBELET_CHAINS.test(text));
}

function countRules(saved: readonly (string | undefined)[]): number {
  return saved.reduce((sum, text) => sum + (text?.match(/^-A /gm)?.length ?? 0), 0);
}

function save(tools: Installed, family: Family, table?: string): string | undefined {
  return run(`${tools.programs[family]}-save`, table === undefined ? [] : ['-t', table]);
}

/** Standard output of a program; `undefined` where it is missing or fails. */
function run(program: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnTool(program, args);
  return status === 0 ? stdout : undefined;
}

function spawnTool(program: string, args: readonly string[]) {
  return spawnSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
    maxBuffer: LONGEST_OUTPUT,
  });
}
