/** Settings of the kernel that Services depend on. */
import { type Family, familyOf } from '../../../core/ip.ts';
import { type Facts, valueOf } from '../facts/facts.ts';
import { isOlder } from '../facts/version.ts';
import type { Rule } from '../rule.ts';
import { NODE_PORTS, modeOf, runs, servedServices, sysctl, sysctlNumber, when } from './about.ts';

/** Plugins that connect pods to a bridge of Linux. */
const BRIDGE_PLUGINS: ReadonlySet<string> = new Set(['bridge', 'flannel']);
/** Devices with a way of their own out of the node. */
const UPLINK_KINDS: ReadonlySet<string> = new Set(['', 'bond', 'team', 'vlan']);

export const KERNEL_SETTING_RULES: readonly Rule[] = [
  {
    id: 'ip-forward-off',
    severity: 'critical',
    title: 'The kernel does not forward IPv4',
    seen: (facts) => {
      const needsIPv4 = valueOf(facts.services) === undefined || hasServices(facts, 'IPv4');
      return when(
        needsIPv4 && sysctl(facts, 'net.ipv4.ip_forward') === '0',
        'net.ipv4.ip_forward is 0',
      );
    },
    why: 'Connections from other hosts and from pods to a Service are translated and then dropped.',
    prove: 'sysctl net.ipv4.ip_forward',
    fix: 'sysctl -w net.ipv4.ip_forward=1, and the same line in a file of /etc/sysctl.d.',
    source: 'Linux, ip-sysctl; Kubernetes documentation, container runtimes',
    date: '2026-11',
  },
  {
    id: 'ipv6-forward-off',
    severity: 'critical',
    title: 'The kernel does not forward IPv6',
    seen: (facts) =>
      when(
        hasServices(facts, 'IPv6') && sysctl(facts, 'net.ipv6.conf.all.forwarding') === '0',
        'net.ipv6.conf.all.forwarding is 0, and there are Services with IPv6 addresses',
      ),
    why: 'Connections from other hosts and from pods to these addresses are dropped. kube-proxy does not set it in any mode.',
    prove: 'sysctl net.ipv6.conf.all.forwarding',
    fix: 'sysctl -w net.ipv6.conf.all.forwarding=1, and the same line in a file of /etc/sysctl.d.',
    source: 'Linux, ip-sysctl; pkg/proxy/ipvs of Kubernetes 1.36 (sets the one for IPv4 only)',
    date: '2026-11',
  },
  {
    id: 'ipv6-disabled',
    severity: 'critical',
    title: 'IPv6 is off, and Services need it',
    seen: (facts) =>
      when(
        hasServices(facts, 'IPv6') && sysctl(facts, 'net.ipv6.conf.all.disable_ipv6') === '1',
        'net.ipv6.conf.all.disable_ipv6 is 1',
      ),
    why: 'kube-proxy looks at this setting at its start and then serves no IPv6 at all, with no more than a line in its log.',
    prove: 'sysctl net.ipv6.conf.all.disable_ipv6',
    fix: 'Set it to 0 and restart the proxy; or make the Services ipFamilyPolicy: SingleStack.',
    source: 'cmd/kube-proxy/app/server_linux.go of Kubernetes 1.36',
    date: '2026-08',
  },
  {
    id: 'bridge-nf-off',
    severity: 'critical',
    title: 'Traffic inside the bridge of the pods is not translated',
    seen: (facts) => {
      const plugins = (valueOf(facts.cni) ?? []).flatMap((file) => file.plugins);
      const plugin = plugins.find(({ type }) => BRIDGE_PLUGINS.has(type));
      if (plugin === undefined || valueOf(facts.sysctls) === undefined) return [];
      const value = sysctl(facts, 'net.bridge.bridge-nf-call-iptables');
      if (value === '1') return [];
      const seen =
        value === undefined
          ? 'the module br_netfilter is not loaded'
          : `net.bridge.bridge-nf-call-iptables is ${value}`;
      return [`${seen}, and pods are on a bridge (${plugin.type})`];
    },
    why: 'When a Service leads a pod to another one on the same bridge, the answer takes the short way, is not translated back, and the client resets the connection.',
    prove: 'lsmod | grep br_netfilter; sysctl net.bridge.bridge-nf-call-iptables',
    fix: 'modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1; both also in /etc/modules-load.d and /etc/sysctl.d.',
    source: 'Kubernetes documentation, network plugins',
    date: '2026-11',
  },
  {
    id: 'rp-filter-strict',
    severity: 'warning',
    title: 'Strict reverse path filter on a second interface',
    seen: (facts) => {
      const uplink = valueOf(facts.uplink);
      if (uplink === undefined) return [];
      const all = sysctlNumber(facts, 'net.ipv4.conf.all.rp_filter') ?? 0;
      return (valueOf(facts.links) ?? [])
        .filter(({ name, kind, isUp, addresses }) => {
          const hasIPv4 = addresses.some((address) => familyOf(address) === 'IPv4');
          return name !== uplink && UPLINK_KINDS.has(kind) && isUp && hasIPv4;
        })
        .filter(({ name }) => {
          const own = sysctlNumber(facts, `net.ipv4.conf.${name.replaceAll('.', '/')}.rp_filter`);
          return Math.max(all, own ?? 0) === 1;
        })
        .map(({ name }) => `rp_filter is 1 for ${name}; the default route is by ${uplink}`);
    },
    why: 'A client that is not in the network of this interface but comes in by it, to a node port or a load-balancer address, is dropped without a trace: its way back is by another interface.',
    prove: 'nstat -az TcpExtIPReversePathFilter',
    fix: 'Loose mode: sysctl -w net.ipv4.conf.<interface>.rp_filter=2; or routing rules that answer by the interface a connection came from.',
    source: 'Linux, ip-sysctl; RFC 3704',
    date: '2026-11',
  },
  {
    id: 'route-localnet-open',
    severity: 'warning',
    title: 'Neighbours can reach services on 127.0.0.1 of this node',
    seen: (facts) => {
      const tables = valueOf(facts.iptables);
      const isOn = sysctl(facts, 'net.ipv4.conf.all.route_localnet') === '1';
      if (tables === undefined || !isOn) return [];
      const isGuarded = tables.some((table) =>
        table.rules.some((rule) => /-d 127\.0\.0\.0\/8 .*-j (?:DROP|REJECT)/.test(rule)),
      );
      return when(
        !isGuarded,
        'net.ipv4.conf.all.route_localnet is 1, and no rule drops what comes to 127.0.0.0/8 from outside',
      );
    },
    why: "iptables mode switches it on for node ports on 127.0.0.1 and never off again; the rule against misuse (CVE-2020-8558) goes with kube-proxy's or kubelet's other rules.",
    prove: 'sysctl net.ipv4.conf.all.route_localnet; iptables-save -t filter | grep 127.0.0.0/8',
    fix: 'sysctl -w net.ipv4.conf.all.route_localnet=0 where no node ports on 127.0.0.1 are needed (iptables.localhostNodePorts: false).',
    source: 'CVE-2020-8558; kubernetes/kubernetes#90259',
    date: '2026-08',
  },
  {
    id: 'node-ports-ephemeral',
    severity: 'warning',
    title: 'Node ports overlap the ports of outgoing connections',
    seen: (facts) => {
      const range = sysctl(facts, 'net.ipv4.ip_local_port_range')?.split(/\s+/).map(Number);
      const [first, last] = range ?? [];
      if (first === undefined || last === undefined) return [];
      const from = Math.max(first, NODE_PORTS.first);
      const to = Math.min(last, NODE_PORTS.last);
      const reserved = sysctl(facts, 'net.ipv4.ip_local_reserved_ports') ?? '';
      return when(
        from <= to && !isReserved(reserved, from, to),
        `net.ipv4.ip_local_port_range is ${first} to ${last}, node ports are ${NODE_PORTS.first} to ${NODE_PORTS.last}`,
      );
    },
    why: 'A connection that the node makes can get a port of this range for its own. The proxy then cannot listen there: with a health-check node port, load balancers take the node for dead.',
    prove: 'sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports',
    fix: 'sysctl -w net.ipv4.ip_local_reserved_ports=30000-32767, or begin the range at 32768.',
    source: 'Linux, ip-sysctl; tried on 6.18: listen fails with EADDRINUSE',
    date: '2026-11',
  },
  {
    id: 'ipvs-sysctl-reset',
    severity: 'critical',
    title: 'Settings that ipvs mode needs were taken back',
    seen: (facts) => {
      if (modeOf(facts) !== 'ipvs') return [];
      return ['conntrack', 'expire_nodest_conn', 'expire_quiescent_template'].flatMap((name) =>
        when(sysctl(facts, `net.ipv4.vs.${name}`) === '0', `net.ipv4.vs.${name} is 0`),
      );
    },
    why: 'The proxy sets them once, at its start. Without conntrack nothing is masqueraded, without expire_nodest_conn connections hang on endpoints that are gone, without expire_quiescent_template affinity does.',
    prove: 'sysctl net.ipv4.vs.conntrack net.ipv4.vs.expire_nodest_conn',
    fix: 'Find who writes them, and restart the proxy.',
    source: 'pkg/proxy/ipvs of Kubernetes 1.36; kubernetes/kubernetes#71809',
    date: '2026-08',
  },
  {
    id: 'conn-reuse-mode-zero',
    severity: 'warning',
    title: 'conn_reuse_mode is 0 on a kernel that needs it on',
    seen: (facts) => {
      const kernel = valueOf(facts.kernel);
      if (kernel === undefined || modeOf(facts) !== 'ipvs' || isOlder(kernel, '5.9')) return [];
      return when(
        sysctl(facts, 'net.ipv4.vs.conn_reuse_mode') === '0',
        `net.ipv4.vs.conn_reuse_mode is 0 on kernel ${kernel.text}`,
      );
    },
    why: 'A client that uses a port again follows its old connection, also to an endpoint that is gone. Since 5.9 the reason to switch it off no longer exists, and kube-proxy leaves it alone.',
    prove: 'sysctl net.ipv4.vs.conn_reuse_mode',
    fix: 'sysctl -w net.ipv4.vs.conn_reuse_mode=1, and take the 0 out of /etc/sysctl.d.',
    source: 'kubernetes/kubernetes#81775, #93297',
    date: '2026-08',
  },
  {
    id: 'strict-arp-missing',
    severity: 'warning',
    title: 'All nodes answer for addresses that one is to announce',
    seen: (facts) => {
      const announcer = announcerOf(facts);
      if (modeOf(facts) !== 'ipvs' || announcer === undefined) return [];
      return when(
        sysctl(facts, 'net.ipv4.conf.all.arp_ignore') === '0',
        `${announcer} runs, and net.ipv4.conf.all.arp_ignore is 0`,
      );
    },
    why: 'ipvs mode binds load-balancer addresses on every node; without strictARP each of them answers ARP for them, so traffic ends at nodes that are not meant.',
    prove: 'sysctl net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce',
    fix: 'ipvs.strictARP: true, and restart the proxy. Not needed where addresses are announced by BGP only. It has nothing to do with other modes.',
    source: 'metallb/metallb#153, #2919',
    date: '2026-08',
  },
  {
    id: 'strict-arp-with-antrea',
    severity: 'warning',
    title: 'strictARP keeps Egress of Antrea from working',
    seen: (facts) =>
      when(
        valueOf(facts.settings)?.values.ipvsStrictArp === true &&
          modeOf(facts) === 'ipvs' &&
          runs(facts, 'antrea-agent'),
        'ipvs.strictARP is true, and antrea-agent runs',
      ),
    why: 'The node does not answer for Egress addresses any more.',
    prove: 'sysctl net.ipv4.conf.all.arp_ignore',
    fix: 'ipvs.strictARP: false, unless MetalLB or kube-vip announces by ARP.',
    source: 'antrea-io/antrea PR #3816',
    date: '2026-08',
  },
  {
    id: 'strict-arp-idle',
    severity: 'notice',
    title: 'strictARP without anybody who announces addresses',
    seen: (facts) =>
      when(
        valueOf(facts.settings)?.values.ipvsStrictArp === true &&
          modeOf(facts) === 'ipvs' &&
          valueOf(facts.processes) !== undefined &&
          announcerOf(facts) === undefined &&
          !runs(facts, 'antrea-agent') &&
          !runs(facts, 'keepalived'),
        'ipvs.strictARP is true; no MetalLB, kube-vip or keepalived runs here',
      ),
    why: 'Checklists for ipvs mode ask for it in any case. It changes how the whole node answers ARP, and is of use only beside a program that announces addresses by ARP.',
    prove: 'ps -eo args | grep -E "speaker|kube-vip|keepalived"',
    fix: 'Leave strictARP out.',
    source: 'metallb/metallb#153',
    date: '2026-08',
  },
];

function announcerOf(facts: Facts): string | undefined {
  return (['metallb-speaker', 'kube-vip'] as const).find((name) => runs(facts, name));
}

function hasServices(facts: Facts, family: Family): boolean {
  const addresses = servedServices(facts).flatMap(({ service }) => service.clusterIPs);
  return addresses.some((address) => familyOf(address) === family);
}

/** True when every port from `from` to `to` is in a list such as `8080,30000-32767`. */
function isReserved(list: string, from: number, to: number): boolean {
  const ranges = list
    .split(',')
    .map((range) => range.split('-').map(Number))
    .map(([first = 0, last = first]) => [first, last] as const)
    .toSorted(([left], [right]) => left - right);
  let next = from;
  for (const [first, last] of ranges) if (first <= next && last >= next) next = last + 1;
  return next > to;
}
