/** What was looked at on a node, as texts: those of a live machine and those of a folder of files are the same. */
import type { Fields } from '../../core/decode/fields.ts';
import type { Fact } from './facts/facts.ts';

/** The texts, by the name of their file in a folder, and how to make each by hand. */
export const TEXTS = {
  kernel: 'uname -r',
  cpus: 'nproc',
  'nft-version': 'nft --version',
  modules: 'lines such as "ip_vs loaded" (or available, absent)',
  'iptables-save': 'iptables-save, or iptables-nft-save',
  'ip6tables-save': 'ip6tables-save, or ip6tables-nft-save',
  'iptables-legacy-save': 'iptables-legacy-save',
  'ip6tables-legacy-save': 'ip6tables-legacy-save',
  'nft-list': 'nft list chains, or nft list ruleset',
  'ipset-list': 'ipset list -t, or ipset list',
  ipvs: 'cat /proc/net/ip_vs, or ipvsadm -Sn',
  sysctl: 'sysctl -a',
  'sysctl-files': 'grep -rH . /etc/sysctl.conf /etc/sysctl.d',
  modprobe: 'grep -H modprobe /etc/rc.local /etc/sysconfig/modules/*',
  'conntrack-counters': 'cat /proc/net/stat/nf_conntrack',
  addresses: 'ip -details -json address',
  route: 'cat /proc/net/route',
  processes: 'ps -eo pid,args',
  listeners: 'ss -Hltnup',
  'proxy-mode': 'curl -s 127.0.0.1:10249/proxyMode',
  'proxy-metrics': 'curl -s 127.0.0.1:10249/metrics',
} as const;

/** Name of a text. */
export type TextName = keyof typeof TEXTS;

/** All names. */
export const TEXT_NAMES: readonly TextName[] = Object.keys(TEXTS).filter(isTextName);

/** True for a name of a text. */
export function isTextName(name: string): name is TextName {
  return Object.hasOwn(TEXTS, name);
}

/** Everything that was looked at. Nothing in it is secret. */
export interface Capture {
  readonly texts: ReadonlyMap<TextName, Fact<string>>;
  /** Network plugins' files, by name; only what rules ask about. */
  readonly cni: Fact<ReadonlyMap<string, Fields>>;
  /** Documents of the proxy's configuration file. */
  readonly proxyDocuments: Fact<readonly Fields[]>;
  /** Kubernetes objects; only kinds and fields that rules ask about. */
  readonly objects: Fact<readonly Fields[]>;
}
