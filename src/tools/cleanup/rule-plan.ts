/** What of the rules of iptables is kube-proxy's, and the batches that take only that away. */
import type { TableBatch } from '../../kernel/iptables/iptables.ts';
import {
  KUBELET_CHAINS,
  MARKING,
  OLD_KUBELET_CHAIN,
  type RuleMode,
  isJump,
  modesOfChain,
} from './kube-proxy-names.ts';
import { type Kept, type Leftover, count } from './leftovers.ts';

/** Rules of a table by chain, each without `-A CHAIN`, as iptables spells them. */
export type Chains = ReadonlyMap<string, readonly string[]>;

/** Tables by name. */
export type Tables = ReadonlyMap<string, Chains>;

/** What is to be done about the rules of one variant and family. */
export interface RulePlan {
  readonly objects: readonly Leftover[];
  readonly kept: readonly Kept[];
  /** One for each table with anything to do. */
  readonly batches: readonly TableBatch[];
  /** Rules of others that match on a set of kube-proxy's, by the name of the set. */
  readonly setUsers: ReadonlyMap<string, string>;
}

/** A table and what is to be done with its chains. */
interface TablePlan {
  readonly table: string;
  readonly chains: Chains;
  /** How messages name it: `iptables-nft nat`. */
  readonly place: string;
  /** Chains to delete, and the mode each is counted to. */
  readonly deleted: Map<string, RuleMode>;
  /** Those among them that rules of others lead to, with one of these rules: they stay, but empty. */
  readonly emptied: Map<string, string>;
}

/**
 * Plans the removal.
 *
 * A chain that rules of others lead to stays, without its rules: the others' rules could not be loaded without it. The
 * chains that mark for masquerading stay as they are in that case. Chains that both modes make go when nothing of
 * the other mode is left, or both are to go.
 *
 * @param place How messages name the tool: `iptables-nft`.
 */
export function planRules(saved: Tables, modes: ReadonlySet<RuleMode>, place: string): RulePlan {
  const evident = evidentModes(saved);
  const goesShared = [...evident].every((mode) => modes.has(mode));
  const shared = evident.has('ipvs') && !evident.has('iptables') ? 'ipvs' : 'iptables';
  const objects: Leftover[] = [];
  const kept: Kept[] = [];
  const setUsers = new Map<string, string>();
  const batches: TableBatch[] = [];
  for (const [table, chains] of saved) {
    const plan: TablePlan = {
      table,
      chains,
      place: `${place} ${table}`,
      deleted: new Map(),
      emptied: new Map(),
    };
    for (const chain of chains.keys()) {
      const [mode, second] = modesOfChain(table, chain);
      if (mode === undefined) continue;
      if (second !== undefined && goesShared) plan.deleted.set(chain, shared);
      else if (second === undefined && modes.has(mode)) plan.deleted.set(chain, mode);
    }
    findUsers(plan, setUsers);
    keepMarking(plan, kept);
    keepKubelets(plan, kept);
    const lines = [
      ...emptyChains(plan, objects, kept),
      ...deleteRules(plan, modes, objects),
      ...deleteChains(plan),
    ];
    if (lines.length > 0) batches.push({ table, lines });
  }
  return { objects, kept, batches, setUsers };
}

/** The modes that left a chain which only they make. */
function evidentModes(saved: Tables): ReadonlySet<RuleMode> {
  const evident = new Set<RuleMode>();
  for (const [table, chains] of saved) {
    for (const chain of chains.keys()) {
      const [mode, second] = modesOfChain(table, chain);
      if (mode !== undefined && second === undefined) evident.add(mode);
    }
  }
  return evident;
}

/** Finds rules of others that lead to chains to delete, and those that match on sets. */
function findUsers(
  { table, chains, deleted, emptied }: TablePlan,
  setUsers: Map<string, string>,
): void {
  for (const [chain, rules] of chains) {
    if (modesOfChain(table, chain).length > 0) continue;
    for (const rule of rules) {
      const text = `-A ${chain} ${rule}`;
      for (const set of setsOf(rule)) setUsers.set(set, text);
      const target = targetOf(rule);
      if (target === undefined || !deleted.has(target) || isJump(chain, rule)) continue;
      emptied.set(target, text);
    }
  }
}

/** Keeps the chains that mark and masquerade, where others need them. */
function keepMarking({ table, chains, place, deleted, emptied }: TablePlan, kept: Kept[]): void {
  const { mark, masquerade } = MARKING;
  const user = emptied.get(mark) ?? emptied.get(masquerade);
  const isOldKubelet = chains.has(OLD_KUBELET_CHAIN);
  if (table !== 'nat' || (user === undefined && !isOldKubelet)) return;
  for (const name of [mark, masquerade]) {
    if (!deleted.delete(name)) continue;
    emptied.delete(name);
    const reason =
      user === undefined
        ? `A kubelet before 1.28 has it too (chain ${OLD_KUBELET_CHAIN} is there).`
        : `A rule of others needs it: ${user}`;
    kept.push({ kind: 'chain', place, name, reason });
  }
}

/** Says of the chains that are the kubelet's that they stay. */
function keepKubelets({ chains, place }: TablePlan, kept: Kept[]): void {
  for (const name of chains.keys()) {
    const reason = KUBELET_CHAINS[name];
    if (reason !== undefined) kept.push({ kind: 'chain', place, name, reason });
  }
}

/** Lines that empty every chain to delete; no chain then leads to another one. */
function emptyChains(
  { chains, place, deleted, emptied }: TablePlan,
  objects: Leftover[],
  kept: Kept[],
): readonly string[] {
  for (const [name, mode] of deleted) {
    const contents = count(chains.get(name)?.length ?? 0, 'rule');
    const user = emptied.get(name);
    if (user === undefined) {
      objects.push({ mode, kind: 'chain', place, name, contents });
      continue;
    }
    kept.push({ kind: 'chain', place, name, reason: `A rule of others leads to it: ${user}` });
    for (const rule of chains.get(name) ?? []) {
      objects.push({ mode, kind: 'rule', place, name: `-A ${name} ${rule}`, contents: '' });
    }
  }
  return [...deleted.keys()].map((name) => `:${name} - [0:0]`);
}

/** Lines that delete, from chains that stay, what leads to others, and what matches on sets that go. */
function deleteRules(
  { table, chains, place, deleted }: TablePlan,
  modes: ReadonlySet<RuleMode>,
  objects: Leftover[],
): readonly string[] {
  const lines: string[] = [];
  for (const [chain, rules] of chains) {
    if (deleted.has(chain)) continue;
    const isOwn = modesOfChain(table, chain).length > 0;
    const kind = isOwn ? 'rule' : 'jump';
    for (const rule of rules) {
      const mode = deleted.get(targetOf(rule) ?? '');
      const isLeading = mode !== undefined && (isOwn || isJump(chain, rule));
      const isMatching = isOwn && modes.has('ipvs') && setsOf(rule).length > 0;
      if (!isLeading && !isMatching) continue;
      lines.push(`-D ${chain} ${rule}`);
      const name = `-A ${chain} ${rule}`;
      objects.push({ mode: mode ?? 'ipvs', kind, place, name, contents: '' });
    }
  }
  return lines;
}

function deleteChains({ deleted, emptied }: TablePlan): readonly string[] {
  return [...deleted.keys()].filter((name) => !emptied.has(name)).map((name) => `-X ${name}`);
}

/** The chain or target that a rule (without `-A CHAIN`) leads to. */
export function targetOf(rule: string): string | undefined {
  return / -[jg] (\S+)/.exec(` ${unquoted(rule)}`)?.[1];
}

/** Sets with kube-proxy's prefix that a rule matches on. */
function setsOf(rule: string): readonly string[] {
  return [...unquoted(rule).matchAll(/ --match-set (KUBE-\S+)/g)].flatMap(([, name]) => name ?? []);
}

/** A rule without what is quoted: a comment can hold anything. */
function unquoted(rule: string): string {
  return rule.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
}
