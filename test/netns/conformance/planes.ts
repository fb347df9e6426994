/** The data planes of the suite: how to open each, what it cannot do, and how its kernel objects can be tampered with. */
import { existsSync, readFileSync } from 'node:fs';
import type { KernelIo } from '../../../src/kernel/io.ts';
import { openIpvsPlane } from '../../../src/planes/ipvs/plane.ts';
import { openIptablesPlane } from '../../../src/planes/iptables/plane.ts';
import { openNftablesPlane } from '../../../src/planes/nftables/plane.ts';
import type { DataPlane } from '../../../src/planes/plane.ts';
import type { Family } from '../../../src/core/ip.ts';
import { counters as countersCases } from './cases/counters.ts';
import { skipOutsideUml } from '../../lab/uml/inside.ts';

/** A shell script to be run on the node. */
type Script = (family: Family, clusterIP: string) => string;

/** Damage that somebody else does to the plane's kernel objects, for the drift cases. */
interface Tampering {
  readonly name: string;
  readonly script: Script;
  /** It ends connections, and no repair brings them back. */
  readonly endsConnections?: true;
  /** The report of the damage names this cluster IP. */
  readonly namesClusterIP?: true;
}

export interface PlaneUnderTest {
  readonly name: string;
  readonly openPlane: (io: KernelIo) => DataPlane;
  /** Why this machine's kernel has nothing of it, so that all cases are skipped; `undefined` if it has. */
  readonly reason: () => string | undefined;
  /** Families it is tried in. */
  readonly families: readonly Family[];
  /** Whether `disturbed()` hears of damage; otherwise only `verify()` finds it. */
  readonly hearsOfDamage: boolean;
  /** How long the kernel goes on with a change after it has taken it. */
  readonly settleMs: number;
  /** Whether its counters tell of every packet so far. For use on the node. */
  readonly hasCountedAll: () => boolean;
  /** Cases it cannot pass, by name, each with the reason why. */
  readonly skips: Readonly<Record<string, string>>;
  /** Commands that the scripts below call. */
  readonly tools: readonly string[];
  /** Prints everything the kernel holds where the plane works. */
  readonly dump: string;
  /** Objects of somebody else's in the same place, which nobody but the case may touch. */
  readonly foreign: { readonly add: Script; readonly list: Script; readonly remove: Script };
  readonly tampering: readonly Tampering[];
}

const isUml = skipOutsideUml === false;

const bothFamilies: readonly Family[] = ['IPv4', 'IPv6'];

const nftTable = (family: Family): string => (family === 'IPv4' ? 'ip' : 'ip6');

const iptables = (family: Family): string => (family === 'IPv4' ? 'iptables' : 'ip6tables');
const onIp = (family: Family, address: string): string =>
  family === 'IPv4' ? address : `[${address}]`;
/** A virtual server of others, and its real server. */
const theirs = (family: Family): string =>
  onIp(family, family === 'IPv4' ? '10.97.0.1' : 'fd97::1');
const theirServer = (family: Family): string =>
  onIp(family, family === 'IPv4' ? '10.244.1.10' : 'fd00:244:1::10');
/** All rules of iptables and ip6tables, without numbers of packets and times. */
const saveRules = "{ iptables-save; ip6tables-save; } | sed -e '/^#/d' -e 's/ \\[[0-9:]*\\]$//'";

/** iptables mode with the tools of one variant. */
function iptablesPlane(variant: 'nft' | 'legacy'): PlaneUnderTest {
  const tool = (family: Family): string => `${iptables(family)}-${variant}`;
  const save = `{ iptables-${variant}-save; ip6tables-${variant}-save; } | sed -e '/^#/d' -e 's/ \\[[0-9:]*\\]$//'`;
  return {
    name: `iptables-${variant}`,
    openPlane: () => openIptablesPlane({ variant, masqueradeBit: 14, localhostNodePorts: true }),
    reason: () =>
      isUml && variant === 'nft'
        ? 'the kernel of user-mode Linux has no nftables for IP'
        : undefined,
    // The guest is slow, and the kernel of this machine is there for the other family.
    families: isUml ? ['IPv4'] : bothFamilies,
    hearsOfDamage: false,
    settleMs: 0,
    hasCountedAll: () => true,
    skips: {
      ...skipsOf(
        'this is about what nftables mode makes',
        'nft lists the rules readably, and takes back what it listed',
      ),
      ...skipsOf(
        'the table nat sees the first packet of a connection only: iptables mode counts no traffic',
        ...countersCases.map(({ name }) => name),
      ),
    },
    tools: [`iptables-${variant}`, `ip6tables-${variant}`],
    dump: save,
    foreign: {
      add: (family) => `
        ${tool(family)} -t nat -N THEIRS
        ${tool(family)} -t nat -A THEIRS -p tcp --dport 7777 -j RETURN
        ${tool(family)} -t nat -I PREROUTING -j THEIRS
        ${tool(family)} -t nat -A PREROUTING -p udp --dport 7777 -j THEIRS
        ${tool(family)} -N THEIRS
        ${tool(family)} -A THEIRS -p tcp --dport 7777 -j DROP
        ${tool(family)} -A INPUT -j THEIRS
        ${tool(family)} -I FORWARD -j THEIRS`,
      list: () => `${save} | grep -e THEIRS`,
      remove: (family) => `
        ${tool(family)} -t nat -D PREROUTING -j THEIRS
        ${tool(family)} -t nat -D PREROUTING -p udp --dport 7777 -j THEIRS
        ${tool(family)} -t nat -F THEIRS
        ${tool(family)} -t nat -X THEIRS
        ${tool(family)} -D INPUT -j THEIRS
        ${tool(family)} -D FORWARD -j THEIRS
        ${tool(family)} -F THEIRS
        ${tool(family)} -X THEIRS`,
    },
    tampering: [
      {
        name: 'the jumps to our chains are deleted',
        script: (family) => `
          ${tool(family)} -t nat -F PREROUTING
          ${tool(family)} -t nat -F OUTPUT
          ${tool(family)} -F FORWARD`,
      },
      {
        name: 'the table nat is flushed',
        script: (family) => `${tool(family)} -t nat -F`,
      },
      {
        name: 'every rule and every chain is deleted',
        script: (family) =>
          ['nat', 'filter']
            .map((table) => `${tool(family)} -t ${table} -F; ${tool(family)} -t ${table} -X`)
            .join('\n'),
      },
      {
        name: 'the rule of a Service is deleted',
        script: (family, clusterIP) => `
          rule=$(${tool(family)}-save -t nat | grep -F -e ' -d ${clusterIP}/' | grep -e ' -p tcp .*cluster IP' | head -1)
          ${tool(family)} -t nat -D $(echo "$rule" | cut -d' ' -f2) $(${tool(family)} -t nat -S $(echo "$rule" | cut -d' ' -f2) | grep -e '^-A' | grep -n -F -e ' -d ${clusterIP}/' | grep -e ' -p tcp ' | cut -d: -f1 | head -1)`,
        namesClusterIP: true,
      },
      {
        name: 'a rule is added in front',
        script: (family) => `${tool(family)} -t nat -I SWY-SERVICES -j RETURN`,
      },
      {
        name: 'a jump is doubled, and a chain of ours added',
        script: (family) => `
          ${tool(family)} -t nat -N SWY-SVC-OLD
          ${tool(family)} -t nat -A SWY-SVC-OLD -j RETURN
          ${tool(family)} -t nat -A OUTPUT -j SWY-SVC-OLD
          ${tool(family)} -t nat -A OUTPUT -j SWY-SERVICES`,
      },
    ],
  };
}

/**
 * Every two seconds IPVS adds up what it has counted on each CPU, for everything at once (ip_vs_est.c). The file has what
 * each counts at the moment, and behind `~` what was added up last.
 */
function isIpvsSummedUp(): boolean {
  const [, , ...lines] = readFileSync('/proc/net/ip_vs_stats_percpu', 'latin1').split('\n');
  const total = [0, 0, 0, 0, 0];
  for (const line of lines) {
    const [cpu, ...columns] = line.trim().split(/ +/);
    const counted = columns.map((column) => Number.parseInt(column, 16));
    if (cpu === '~') return counted.join() === total.join();
    for (const [index, count] of counted.entries()) total[index] = (total[index] ?? 0) + count;
  }
  throw new Error(`no sum in ${lines.join('\n')}`);
}

function skipsOf(reason: string, ...names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [name, reason]));
}

/** Every plane there is. */
export const planes: readonly PlaneUnderTest[] = [
  {
    name: 'nftables',
    openPlane: openNftablesPlane,
    families: bothFamilies,
    reason: () => (isUml ? 'the kernel of user-mode Linux has no nftables for IP' : undefined),
    hearsOfDamage: true,
    settleMs: 0,
    hasCountedAll: () => true,
    skips: {},
    tools: ['nft'],
    dump: 'nft list ruleset',
    foreign: {
      add: (family) => `nft -f - <<'END'
        table ${nftTable(family)} somebody-else {
          set theirs { type inet_service; elements = { 1, 2, 3 } }
          chain pre { type nat hook prerouting priority -90; tcp dport @theirs drop; }
          chain post { type filter hook postrouting priority 90; }
        }
        table inet switchyard {
          chain services { tcp dport 1 drop; }
        }
END`,
      list: (family) =>
        `nft -a list table ${nftTable(family)} somebody-else; nft -a list table inet switchyard`,
      remove: (family) =>
        `nft delete table ${nftTable(family)} somebody-else; nft delete table inet switchyard`,
    },
    tampering: [
      {
        name: 'the table is deleted',
        script: (family) => `nft delete table ${nftTable(family)} switchyard`,
      },
      {
        name: 'the whole ruleset is flushed',
        script: () => 'nft flush ruleset',
      },
      {
        name: 'a map element is deleted',
        script: (family, clusterIP) =>
          `nft delete element ${nftTable(family)} switchyard service-ips '{ ${clusterIP} . tcp . 80 }'`,
        namesClusterIP: true,
      },
      {
        name: 'an element is added that sends a port nowhere',
        script: (family, clusterIP) =>
          `nft add element ${nftTable(family)} switchyard service-ips '{ ${clusterIP} . tcp . 81 : 1:0 }'`,
        namesClusterIP: true,
      },
      {
        name: 'a set is emptied',
        script: (family) => `nft flush set ${nftTable(family)} switchyard cluster-ips`,
        namesClusterIP: true,
      },
      {
        name: 'the rules of a chain are deleted',
        script: (family) => `nft flush chain ${nftTable(family)} switchyard services`,
      },
      {
        name: 'a rule is added in front',
        script: (family) => `nft insert rule ${nftTable(family)} switchyard services drop`,
      },
    ],
  },
  {
    name: 'ipvs',
    families: bothFamilies,
    openPlane: (io) =>
      openIpvsPlane(io, {
        scheduler: 'rr',
        strictArp: false,
        tcpMs: 0,
        tcpFinMs: 0,
        udpMs: 0,
        masqueradeBit: 14,
        bindMode: 'route',
        drainMs: 30_000,
      }),
    reason: () =>
      existsSync('/proc/net/ip_vs') ? undefined : 'this kernel has no IPVS (no /proc/net/ip_vs)',
    hearsOfDamage: false,
    // Flows to a deleted real server are ended a tick of 10 ms later, by a worker (ip_vs_expire_nodest_conn_flush()).
    settleMs: 50,
    hasCountedAll: isIpvsSummedUp,
    skips: {
      'nft lists the rules readably, and takes back what it listed':
        'this is about what nftables mode makes',
      'two clients and two ports choose independently':
        'the scheduler rr of every virtual server begins with the same real server',
      'affinity lasts as long as connections keep coming, and ends after its timeout':
        'IPVS keeps a client as long as it remembers a connection of it: up to two minutes after its end',
      'counting is switched on and off without disturbing connections':
        'IPVS counts for every virtual server, from when that is made',
    },
    tools: ['ipvsadm', 'ipset', 'iptables', 'ip6tables'],
    dump: [
      'ipvsadm -Sn | sort',
      'ipset save -sorted | sed "s/ bucketsize.*//"',
      'ip -o link show | sed "s/^[0-9]*: //"',
      'ip route show table local',
      'ip -6 route show table local',
      saveRules,
    ].join('\n'),
    foreign: {
      add: (family) => `
        ipvsadm -A -t ${theirs(family)}:80 -s wlc
        ipvsadm -a -t ${theirs(family)}:80 -r ${theirServer(family)}:8080 -m -w 3
        ipvsadm -A -f 7 ${family === 'IPv4' ? '' : '-6'} -s rr
        ipset create theirs hash:ip,port family ${family === 'IPv4' ? 'inet' : 'inet6'}
        ip link add theirs0 type dummy
        ${iptables(family)} -N THEIRS
        ${iptables(family)} -A THEIRS -m set --match-set theirs dst,dst -j DROP
        ${iptables(family)} -I INPUT -j THEIRS
        ${iptables(family)} -t nat -A POSTROUTING -p tcp --dport 7777 -j RETURN`,
      list: (family) => `
        ipvsadm -Sn | grep -F -e '${theirs(family)}' -e ' -f 7 '
        ipset save theirs
        ip link show theirs0
        ${saveRules} | grep -e THEIRS -e 'dport 7777 '`,
      remove: (family) => `
        ${iptables(family)} -t nat -D POSTROUTING -p tcp --dport 7777 -j RETURN
        ${iptables(family)} -D INPUT -j THEIRS
        ${iptables(family)} -F THEIRS
        ${iptables(family)} -X THEIRS
        ip link del theirs0
        ipset destroy theirs
        ipvsadm -D -f 7 ${family === 'IPv4' ? '' : '-6'}
        ipvsadm -D -t ${theirs(family)}:80`,
    },
    tampering: [
      {
        name: 'a virtual server is deleted',
        endsConnections: true,
        script: (family, clusterIP) => `ipvsadm -D -t ${onIp(family, clusterIP)}:80`,
        namesClusterIP: true,
      },
      {
        name: 'every virtual server is deleted',
        endsConnections: true,
        script: () => 'ipvsadm -C',
      },
      {
        name: 'the weight of a real server is changed',
        script: (family, clusterIP) => `
          server=$(ipvsadm -Sn | grep -F -e '-a -t ${onIp(family, clusterIP)}:80 ' | head -1)
          ipvsadm -e $(echo "$server" | cut -d' ' -f2-5) -m -w 0`,
        namesClusterIP: true,
      },
      {
        name: 'the scheduler of a virtual server is changed',
        script: (family, clusterIP) => `ipvsadm -E -t ${onIp(family, clusterIP)}:80 -s sh`,
        namesClusterIP: true,
      },
      {
        name: 'the sets are emptied',
        script: () => 'ipset flush',
      },
      {
        name: 'the link is deleted',
        script: () => 'ip link del kube-ipvs0',
        namesClusterIP: true,
      },
      {
        name: 'rules are flushed',
        script: (family) => `${iptables(family)} -t mangle -F`,
      },
      {
        name: 'a rule is added in front',
        script: (family) => `${iptables(family)} -t mangle -I SWY-IPVS -j DROP`,
      },
    ],
  },
  iptablesPlane('nft'),
  iptablesPlane('legacy'),
];

/** The plane of that name. */
export function planeNamed(name: string): PlaneUnderTest {
  const plane = planes.find((each) => each.name === name);
  if (plane === undefined) throw new Error(`no data plane ${name}`);
  return plane;
}
