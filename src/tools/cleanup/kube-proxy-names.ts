/**
 * Names of what kube-proxy has in the kernel: pkg/proxy/{iptables,ipvs,nftables} of Kubernetes 1.36, and the chains that
 * earlier releases made per Service. A name that is not here is somebody else's.
 */
import type { SetType } from '../../kernel/ipset/sets.ts';

/** The modes of kube-proxy that have rules of iptables. */
export type RuleMode = 'iptables' | 'ipvs';

/** Table of nf_tables, in the families ip and ip6. */
export const KUBE_PROXY_TABLE = 'kube-proxy';

const EITHER: readonly RuleMode[] = ['iptables', 'ipvs'];
const IPTABLES: readonly RuleMode[] = ['iptables'];
const IPVS: readonly RuleMode[] = ['ipvs'];

const CHAINS: Readonly<Record<string, Readonly<Record<string, readonly RuleMode[]>>>> = {
  nat: {
    'KUBE-SERVICES': EITHER,
    'KUBE-POSTROUTING': EITHER,
    'KUBE-MARK-MASQ': EITHER,
    'KUBE-NODEPORTS': IPTABLES,
    'KUBE-PROXY-CANARY': IPTABLES,
    'KUBE-NODE-PORT': IPVS,
    'KUBE-LOAD-BALANCER': IPVS,
  },
  filter: {
    'KUBE-FORWARD': EITHER,
    'KUBE-PROXY-FIREWALL': EITHER,
    'KUBE-SERVICES': IPTABLES,
    'KUBE-EXTERNAL-SERVICES': IPTABLES,
    'KUBE-NODEPORTS': IPTABLES,
    'KUBE-PROXY-CANARY': IPTABLES,
    'KUBE-NODE-PORT': IPVS,
    'KUBE-SOURCE-RANGES-FIREWALL': IPVS,
    'KUBE-IPVS-FILTER': IPVS,
    'KUBE-IPVS-OUT-FILTER': IPVS,
  },
  mangle: { 'KUBE-PROXY-CANARY': IPTABLES },
};

/** Of one Service or endpoint: 16 characters of base32. XLB is the SVL of releases before 1.25. */
const SERVICE_CHAIN = /^KUBE-(?:SVC|SVL|EXT|FW|SEP|XLB)-[A-Z2-7]{16}$/;

/** The modes that make a chain; none for a chain that is not kube-proxy's. */
export function modesOfChain(table: string, chain: string): readonly RuleMode[] {
  if (table === 'nat' && SERVICE_CHAIN.test(chain)) return IPTABLES;
  const chains = CHAINS[table];
  return (chains !== undefined && Object.hasOwn(chains, chain) ? chains[chain] : undefined) ?? [];
}

/** Comments of the rules that lead from the kernel's own chains to kube-proxy's, by where they lead. */
const JUMP_COMMENTS: Readonly<Record<string, readonly string[]>> = {
  'KUBE-SERVICES': ['kubernetes service portals'],
  'KUBE-EXTERNAL-SERVICES': ['kubernetes externally-visible service portals'],
  'KUBE-NODEPORTS': ['kubernetes health check service ports'],
  'KUBE-NODE-PORT': ['kubernetes health check rules'],
  'KUBE-FORWARD': ['kubernetes forwarding rules'],
  'KUBE-PROXY-FIREWALL': ['kubernetes load balancer firewall', 'kube-proxy firewall rules'],
  'KUBE-IPVS-FILTER': ['kubernetes ipvs access filter'],
  'KUBE-IPVS-OUT-FILTER': ['kubernetes ipvs access filter'],
  'KUBE-POSTROUTING': ['kubernetes postrouting rules'],
};

const BUILT_IN = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);
const JUMP = /^(?:-m conntrack --ctstate NEW )?-m comment --comment "([^"]*)" -j (\S+)$/;

/** True for a rule (without `-A CHAIN`) that kube-proxy puts into one of the kernel's own chains. */
export function isJump(from: string, rule: string): boolean {
  const [, comment, to] = JUMP.exec(rule) ?? [];
  if (comment === undefined || to === undefined || !BUILT_IN.has(from)) return false;
  return JUMP_COMMENTS[to]?.includes(comment) === true;
}

/**
 * Chains that others use too: they mark packets, and masquerade those that are marked. The CNI plugin `portmap` has an
 * option for it (`externalSetMarkChain`), and kubelets before 1.28 make the same chains (KEP-3178).
 */
export const MARKING = { mark: 'KUBE-MARK-MASQ', masquerade: 'KUBE-POSTROUTING' } as const;

/** A chain that such a kubelet makes, and kube-proxy never did since. */
export const OLD_KUBELET_CHAIN = 'KUBE-MARK-DROP';

/** Chains with kube-proxy's prefix that stay, and why. */
export const KUBELET_CHAINS: Readonly<Record<string, string>> = {
  'KUBE-FIREWALL': 'The kubelet has it too; `kube-proxy --cleanup` leaves it as well.',
  'KUBE-KUBELET-CANARY': 'It is the kubelet’s.',
  'KUBE-IPTABLES-HINT': 'It is the kubelet’s.',
  [OLD_KUBELET_CHAIN]: 'It is the kubelet’s.',
};

/** Types of the sets of ipvs mode, by their IPv4 name. */
export const KUBE_PROXY_SETS: Readonly<Record<string, SetType>> = {
  'KUBE-LOOP-BACK': 'hash:ip,port,ip',
  'KUBE-CLUSTER-IP': 'hash:ip,port',
  'KUBE-EXTERNAL-IP': 'hash:ip,port',
  'KUBE-EXTERNAL-IP-LOCAL': 'hash:ip,port',
  'KUBE-LOAD-BALANCER': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-LOCAL': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-FW': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-SOURCE-CIDR': 'hash:ip,port,net',
  'KUBE-LOAD-BALANCER-SOURCE-IP': 'hash:ip,port,ip',
  'KUBE-NODE-PORT-TCP': 'bitmap:port',
  'KUBE-NODE-PORT-LOCAL-TCP': 'bitmap:port',
  'KUBE-NODE-PORT-UDP': 'bitmap:port',
  'KUBE-NODE-PORT-LOCAL-UDP': 'bitmap:port',
  'KUBE-NODE-PORT-SCTP-HASH': 'hash:ip,port',
  'KUBE-NODE-PORT-LOCAL-SCTP-HASH': 'hash:ip,port',
  'KUBE-HEALTH-CHECK-NODE-PORT': 'bitmap:port',
  'KUBE-IPVS-IPS': 'hash:ip',
};

/** Longest name of a set (IPSET_MAXNAMELEN without its end). */
const LONGEST_SET_NAME = 31;

/** Name of a set for IPv6. */
export function ipv6SetName(name: string): string {
  return name.replace('KUBE-', 'KUBE-6-').slice(0, LONGEST_SET_NAME);
}
