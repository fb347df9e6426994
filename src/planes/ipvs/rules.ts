/**
 * The rules of iptables and ip6tables that IPVS needs beside it. They are few, are the same whatever Services
 * there are, and only the first packet of a connection meets more than one of them. What depends on Services is
 * in sets (schema.ts).
 *
 * Order of the hooks (linux/netfilter_ipv4.h, ip_vs_core.c): packets from elsewhere pass mangle PREROUTING and filter
 * INPUT before IPVS; those of this node pass mangle OUTPUT before it. IPVS then sends them through OUTPUT,
 * again and now as its own (`-m ipvs`), and POSTROUTING.
 */
import { createHash } from 'node:crypto';
import { type Family, formatCidr } from '../../core/ip.ts';
import type { LocalTraffic, PlaneSettings } from '../../core/node.ts';
import type { Marks } from './marks.ts';
import { type SetRole, setName } from './schema.ts';

/** A table with our chains and what leads to them. */
export interface TableRules {
  readonly table: 'mangle' | 'nat' | 'filter';
  /** Rules of each chain, without `-A CHAIN`. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Rules that are put in front of those of a chain that is not ours. */
  readonly jumps: ReadonlyMap<string, string>;
  /** Is in the comment of a rule: tells these rules from those of other settings and versions. */
  readonly digest: string;
}

/** Starts the name of every chain of ours. */
export const CHAIN = 'SWY-IPVS';
const FORWARD = `${CHAIN}-FORWARD`;
const FRONTEND = `${CHAIN}-FRONTEND`;
const INSIDE = `${CHAIN}-INSIDE`;
const OUTPUT = `${CHAIN}-OUTPUT`;
const REFUSE = `${CHAIN}-REFUSE`;
const SOURCES = `${CHAIN}-SOURCES`;

/** Change it when the rules change in a way that their text does not tell. */
const VERSION = 1;

/** Of the loopback address; nothing is ever served there by way of translation. */
const REFUSED_PORT = 1;

const IS_NEW = '-m conntrack --ctstate NEW';
const MASQUERADE = '-j MASQUERADE --random-fully';

/** All rules of a family. `mark` is the value of the masquerade bit. */
export function familyRules(
  family: Family,
  settings: PlaneSettings,
  mark: number,
  marks: Marks,
): readonly TableRules[] {
  const set = (role: SetRole, fields = 'dst,dst'): string =>
    `-m set --match-set ${setName(family, role)} ${fields}`;
  const setNot = (role: SetRole, fields = 'dst,dst'): string =>
    `-m set ! --match-set ${setName(family, role)} ${fields}`;
  const bit = `0x${mark.toString(16)}`;
  const isLocal = localMatch(settings.localTraffic[family]);
  const isIcmp = family === 'IPv4' ? '-p icmp' : '-p ipv6-icmp';
  const unreachable = family === 'IPv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable';
  const mangle = new Map([
    [
      CHAIN,
      [
        `${set('frontends')} -g ${FRONTEND}`,
        // Refused in filter INPUT, where that can be done.
        `${set('cluster', 'dst')} -j RETURN`,
        `${isIcmp} -j RETURN`,
        `${set('other', 'dst')} -j DROP`,
        ...settings.serviceCidrs
          .filter((cidr) => cidr.family === family)
          .map((cidr) => `-d ${formatCidr(cidr)} -j DROP`),
      ],
    ],
    [
      FRONTEND,
      [
        `${set('restricted')} ${setNot('allowed', 'dst,dst,src')} -j ${SOURCES}`,
        `${set('inside')} -m addrtype --src-type LOCAL -g ${INSIDE}`,
        ...(isLocal === undefined ? [] : [`${set('inside')} ${isLocal.yes} -g ${INSIDE}`]),
        `${set('silent')} -j DROP`,
        `${set('masquerade')} -j MARK --set-xmark ${bit}/${bit}`,
        ...clusterMasquerade(settings, isLocal).map(
          (match) => `${set('cluster', 'dst')}${match} -j MARK --set-xmark ${bit}/${bit}`,
        ),
      ],
    ],
    [
      SOURCES,
      [
        // The address is among its own sources where these cover the node (select/source-ranges.ts), and whatever
        // address the node's processes have.
        `-m addrtype --src-type LOCAL ${set('allowed', 'dst,dst,dst')} -j RETURN`,
        '-j DROP',
      ],
    ],
    [INSIDE, [`-j SET --map-set ${setName(family, 'inside')} dst,dst --map-mark`]],
    [
      OUTPUT,
      [
        `-m ipvs ! --ipvs -g ${CHAIN}`,
        // It has served its purpose, and other packets of the connection do not have it.
        `-m mark --mark ${marks.range} -j MARK --set-xmark 0x0/0xffffffff`,
      ],
    ],
  ]);
  const nat = new Map([
    [
      CHAIN,
      [
        `${set('hairpin', 'dst,dst,src')} ${MASQUERADE}`,
        // A process of this node has the Service's address for its own when it connects to it.
        `-m addrtype --src-type LOCAL ${MASQUERADE}`,
        `-m mark ! --mark ${bit}/${bit} -j RETURN`,
        `-j MARK --set-xmark ${bit}/0x0`,
        MASQUERADE,
      ],
    ],
    // IPVS would answer for a virtual server that only drains, and with an ICMP error, which a socket that is about
    // to connect does not take for an answer. A reset is; and only INPUT can send one.
    [OUTPUT, [`-p tcp ${set('refused')} -j REDIRECT --to-ports ${REFUSED_PORT}`]],
  ]);
  const filter = new Map([
    [
      CHAIN,
      [
        `${set('refused')} -g ${REFUSE}`,
        `-p tcp --dport ${REFUSED_PORT} -m conntrack --ctstate DNAT -g ${REFUSE}`,
        `${isIcmp} -j RETURN`,
        `${set('cluster', 'dst')} ${setNot('frontends')} -g ${REFUSE}`,
      ],
    ],
    [
      // Answers pass here before IPVS sees them, and nothing tells them from other answers; requests pass OUTPUT. Where
      // what is forwarded is dropped (`-P FORWARD DROP`), nobody else lets them by. Nor requests of connections that
      // another plane had translated before it gave way to this one.
      FORWARD,
      ['-m conntrack --ctdir REPLY -j ACCEPT', '-m conntrack --ctstate DNAT -j ACCEPT'],
    ],
    [
      REFUSE,
      ['-p tcp -j REJECT --reject-with tcp-reset', `-j REJECT --reject-with ${unreachable}`],
    ],
  ]);
  return [
    tableRules('mangle', mangle, [
      ['PREROUTING', `${IS_NEW} -j ${CHAIN}`],
      ['OUTPUT', `${IS_NEW} -j ${OUTPUT}`],
    ]),
    tableRules('nat', nat, [
      ['POSTROUTING', `-m ipvs --ipvs -j ${CHAIN}`],
      ['OUTPUT', `-m ipvs ! --ipvs -j ${OUTPUT}`],
    ]),
    tableRules('filter', filter, [
      ['INPUT', `${IS_NEW} -j ${CHAIN}`],
      ['FORWARD', `-m conntrack --ctstate RELATED,ESTABLISHED -j ${FORWARD}`],
    ]),
  ];
}

function tableRules(
  table: TableRules['table'],
  chains: ReadonlyMap<string, readonly string[]>,
  jumps: readonly (readonly [string, string])[],
): TableRules {
  const text = JSON.stringify([VERSION, [...chains], jumps]);
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return { table, chains, jumps: new Map(jumps), digest };
}

interface LocalMatch {
  readonly yes: string;
  readonly no: string;
}

function localMatch(local: LocalTraffic | undefined): LocalMatch | undefined {
  if (local === undefined) return undefined;
  const match = sourceMatch(local);
  return { yes: match, no: `! ${match}` };
}

function sourceMatch(local: LocalTraffic): string {
  if (local.kind === 'cidr') return `-s ${formatCidr(local.cidr)}`;
  return local.kind === 'interface' ? `-i ${local.name}` : `-i ${local.prefix}+`;
}

/** Which traffic to cluster IPs is masqueraded: matches, none of which means none. */
function clusterMasquerade(
  { masqueradeAll }: PlaneSettings,
  isLocal: LocalMatch | undefined,
): readonly string[] {
  if (masqueradeAll) return [''];
  return isLocal === undefined ? [] : [` ${isLocal.no}`];
}
