/** Faults of modes and of the configuration. */
import { slice } from '../clean-node.ts';
import {
  DEPRECATED,
  type Plant,
  all,
  text,
  added,
  proxy,
  inMode,
  inIpvs,
  objects,
  configMap,
} from './plant.ts';

export const MODE_PLANTS: readonly Plant[] = [
  { rule: 'ipvs-deprecated', change: inIpvs(), says: /ipvs mode/ },
  {
    rule: 'mode-unset',
    change: all(inMode(''), text('proxy-mode', 'iptables')),
    says: /mode is not in its configuration file/,
  },
  {
    rule: 'ipvs-old-kernel',
    change: all(inIpvs(), text('kernel', '5.4.0-200-generic')),
    says: /ipvs mode on kernel 5\.4\.0/,
    also: DEPRECATED,
  },
  {
    rule: 'ipvs-module-missing',
    change: all(inIpvs(), text('modules', 'ip_vs absent\nip_vs_rr absent')),
    says: /no module ip_vs/,
    also: DEPRECATED,
  },
  {
    rule: 'ipvs-scheduler-missing',
    change: all(inIpvs({ scheduler: 'mh' }), text('modules', 'ip_vs loaded\nip_vs_mh absent')),
    says: /scheduler is mh/,
    also: [...DEPRECATED, 'ipvs-scheduler-mh'],
  },
  {
    rule: 'ipvs-scheduler-weights',
    change: inIpvs({ scheduler: 'wlc' }),
    says: /wlc/,
    also: DEPRECATED,
  },
  { rule: 'ipvs-scheduler-mh', change: inIpvs({ scheduler: 'mh' }), says: /mh/, also: DEPRECATED },
  {
    rule: 'ipvs-no-periodic-check',
    change: all(inIpvs(), text('proxy-metrics', 'kubernetes_build_info{git_version="v1.34.1"} 1')),
    says: /kube-proxy v?1\.34\.1/,
    also: DEPRECATED,
  },
  {
    rule: 'nftables-old-kernel',
    change: text('kernel', '5.10.0-28-amd64'),
    says: /nftables mode on kernel 5\.10/,
  },
  {
    rule: 'nftables-old-nft',
    change: text('nft-version', 'nftables v0.9.8 (E.D.S.)'),
    says: /nft 0\.9\.8/,
  },
  {
    rule: 'nftables-slow-kernel',
    change: all(
      text('kernel', '6.1.0-28-amd64'),
      objects(
        slice(
          'shop/large',
          Object.fromEntries(
            Array.from({ length: 100_001 }, (_, at) => [
              `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`,
              'n1',
            ]),
          ),
        ),
      ),
    ),
    says: /^100002 endpoints|^100003 endpoints/,
  },
  {
    rule: 'localhost-node-ports-used',
    change: all(
      inMode('iptables'),
      added('proxy-metrics', 'kubeproxy_iptables_localhost_nodeports_accepted_packets_total 7'),
    ),
    says: /7 packets/,
  },
];

export const CONFIGURATION_PLANTS: readonly Plant[] = [
  {
    rule: 'config-mode-differs',
    change: proxy({ mode: 'iptables' }),
    says: /says iptables, and it answers nftables/,
  },
  {
    rule: 'flags-ignored',
    change: text('processes', '900 kube-proxy --config=/x --proxy-mode=ipvs --v=2'),
    says: /--proxy-mode$/,
  },
  {
    rule: 'config-unknown-fields',
    change: proxy({ ipvs: { strictArp: true } }),
    says: /ipvs\.strictArp/,
  },
  {
    rule: 'kubeadm-nested-config',
    change: objects(
      configMap('kubeadm-config', {
        ClusterConfiguration:
          'kind: ClusterConfiguration\nkube-proxy:\n  config:\n    mode: ipvs\n',
      }),
    ),
    says: /kubeadm-config/,
  },
  {
    rule: 'sync-failures',
    change: added(
      'proxy-metrics',
      'kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv6"} 3',
    ),
    says: /sync_failures_total is 3/,
  },
  {
    rule: 'cluster-cidr-missing',
    change: proxy({ clusterCIDR: '' }),
    says: /clusterCIDR is not in/,
  },
  {
    rule: 'exclude-cidrs-broken',
    change: inIpvs({ excludeCIDRs: ['192.0.2.0/24', '192.0.2.300'] }),
    says: /^192\.0\.2\.300$/,
    also: DEPRECATED,
  },
];
