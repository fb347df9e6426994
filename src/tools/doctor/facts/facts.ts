/** What the doctor knows of a node: plain values, so that rules are pure and a capture from elsewhere will do. */
import type { ServiceFacts, NodeFacts, EndpointSlices, ClusterSettings } from './cluster.ts';
import type { CniFile } from './cni.ts';
import type { Link } from './links.ts';
import type { Listener } from './listeners.ts';
import type { NftChain } from './nft.ts';
import type { NodeProcess } from './processes.ts';
import type { ProxyMetrics, ProxyMode, ProxySettings } from './proxy.ts';
import type { RuleTable } from './iptables.ts';
import type { FoundLine, SysctlLine } from './settings.ts';
import type { VirtualServer } from './servers.ts';
import type { Version } from './version.ts';

/** Something that was looked at, or why it could not be. */
export type Fact<T> =
  { readonly known: true; readonly value: T } | { readonly known: false; readonly why: string };

/** Everything that rules ask about. */
export interface Facts {
  readonly kernel: Fact<Version>;
  readonly cpus: Fact<number>;
  /** Version of the program `nft`. */
  readonly nft: Fact<Version>;
  /** Of the kernel modules that proxies need (see `MODULES`); one that nothing was found out about is left out. */
  readonly modules: Fact<ReadonlyMap<string, ModuleState>>;
  /** Rules of iptables and ip6tables, of both variants. */
  readonly iptables: Fact<readonly RuleTable[]>;
  /** Chains of nf_tables, those that iptables-nft made among them. */
  readonly nftables: Fact<readonly NftChain[]>;
  /** Names of sets. */
  readonly ipsets: Fact<readonly string[]>;
  readonly virtualServers: Fact<readonly VirtualServer[]>;
  /** Values by name, as sysctl(8) prints them. */
  readonly sysctls: Fact<ReadonlyMap<string, string>>;
  /** What files such as those in /etc/sysctl.d set. */
  readonly sysctlFiles: Fact<readonly SysctlLine[]>;
  /** Lines that call modprobe, from scripts that run at boot. */
  readonly modprobeLines: Fact<readonly FoundLine[]>;
  /** Sums over all CPUs by column of /proc/net/stat/nf_conntrack. */
  readonly conntrackCounters: Fact<ReadonlyMap<string, number>>;
  readonly links: Fact<readonly Link[]>;
  /** Interface of the IPv4 default route; `undefined`: there is none. */
  readonly uplink: Fact<string | undefined>;
  /** Those of this network namespace that matter to Services. */
  readonly processes: Fact<readonly NodeProcess[]>;
  readonly listeners: Fact<readonly Listener[]>;
  readonly cni: Fact<readonly CniFile[]>;
  /** How the proxy is configured. */
  readonly settings: Fact<ProxySettings>;
  /** What the proxy answers when asked for its mode. */
  readonly servedMode: Fact<ProxyMode>;
  readonly metrics: Fact<ProxyMetrics>;
  readonly services: Fact<readonly ServiceFacts[]>;
  readonly slices: Fact<EndpointSlices>;
  readonly nodes: Fact<readonly NodeFacts[]>;
  /** Settings that are in ConfigMaps of the cluster. */
  readonly cluster: Fact<ClusterSettings>;
}

/** Whether the kernel has a module. */
export type ModuleState = 'loaded' | 'available' | 'absent';

/** A fact that is known. */
export function known<T>(value: T): Fact<T> {
  return { known: true, value };
}

/** A fact that is not. @param why A clause for the report: `ipset is not installed`. */
export function unknown(why: string): Fact<never> {
  return { known: false, why };
}

/** The value; `undefined` when it is not known. */
export function valueOf<T>(fact: Fact<T>): T | undefined {
  return fact.known ? fact.value : undefined;
}

/** What follows from a fact that is known. */
export function mapFact<T, U>(fact: Fact<T>, change: (value: T) => U): Fact<U> {
  return fact.known ? known(change(fact.value)) : fact;
}
