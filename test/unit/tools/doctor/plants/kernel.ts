/** Faults of connection tracking and settings of the kernel. */
import { IPTABLES_SAVE, link } from '../clean-node.ts';
import {
  DEPRECATED,
  type Plant,
  all,
  text,
  added,
  proxy,
  inIpvs,
  sysctl,
  linksAdded,
  runs,
  served,
} from './plant.ts';

export const CONNTRACK_PLANTS: readonly Plant[] = [
  {
    rule: 'conntrack-nearly-full',
    change: sysctl('net.netfilter.nf_conntrack_count', '110000'),
    says: /110000 of 131072/,
  },
  {
    rule: 'conntrack-drops',
    change: text('conntrack-counters', 'drop early_drop\n0000000a 00000000\n00000006 00000000'),
    says: /^drop is 16 /,
  },
  {
    rule: 'conntrack-hash-small',
    change: sysctl('net.netfilter.nf_conntrack_buckets', '16384'),
    says: /16384 buckets for 131072/,
  },
  {
    rule: 'conntrack-max-overwritten',
    change: added(
      'sysctl-files',
      '/etc/sysctl.d/99-big.conf:net/netfilter/nf_conntrack_max=2000000',
    ),
    says: /99-big\.conf sets 2000000, the proxy sets 131072/,
  },
  {
    rule: 'conntrack-max-lowered',
    change: sysctl('net.netfilter.nf_conntrack_max', '65536'),
    says: /65536, and the proxy set 131072/,
  },
  {
    rule: 'ipvs-udp-timeout',
    change: inIpvs({ udpTimeout: '5m0s' }),
    says: /300 s, nf_conntrack_udp_timeout 30 s/,
    also: DEPRECATED,
  },
  {
    rule: 'invalid-drop-with-dsr',
    change: all(
      text(
        'iptables-save',
        IPTABLES_SAVE.replace(
          'COMMIT\n*filter',
          'COMMIT\n*filter\n-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
        ),
      ),
      served('shop/dsr', {}, { annotations: { 'service.antrea.io/load-balancer-mode': 'dsr' } }),
    ),
    says: /shop\/dsr/,
  },
  {
    rule: 'conn-tab-bits-sysctl',
    change: added('sysctl-files', '/etc/sysctl.conf:net.ipv4.vs.conn_tab_bits = 20'),
    says: /sysctl\.conf: net\.ipv4\.vs\.conn_tab_bits = 20/,
  },
  {
    rule: 'modprobe-without-a',
    change: added(
      'modprobe',
      '/etc/rc.local:modprobe ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh nf_conntrack',
    ),
    says: /ip_vs ip_vs_rr/,
  },
  {
    rule: 'be-liberal-late',
    change: proxy({ conntrack: { tcpBeLiberal: true } }),
    says: /tcp_be_liberal is 0/,
  },
];

export const KERNEL_PLANTS: readonly Plant[] = [
  { rule: 'ip-forward-off', change: sysctl('net.ipv4.ip_forward', '0'), says: /ip_forward is 0/ },
  {
    rule: 'ipv6-forward-off',
    change: all(
      served('shop/six', { clusterIP: 'fd00::10' }),
      sysctl('net.ipv6.conf.all.forwarding', '0'),
    ),
    says: /forwarding is 0/,
  },
  {
    rule: 'ipv6-disabled',
    change: all(
      served('shop/six', { clusterIP: 'fd00::10' }),
      sysctl('net.ipv6.conf.all.disable_ipv6', '1'),
    ),
    says: /disable_ipv6 is 1/,
  },
  {
    rule: 'bridge-nf-off',
    change: sysctl('net.bridge.bridge-nf-call-iptables', '0'),
    says: /call-iptables is 0.*flannel/,
  },
  {
    rule: 'bridge-nf-off',
    change: (node) => text('sysctl', node.texts.sysctl.replace(/^net\.bridge.*\n/m, ''))(node),
    says: /br_netfilter is not loaded/,
  },
  {
    rule: 'rp-filter-strict',
    change: all(
      linksAdded(link('eth1.20', 1500, '', ['192.0.2.5'])),
      sysctl('net.ipv4.conf.eth1/20.rp_filter', '1'),
    ),
    says: /eth1\.20; the default route is by eth0/,
    also: ['node-ports-primary-only'],
  },
  {
    rule: 'route-localnet-open',
    change: all(sysctl('net.ipv4.conf.all.route_localnet', '1'), (node) =>
      text(
        'iptables-save',
        node.texts['iptables-save'].replace(/^-A KUBE-FIREWALL .*\n/m, ''),
      )(node),
    ),
    says: /route_localnet is 1/,
  },
  {
    rule: 'node-ports-ephemeral',
    change: sysctl('net.ipv4.ip_local_port_range', '1024\t65535'),
    says: /1024 to 65535/,
  },
  {
    rule: 'ipvs-sysctl-reset',
    change: all(inIpvs(), sysctl('net.ipv4.vs.conntrack', '0')),
    says: /vs\.conntrack is 0/,
    also: DEPRECATED,
  },
  {
    rule: 'conn-reuse-mode-zero',
    change: all(inIpvs(), sysctl('net.ipv4.vs.conn_reuse_mode', '0')),
    says: /conn_reuse_mode is 0 on kernel 6\.12/,
    also: DEPRECATED,
  },
  {
    rule: 'strict-arp-missing',
    change: all(inIpvs(), runs('950 /speaker --port=7472')),
    says: /metallb-speaker/,
    also: DEPRECATED,
  },
  {
    rule: 'strict-arp-with-antrea',
    change: all(inIpvs({ strictARP: true }), runs('950 antrea-agent')),
    says: /antrea-agent/,
    also: DEPRECATED,
  },
  {
    rule: 'strict-arp-idle',
    change: inIpvs({ strictARP: true }),
    says: /strictARP is true/,
    also: DEPRECATED,
  },
];
