/** What is always there: chains that do not depend on Routes, and the rules of other chains that lead to ours. */
import { formatCidr } from '../../core/ip.ts';
import {
  DROP,
  type RuleContext,
  clearMark,
  comment,
  hasMark,
  setMark,
  toMasquerade,
} from './matches.ts';
import { CHAINS, type Table } from './schema.ts';

/** Settings that are not about Services. */
export interface BaseOptions extends RuleContext {
  /** Serve node ports on 127.0.0.1. */
  readonly localhostNodePorts: boolean;
  /**
   * Drop what connection tracking calls invalid: sent on without translation, it would make its receiver reset the
   * connection. Not where the sysctl nf_conntrack_tcp_be_liberal lets such packets count as valid.
   */
  readonly dropInvalid: boolean;
}

/** A rule of a chain that is not ours. */
export interface Jump {
  readonly table: Table;
  readonly chain: string;
  readonly rule: string;
}

/** A chain and its rules. */
export interface ChainRules {
  readonly table: Table;
  readonly name: string;
  readonly rules: readonly string[];
}

const IS_NEW = '-m conntrack --ctstate NEW';
const MASQUERADE = '-j MASQUERADE --random-fully';

function to(table: Table, from: string, chain: string, text: string, match = ''): Jump {
  return { table, chain: from, rule: `${match}${comment(text)} -j ${chain}` };
}

/** Rules of chains that are not ours, in the order in which they are to stand in these. */
export function jumps({ family, localhostNodePorts }: BaseOptions): readonly Jump[] {
  const filtered = (from: string): Jump =>
    to('filter', from, CHAINS.filter, 'switchyard: what is not served', `${IS_NEW} `);
  const localnet = (from: string): Jump =>
    to('filter', from, CHAINS.localnet, 'switchyard: loopback addresses');
  return [
    to('nat', 'PREROUTING', CHAINS.services, 'switchyard: Services'),
    to('nat', 'OUTPUT', CHAINS.services, 'switchyard: Services'),
    to('nat', 'POSTROUTING', CHAINS.postrouting, 'switchyard: masquerading'),
    ...['INPUT', 'FORWARD', 'OUTPUT'].map(filtered),
    to('filter', 'FORWARD', CHAINS.forward, 'switchyard: forwarding'),
    ...(family === 'IPv4' && localhostNodePorts ? ['INPUT', 'OUTPUT'].map(localnet) : []),
  ];
}

/** Chains that lead to no other chain of ours. */
export function* lastChains(base: BaseOptions): Iterable<ChainRules> {
  const { family, localhostNodePorts, dropInvalid } = base;
  const unreachable = family === 'IPv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable';
  yield nat(CHAINS.masquerade, clearMark(base), MASQUERADE);
  yield filter(
    CHAINS.reject,
    // ICMP errors are rate limited and often filtered.
    '-p tcp -j REJECT --reject-with tcp-reset',
    `-j REJECT --reject-with ${unreachable}`,
  );
  yield filter(
    CHAINS.forward,
    ...(dropInvalid ? [`-m conntrack --ctstate INVALID ${DROP}`] : []),
    `${hasMark(base)} -j ACCEPT`,
    '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  );
  if (family === 'IPv4' && localhostNodePorts) {
    // route_localnet lets neighbours send packets to 127.0.0.1 (CVE-2020-8558).
    yield filter(
      CHAINS.localnet,
      `! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT ${DROP}`,
    );
  }
}

/** Chains that lead to the trees. */
export function* firstChains(base: BaseOptions): Iterable<ChainRules> {
  const { family, settings } = base;
  const masqueraded = toMasquerade(base);
  // Here, and not once a Service: after each change the kernel walks through all rules of the table.
  const marked = (set: string): readonly string[] =>
    masqueraded === undefined ? [] : [`${masqueraded}${set}`];
  yield nat(
    CHAINS.services,
    ...marked(setMark(base)),
    `-j ${CHAINS.frontends}`,
    ...marked(clearMark(base)),
  );
  yield nat(
    CHAINS.postrouting,
    `${hasMark(base)} -g ${CHAINS.masquerade}`,
    // Where ipvs mode (ours or kube-proxy's) still has a cluster IP on kube-ipvs0, a process here has it for its source.
    ...settings.serviceCidrs
      .filter((cidr) => cidr.family === family)
      .map((cidr) => `-s ${formatCidr(cidr)} -m conntrack --ctstate DNAT -g ${CHAINS.masquerade}`),
    `-m conntrack --ctstate DNAT -g ${CHAINS.hairpin}`,
  );
  yield filter(
    CHAINS.filter,
    '-m conntrack --ctstate DNAT -j RETURN',
    `-j ${CHAINS.refused}`,
    `-j ${CHAINS.clusterIps}`,
    // Sent on, such a packet could come back by the default route.
    ...settings.serviceCidrs
      .filter((cidr) => cidr.family === family)
      .map((cidr) => `-d ${formatCidr(cidr)} ${DROP}`),
  );
}

function nat(name: string, ...rules: readonly string[]): ChainRules {
  return { table: 'nat', name, rules };
}

function filter(name: string, ...rules: readonly string[]): ChainRules {
  return { table: 'filter', name, rules };
}
