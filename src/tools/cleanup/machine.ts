/** What is read and changed. */
import type { PlaneMode } from '../../agent/config/option.ts';
import type { PlaneOffer } from '../../agent/mode.ts';
import type { Family } from '../../core/ip.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { isKernelError } from '../../kernel/errors.ts';
import { type Iptables, NFT_TABLES, openIptables } from '../../kernel/iptables/iptables.ts';
import { legacyTables } from '../../kernel/iptables/variant.ts';
import { NftSocket } from '../../kernel/nftables/socket.ts';
import type { Chains, Tables } from './rule-plan.ts';

/** A machine with the rules, sets and servers of its network namespace. */
export interface CleanupMachine {
  readonly io: KernelIo;
  /** Each variant of iptables there are tools for: a kernel may hold rules of both. */
  readonly iptables: readonly RuleTool[];
  /** Our own data planes. */
  readonly planes: readonly PlaneOffer[];
}

/** One variant of iptables. */
export type RuleTool = Pick<Iptables, 'tools' | 'tables' | 'list' | 'restore'>;

/** Both families. */
export const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

const VARIANTS = ['nft', 'legacy'] as const;

/** `iptables-nft`, `ip6tables-legacy`. */
export function toolName(family: Family, { tools }: RuleTool): string {
  return `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${tools.variant}`;
}

/** Every table that there is, by its name. */
export async function readTables(family: Family, tool: RuleTool): Promise<Tables> {
  const tables = new Map<string, Chains>();
  for (const table of tool.tables(family)) {
    tables.set(table, parseChains(await tool.list(family, table)));
  }
  return tables;
}

/** Rules by chain, from the lines of `iptables -S`. */
export function parseChains(lines: readonly string[]): Chains {
  const chains = new Map<string, string[]>();
  for (const line of lines) {
    const [, verb, chain, rule] = /^-([PNA]) (\S+) ?(.*)$/.exec(line) ?? [];
    if (chain === undefined) continue;
    if (verb === 'A') chains.get(chain)?.push((rule ?? '').trimEnd());
    else chains.set(chain, []);
  }
  return chains;
}

/**
 * Sentences about rules of iptables that cannot be looked at though they should be: there is no iptables at all, or the
 * kernel has tables of a variant whose tools are missing.
 */
export function unseenRules(
  { io, iptables }: Pick<CleanupMachine, 'io' | 'iptables'>,
  modes: readonly PlaneMode[],
): readonly string[] {
  if (modes.every((mode) => mode === 'nftables')) return [];
  if (iptables.length === 0) {
    return [
      'Rules of iptables: the program is not there. Install iptables, or put it on the PATH.',
    ];
  }
  return VARIANTS.filter((variant) => iptables.every(({ tools }) => tools.variant !== variant))
    .filter((variant) => (variant === 'nft' ? hasNftChains(io) : hasLegacyTables()))
    .map(
      (variant) =>
        `Rules of iptables-${variant}: the kernel has tables of it, and the program is not there. ` +
        `Install iptables-${variant}, or put it on the PATH.`,
    );
}

/** Opens each variant of iptables that is installed and that this kernel takes rules of. To be closed after use. */
export function openRuleTools(io: KernelIo): readonly Iptables[] {
  return VARIANTS.flatMap((variant) =>
    variant === 'nft' && !hasNftables(io)
      ? []
      : (unlessUnsupported(() => openIptables({ variant })) ?? []),
  );
}

function hasLegacyTables(): boolean {
  return FAMILIES.some((family) => legacyTables(family).length > 0);
}

function hasNftChains(io: KernelIo): boolean {
  if (!hasNftables(io)) return false;
  const socket = NftSocket.open(io);
  try {
    return FAMILIES.some((family) =>
      NFT_TABLES.some((table) =>
        // Others make tables of these names too, with nft.
        socket.chains(family, table).some(({ name }) => /^(?:KUBE|SWY)-/.test(name)),
      ),
    );
  } finally {
    socket.close();
  }
}

function hasNftables(io: KernelIo): boolean {
  const socket = NftSocket.open(io);
  try {
    return unlessUnsupported(() => socket.generation()) !== undefined;
  } finally {
    socket.close();
  }
}

function unlessUnsupported<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) return undefined;
    throw error;
  }
}
