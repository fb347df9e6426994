/** What a proxy left in the kernel, as values: what goes, what stays and why. */
import type { PlaneMode } from '../../agent/config/option.ts';
import type { Address, Family } from '../../core/ip.ts';
import type { TableBatch } from '../../kernel/iptables/iptables.ts';
import type { Variant } from '../../kernel/iptables/variant.ts';
import type { VirtualAddress } from '../../kernel/ipvs/servers.ts';
import type { Tables } from './rule-plan.ts';

/** Whose leftovers. */
export type Owner = 'switchyard' | 'kube-proxy';

/** What kind of object; for people and for programs. */
type LeftoverKind =
  | 'jump'
  | 'chain'
  | 'rule'
  | 'virtual server'
  | 'address'
  | 'route'
  | 'link'
  | 'ipset'
  | 'table'
  | 'set';

/** One kernel object of the owner. */
export interface Leftover {
  /** The mode that made it. */
  readonly mode: PlaneMode;
  readonly kind: LeftoverKind;
  /** Where it is: `iptables-nft nat`, `ip6tables-legacy filter`, `nf_tables ip`, `ipset`, `IPVS`, `kube-ipvs0`. */
  readonly place: string;
  /** What it is called there; of a jump and of a rule its text, as iptables-save has it. */
  readonly name: string;
  /** How much is in it, such as `3 rules`; empty where there is nothing to say. */
  readonly contents: string;
}

/** An object that looks like one of the owner's, or is used together with those, and stays. */
export interface Kept {
  readonly kind: LeftoverKind;
  readonly place: string;
  readonly name: string;
  /** A sentence. */
  readonly reason: string;
}

/** What is to be taken from the tables of one variant of iptables. */
export interface RuleRemoval {
  readonly variant: Variant;
  readonly family: Family;
  /** One for each table. */
  readonly batches: readonly TableBatch[];
  /** All that was there, of others too. */
  readonly found: Tables;
}

/** What has to be done; in this order, for the sets are in use by the rules. */
export interface Removal {
  readonly rules: readonly RuleRemoval[];
  readonly servers: readonly VirtualAddress[];
  /** Of kube-proxy's on the link of ipvs mode. */
  readonly addresses: readonly Address[];
  readonly link: boolean;
  readonly sets: readonly string[];
  /** Families with the owner's table of nf_tables. */
  readonly tables: readonly Family[];
}

/** Everything an owner left. */
export interface Leftovers {
  readonly owner: Owner;
  /** The modes that were looked for. */
  readonly modes: readonly PlaneMode[];
  readonly objects: readonly Leftover[];
  readonly kept: readonly Kept[];
  /** What could not be looked at, and why: a sentence each. */
  readonly unseen: readonly string[];
  /** `undefined` for ourselves: the planes remove what they own. */
  readonly removal: Removal | undefined;
}

/** `1 rule`, `2 rules`. */
export function count(number: number, noun: string, nouns = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : nouns}`;
}
