/** Options of the data planes, one section for each. */
import { type PlaneMode, type ProxyMode, option } from '../option.ts';
import { CIDRS, NOT_NEGATIVE, POSITIVE, between } from '../rules.ts';
import { BOOL, DURATION, INT32, LIST, STRING, choice } from '../value-types.ts';

const MARKING: readonly PlaneMode[] = ['iptables', 'ipvs'];
const IPTABLES: readonly PlaneMode[] = ['iptables'];
const IPVS: readonly PlaneMode[] = ['ipvs'];
const NFTABLES: readonly PlaneMode[] = ['nftables'];
const WINDOWS = 'Windows only';

const MARK_BIT = between(0, 31);
const DEFAULT_MARK_BIT = 14;
const SYNC_MS = 30_000;

const SYNC_HELP =
  'a change that waits for the kernel twice as long makes the node unhealthy; nothing is written again periodically';
const MIN_SYNC_HELP = 'shortest time between two programming runs; 0: --coalesce-window';
const MASQUERADE_HELP = 'masquerade all traffic to cluster IPs';

/** Which data plane. */
export const MODE = {
  mode: option({
    type: choice<ProxyMode>(
      { '': 'auto', nftables: 'nftables', ipvs: 'ipvs', iptables: 'iptables', auto: 'auto' },
      (mode) => (mode === 'auto' ? '' : mode),
    ),
    default: 'auto',
    flag: 'proxy-mode',
    field: 'mode',
    help: 'data plane (auto or empty: the best one that the node supports)',
  }),
};

/** Settings for iptables mode. */
export const IPTABLES_MODE = {
  iptablesMasqueradeBit: option({
    type: INT32,
    default: DEFAULT_MARK_BIT,
    flag: 'iptables-masquerade-bit',
    field: 'iptables.masqueradeBit',
    modes: MARKING,
    rule: MARK_BIT,
    help: 'bit of the packet mark that asks for masquerading',
  }),
  iptablesMasqueradeAll: option({
    type: BOOL,
    default: false,
    flag: 'masquerade-all',
    field: 'iptables.masqueradeAll',
    modes: MARKING,
    collapses: true,
    help: MASQUERADE_HELP,
  }),
  iptablesLocalhostNodePorts: option({
    type: BOOL,
    default: true,
    flag: 'iptables-localhost-nodeports',
    field: 'iptables.localhostNodePorts',
    modes: IPTABLES,
    help: 'serve node ports on 127.0.0.1',
  }),
  iptablesSyncPeriod: option({
    type: DURATION,
    default: SYNC_MS,
    flag: 'iptables-sync-period',
    field: 'iptables.syncPeriod',
    zeroIsDefault: true,
    modes: IPTABLES,
    collapses: true,
    rule: POSITIVE,
    ruleInModes: true,
    help: SYNC_HELP,
  }),
  iptablesMinSyncPeriod: option({
    type: DURATION,
    default: 0,
    defaultText: '0s (kube-proxy: 1s)',
    flag: 'iptables-min-sync-period',
    field: 'iptables.minSyncPeriod',
    modes: IPTABLES,
    collapses: true,
    shownForZero: '1s',
    rule: NOT_NEGATIVE,
    ruleInModes: true,
    help: MIN_SYNC_HELP,
  }),
};

/** Settings for ipvs mode. */
export const IPVS_MODE = {
  ipvsSyncPeriod: option({
    type: DURATION,
    default: SYNC_MS,
    flag: 'ipvs-sync-period',
    field: 'ipvs.syncPeriod',
    zeroIsDefault: true,
    modes: IPVS,
    collapses: true,
    rule: POSITIVE,
    ruleInModes: true,
    help: SYNC_HELP,
  }),
  ipvsMinSyncPeriod: option({
    type: DURATION,
    default: 0,
    defaultText: '0s (kube-proxy: 1s as a flag)',
    flag: 'ipvs-min-sync-period',
    field: 'ipvs.minSyncPeriod',
    modes: IPVS,
    collapses: true,
    rule: NOT_NEGATIVE,
    ruleInModes: true,
    help: MIN_SYNC_HELP,
  }),
  ipvsScheduler: option({
    type: STRING,
    default: '',
    defaultText: 'rr',
    flag: 'ipvs-scheduler',
    field: 'ipvs.scheduler',
    modes: IPVS,
    help: 'how the kernel picks an endpoint',
  }),
  ipvsExcludeCidrs: option({
    type: LIST,
    default: [],
    flag: 'ipvs-exclude-cidrs',
    field: 'ipvs.excludeCIDRs',
    modes: IPVS,
    rule: CIDRS,
    ruleInModes: true,
    help: 'checked, and without effect: virtual servers of others are never touched, wherever they are',
  }),
  ipvsStrictArp: option({
    type: BOOL,
    default: false,
    flag: 'ipvs-strict-arp',
    field: 'ipvs.strictARP',
    modes: IPVS,
    help: 'answer ARP for an address only on the interface that has it',
  }),
  ipvsTcpTimeout: option({
    type: DURATION,
    default: 0,
    flag: 'ipvs-tcp-timeout',
    field: 'ipvs.tcpTimeout',
    modes: IPVS,
    rule: NOT_NEGATIVE,
    ruleInModes: true,
    help: 'time until an idle TCP connection is forgotten; 0: as the kernel has it',
  }),
  ipvsTcpFinTimeout: option({
    type: DURATION,
    default: 0,
    flag: 'ipvs-tcpfin-timeout',
    field: 'ipvs.tcpFinTimeout',
    modes: IPVS,
    rule: NOT_NEGATIVE,
    ruleInModes: true,
    help: 'the same after a FIN',
  }),
  ipvsUdpTimeout: option({
    type: DURATION,
    default: 0,
    flag: 'ipvs-udp-timeout',
    field: 'ipvs.udpTimeout',
    modes: IPVS,
    rule: NOT_NEGATIVE,
    ruleInModes: true,
    help: 'the same for UDP',
  }),
};

/** Settings for nftables mode. kube-proxy has no flags for them but those of iptables mode. */
export const NFTABLES_MODE = {
  nftablesMasqueradeBit: option({
    type: INT32,
    default: DEFAULT_MARK_BIT,
    field: 'nftables.masqueradeBit',
    modes: NFTABLES,
    rule: MARK_BIT,
    ruleInModes: true,
    help: 'bit of the packet mark that asks for masquerading',
    ignored: 'our rules use no packet mark',
  }),
  nftablesMasqueradeAll: option({
    type: BOOL,
    default: false,
    sharesFlag: 'masquerade-all',
    field: 'nftables.masqueradeAll',
    modes: NFTABLES,
    collapses: true,
    help: MASQUERADE_HELP,
  }),
  nftablesSyncPeriod: option({
    type: DURATION,
    default: SYNC_MS,
    sharesFlag: 'iptables-sync-period',
    field: 'nftables.syncPeriod',
    zeroIsDefault: true,
    modes: NFTABLES,
    collapses: true,
    rule: POSITIVE,
    ruleInModes: true,
    help: SYNC_HELP,
  }),
  nftablesMinSyncPeriod: option({
    type: DURATION,
    default: 0,
    defaultText: '0s (kube-proxy: 1s)',
    sharesFlag: 'iptables-min-sync-period',
    field: 'nftables.minSyncPeriod',
    modes: NFTABLES,
    collapses: true,
    shownForZero: '1s',
    rule: NOT_NEGATIVE,
    ruleInModes: true,
    help: MIN_SYNC_HELP,
  }),
};

/** Settings for Windows. */
export const WINDOWS_MODE = {
  winNetworkName: option({
    type: STRING,
    default: '',
    flag: 'network-name',
    field: 'winkernel.networkName',
    help: 'name of the HNS network',
    ignored: WINDOWS,
  }),
  winSourceVip: option({
    type: STRING,
    default: '',
    flag: 'source-vip',
    field: 'winkernel.sourceVip',
    help: 'source address of load-balanced traffic',
    ignored: WINDOWS,
  }),
  winEnableDsr: option({
    type: BOOL,
    default: false,
    flag: 'enable-dsr',
    field: 'winkernel.enableDSR',
    help: 'direct server return',
    ignored: WINDOWS,
  }),
  winRootHnsEndpointName: option({
    type: STRING,
    default: '',
    flag: 'root-hnsendpoint-name',
    field: 'winkernel.rootHnsEndpointName',
    help: 'name of the root HNS endpoint',
    ignored: WINDOWS,
  }),
  winForwardHealthCheckVip: option({
    type: BOOL,
    default: false,
    flag: 'forward-healthcheck-vip',
    field: 'winkernel.forwardHealthCheckVip',
    help: 'forward health checks of load balancers',
    ignored: WINDOWS,
  }),
};

/** The settings of each mode for its longest and shortest time between two programming runs. */
export const PERIODS = {
  iptables: { period: 'iptablesSyncPeriod', least: 'iptablesMinSyncPeriod' },
  ipvs: { period: 'ipvsSyncPeriod', least: 'ipvsMinSyncPeriod' },
  nftables: { period: 'nftablesSyncPeriod', least: 'nftablesMinSyncPeriod' },
} as const;
