/** Who programs Services on this node, and what others left behind. */
import { type Address, cidrContains, hostPort, parseCidr } from '../../../core/ip.ts';
import { type Facts, valueOf } from '../facts/facts.ts';
import type { VirtualServer } from '../facts/servers.ts';
import type { Rule } from '../rule.ts';
import {
  NODE_PORTS,
  chainsNamed,
  hasNftTable,
  isSwitchyard,
  kubeProxyMode,
  modeOf,
  runs,
  when,
} from './about.ts';

const SERVICE_CHAINS = /^KUBE-(?:SVC|SVL|EXT|SEP|FW)-/;
const OWN_CHAINS = /^SWY-/;
/** The device that both kube-proxy and Switchyard bind addresses of Services to in ipvs mode. */
const IPVS_DEVICE = 'kube-ipvs0';

export const OWNER_RULES: readonly Rule[] = [
  {
    id: 'two-proxies',
    severity: 'critical',
    title: 'Two programs serve Services on this node',
    seen: (facts) => {
      const proxies = [
        ...(valueOf(facts.processes) ?? []).flatMap(({ pid, name, flags }) => {
          if (name === 'kube-proxy' || name === 'switchyard') return [`${name} (pid ${pid})`];
          const isOff = flags.includes('--run-service-proxy=false');
          return name === 'kube-router' && !isOff ? [`kube-router (pid ${pid})`] : [];
        }),
        ...when(
          runs(facts, 'cilium-agent') && valueOf(facts.cluster)?.ciliumReplacement === 'true',
          'Cilium with kube-proxy-replacement',
        ),
      ];
      return when(proxies.length > 1, proxies.join(', '));
    },
    why: 'Which of them translates a connection depends on the order of their hooks. Affinity, draining and traffic policies then hold for some connections only, and each may delete what the other needs.',
    prove: 'ps -eo pid,args | grep -E "kube-proxy|switchyard|kube-router|cilium-agent"',
    fix: 'Stop all but one, then remove what the others left (switchyard cleanup; kube-proxy --cleanup).',
    source: 'kubernetes/kubernetes#55857; documentation of kube-router and Cilium',
    date: '2026-08',
  },
  {
    id: 'rules-of-two-modes',
    severity: 'critical',
    title: 'Rules of two modes of kube-proxy at once',
    seen: (facts) => {
      const chains = chainsNamed(facts, SERVICE_CHAINS).length;
      return when(
        chains > 0 && hasNftTable(facts, 'kube-proxy'),
        `${chains} chains KUBE-SVC-… and the like in iptables, and a table kube-proxy in nf_tables`,
      );
    },
    why: 'Nobody keeps one of the two up to date: it sends clients to endpoints that are gone, or refuses what has endpoints by now.',
    prove: 'iptables-save | grep -c KUBE-SVC; nft list table ip kube-proxy',
    fix: 'Find out which mode runs and, with kube-proxy stopped for the moment, remove what the other left: switchyard cleanup --owner kube-proxy --mode MODE; --dry-run shows it before.',
    source: 'cmd/kube-proxy/app/server_linux.go, platformCleanup(); kubernetes/kubernetes#102314',
    date: '2026-08',
  },
  {
    id: 'leftover-iptables',
    severity: 'warning',
    title: 'iptables mode has left its rules',
    seen: (facts) => {
      const mode = kubeProxyMode(facts);
      const chains = chainsNamed(facts, SERVICE_CHAINS).length;
      const isOther = mode === 'ipvs' || mode === 'nftables';
      return when(
        isOther && chains > 0 && !hasNftTable(facts, 'kube-proxy'),
        `${chains} chains KUBE-SVC-… and the like, and kube-proxy is in ${mode} mode`,
      );
    },
    why: 'They may translate a connection before the mode that runs does, and are never updated. kube-proxy does not clean up between iptables and ipvs mode.',
    prove: 'iptables-save -t nat | grep -c KUBE-SVC',
    fix: 'With kube-proxy stopped for the moment: switchyard cleanup --owner kube-proxy --mode iptables. Or restart the node.',
    source: 'platformCleanup() of Kubernetes 1.36; kubernetes/kubernetes#102314',
    date: '2026-08',
  },
  {
    id: 'leftover-ipvs',
    severity: 'warning',
    title: 'ipvs mode has left its device',
    seen: (facts) => {
      const mode = modeOf(facts);
      const device = valueOf(facts.links)?.find(({ name }) => name === IPVS_DEVICE);
      return when(
        mode !== undefined && mode !== 'ipvs' && device !== undefined,
        `${IPVS_DEVICE} with ${device?.addresses.length} addresses, and the proxy is in ${mode} mode`,
      );
    },
    why: 'Addresses of Services stay local on this node: what no rule translates ends at its own processes, and IPVS goes on serving it from endpoints that nobody updates.',
    prove: 'ip address show kube-ipvs0; ipvsadm -Ln',
    fix: 'With kube-proxy stopped for the moment: switchyard cleanup --owner kube-proxy --mode ipvs. By hand: ip link del kube-ipvs0, and ipvsadm -D for its servers; ipvsadm -C takes those of others, too.',
    source: 'KEP-2448; kubernetes/kubernetes#96034, #109286',
    date: '2026-08',
  },
  {
    id: 'leftover-ipsets',
    severity: 'notice',
    title: 'ipvs mode has left its sets',
    seen: (facts) => {
      const mode = kubeProxyMode(facts);
      const sets = (valueOf(facts.ipsets) ?? []).filter((name) => name.startsWith('KUBE-'));
      return when(
        mode !== undefined && mode !== 'ipvs' && sets.length > 0,
        `${sets.slice(0, 4).join(', ')}${sets.length > 4 ? ', …' : ''}: ${sets.length} in all`,
      );
    },
    why: 'They hold memory, and rules that use them may be left as well. kube-proxy --cleanup forgets the sets for IPv6 (KUBE-6-…).',
    prove: 'ipset list -n | grep ^KUBE-',
    fix: 'With kube-proxy stopped for the moment: switchyard cleanup --owner kube-proxy --mode ipvs. Or ipset destroy each of them.',
    source: 'pkg/proxy/ipvs, CleanupLeftovers() of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'leftover-nftables',
    severity: 'warning',
    title: 'nftables mode has left its table',
    seen: (facts) => {
      const mode = kubeProxyMode(facts);
      return when(
        (mode === 'iptables' || mode === 'ipvs') &&
          hasNftTable(facts, 'kube-proxy') &&
          chainsNamed(facts, SERVICE_CHAINS).length === 0,
        `a table kube-proxy, and kube-proxy is in ${mode} mode`,
      );
    },
    why: 'It goes on translating connections to endpoints that nobody updates.',
    prove: 'nft list table ip kube-proxy',
    fix: 'nft delete table ip kube-proxy; nft delete table ip6 kube-proxy.',
    source: 'platformCleanup() of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'leftover-switchyard',
    severity: 'warning',
    title: 'Rules of Switchyard, and no Switchyard',
    seen: (facts) => {
      if (valueOf(facts.processes) === undefined || runs(facts, 'switchyard')) return [];
      return [
        ...when(hasNftTable(facts, 'switchyard'), 'a table switchyard in nf_tables'),
        ...when(chainsNamed(facts, OWN_CHAINS).length > 0, 'chains SWY-… in iptables'),
      ];
    },
    why: 'They serve on with the endpoints of the moment it stopped: wanted for a restart, harmful for longer or beside another proxy.',
    prove: 'nft list table ip switchyard; iptables-save | grep SWY-',
    fix: 'Start it again, or remove them: switchyard cleanup.',
    source: 'docs/architecture.md',
    date: '2026-11',
  },
  {
    id: 'leftover-kube-proxy',
    severity: 'warning',
    title: 'kube-proxy has left its rules to Switchyard',
    seen: (facts) => {
      if (!isSwitchyard(facts)) return [];
      const chains = chainsNamed(facts, SERVICE_CHAINS).length;
      return [
        ...when(chains > 0, `${chains} chains KUBE-SVC-… and the like`),
        ...when(hasNftTable(facts, 'kube-proxy'), 'a table kube-proxy'),
      ];
    },
    why: 'Where they come first they decide, with the endpoints of the moment kube-proxy stopped.',
    prove: 'iptables-save | grep -c KUBE-SVC; nft list tables | grep kube-proxy',
    fix: 'switchyard cleanup --owner kube-proxy; connections that are open go on.',
    source: 'docs/install.md',
    date: '2026-11',
  },
  {
    id: 'both-iptables-variants',
    severity: 'warning',
    title: 'Rules of iptables in both variants',
    seen: (facts) => {
      const tables = (valueOf(facts.iptables) ?? []).filter(({ rules }) => rules.length > 0);
      const has = (variant: string): boolean => tables.some((table) => table.variant === variant);
      const names = tables.map(({ family, variant, name }) => `${variant} ${name} (${family})`);
      return when(has('nft') && has('legacy'), names.join(', '));
    },
    why: 'Both are asked for each packet, and each program sees its own only: a rule that "is not there" may still drop, and two sets of NAT rules compete.',
    prove: 'iptables-nft-save | head; iptables-legacy-save | head',
    fix: 'Let all programs use one variant (update-alternatives --config iptables, and the images of kube-proxy and the CNI), then flush the other.',
    source: 'README of kubernetes-sigs/iptables-wrappers; Debian wiki, nftables',
    date: '2026-11',
  },
  {
    id: 'foreign-virtual-servers',
    severity: 'warning',
    title: 'Virtual servers that kube-proxy will delete',
    seen: (facts) => {
      const mode = kubeProxyMode(facts);
      if (mode !== 'ipvs' && mode !== 'nftables') return [];
      const found = foreignServers(facts).map(
        ({ protocol, address, port }) => `${protocol} ${hostPort(address, port)}`,
      );
      return when(found.length > 0, `${found.slice(0, 5).join(', ')} (${found.length} in all)`);
    },
    why: "In ipvs mode each sync deletes what is not kube-proxy's and not in ipvs.excludeCIDRs; in nftables mode each start flushes IPVS as a whole. keepalived and ldirectord lose their servers without a word.",
    prove: 'ipvsadm -Ln',
    fix: 'ipvs mode: name their ranges in ipvs.excludeCIDRs. nftables mode: keep them on another node or in a network namespace of their own. Switchyard leaves virtual servers of others alone.',
    source: 'kubernetes/kubernetes#55857, #75377; platformCleanup() of 1.36',
    date: '2026-08',
  },
];

/** kube-proxy reaches endpoints by masquerading only, and binds addresses to its device or has them as node ports. */
function foreignServers(facts: Facts): readonly VirtualServer[] {
  const links = valueOf(facts.links) ?? [];
  const bound = new Set(links.find(({ name }) => name === IPVS_DEVICE)?.addresses);
  const own = new Set(
    links.filter(({ name }) => name !== IPVS_DEVICE).flatMap((link) => link.addresses),
  );
  const excluded = (valueOf(facts.settings)?.values.ipvsExcludeCidrs ?? []).flatMap(
    (text) => parseCidr(text) ?? [],
  );
  const isKept = (address: Address): boolean =>
    modeOf(facts) === 'ipvs' && excluded.some((cidr) => cidrContains(cidr, address));
  return (valueOf(facts.virtualServers) ?? []).filter(({ address, port, forwarding }) => {
    if (isKept(address)) return false;
    if (forwarding.some((method) => method === 'route' || method === 'tunnel')) return true;
    const isNodePort = port >= NODE_PORTS.first && port <= NODE_PORTS.last;
    return own.has(address) && !bound.has(address) && !isNodePort;
  });
}
