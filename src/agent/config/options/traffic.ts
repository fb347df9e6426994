/** Options of local traffic, node ports and the kernel, what is left of kube-proxy's, and our own. */
import { option } from '../option.ts';
import { parseSloppyCidr } from '../addresses.ts';
import { NOT_NEGATIVE, POSITIVE, between } from '../rules.ts';
import {
  BOOL,
  COMMA_LIST,
  DURATION,
  INT32,
  LIST,
  STRING,
  type ValueType,
  choice,
  textType,
} from '../value-types.ts';
import type { Family } from '../../../core/ip.ts';

/** How traffic of the node's own pods is recognised. */
export type DetectLocalMode =
  'ClusterCIDR' | 'NodeCIDR' | 'BridgeInterface' | 'InterfaceNamePrefix';

const HOUR_MS = 3_600_000;
const OWN = 'SwitchyardConfiguration';

/** sun_path of linux/un.h has 108 bytes; some are for the name that the socket has until it is ready. */
const MAX_SOCKET_PATH = 90;

/** What counts as local, and where node ports are served. */
export const TRAFFIC = {
  detectLocalMode: option({
    type: choice<DetectLocalMode>({
      '': 'ClusterCIDR',
      ClusterCIDR: 'ClusterCIDR',
      NodeCIDR: 'NodeCIDR',
      BridgeInterface: 'BridgeInterface',
      InterfaceNamePrefix: 'InterfaceNamePrefix',
    }),
    default: 'ClusterCIDR',
    flag: 'detect-local-mode',
    field: 'detectLocalMode',
    help: 'how traffic of local pods is recognised',
  }),
  podBridgeInterface: option({
    type: STRING,
    default: '',
    flag: 'pod-bridge-interface',
    field: 'detectLocal.bridgeInterface',
    help: 'for BridgeInterface: the bridge of the pods',
  }),
  podInterfaceNamePrefix: option({
    type: STRING,
    default: '',
    flag: 'pod-interface-name-prefix',
    field: 'detectLocal.interfaceNamePrefix',
    help: 'for InterfaceNamePrefix: how names of pod interfaces begin',
  }),
  clusterCidr: option({
    type: COMMA_LIST,
    default: [],
    flag: 'cluster-cidr',
    field: 'clusterCIDR',
    help: 'for ClusterCIDR: addresses of pods, at most one CIDR of each family; traffic from elsewhere is masqueraded',
  }),
  nodePortAddresses: option({
    type: LIST,
    default: [],
    defaultText: 'none; in nftables mode and with auto: primary',
    flag: 'nodeport-addresses',
    field: 'nodePortAddresses',
    rule: {
      expected: 'CIDRs such as 192.0.2.0/24, or primary alone',
      keeps: (values) =>
        (values.length === 1 && values[0] === 'primary') ||
        values.every((value) => parseSloppyCidr(value) !== undefined),
    },
    help: 'where node ports are served: primary, or CIDRs; none: on every address',
  }),
};

/** Settings of this process and of connection tracking in the kernel. */
export const KERNEL = {
  oomScoreAdj: option({
    type: INT32,
    default: -999,
    flag: 'oom-score-adj',
    field: 'oomScoreAdj',
    rule: between(-1000, 1000),
    help: 'oom_score_adj of the process',
  }),
  conntrackMaxPerCore: option({
    type: INT32,
    default: 32_768,
    flag: 'conntrack-max-per-core',
    field: 'conntrack.maxPerCore',
    rule: NOT_NEGATIVE,
    help: 'connections to track for each CPU core; 0: as the kernel has it',
  }),
  conntrackMin: option({
    type: INT32,
    default: 131_072,
    flag: 'conntrack-min',
    field: 'conntrack.min',
    rule: NOT_NEGATIVE,
    help: 'connections to track at least',
  }),
  conntrackTcpEstablishedTimeout: option({
    type: DURATION,
    default: 24 * HOUR_MS,
    flag: 'conntrack-tcp-timeout-established',
    field: 'conntrack.tcpEstablishedTimeout',
    rule: NOT_NEGATIVE,
    help: 'time until an idle TCP connection is forgotten; 0: as the kernel has it',
  }),
  conntrackTcpCloseWaitTimeout: option({
    type: DURATION,
    default: HOUR_MS,
    flag: 'conntrack-tcp-timeout-close-wait',
    field: 'conntrack.tcpCloseWaitTimeout',
    rule: NOT_NEGATIVE,
    help: 'the same in CLOSE_WAIT',
  }),
  conntrackTcpBeLiberal: option({
    type: BOOL,
    default: false,
    flag: 'conntrack-tcp-be-liberal',
    field: 'conntrack.tcpBeLiberal',
    help: 'track TCP packets outside of the window, too',
  }),
  conntrackUdpTimeout: option({
    type: DURATION,
    default: 0,
    flag: 'conntrack-udp-timeout',
    field: 'conntrack.udpTimeout',
    rule: NOT_NEGATIVE,
    help: 'time until an unanswered UDP flow is forgotten; 0: as the kernel has it',
  }),
  conntrackUdpStreamTimeout: option({
    type: DURATION,
    default: 0,
    flag: 'conntrack-udp-timeout-stream',
    field: 'conntrack.udpStreamTimeout',
    rule: NOT_NEGATIVE,
    help: 'the same for an answered one',
  }),
};

/** What kube-proxy has besides. */
export const OTHERS = {
  configSyncPeriod: option({
    type: DURATION,
    default: 900_000,
    flag: 'config-sync-period',
    field: 'configSyncPeriod',
    zeroIsDefault: true,
    rule: POSITIVE,
    help: 'how often kube-proxy hands itself all objects again',
    ignored: 'no change is missed, so none has to be repeated',
  }),
  portRange: option({
    type: STRING,
    default: '',
    field: 'portRange',
    help: 'was for a mode that is gone',
    ignored: 'kube-proxy ignores it, too',
  }),
  windowsService: option({
    type: BOOL,
    default: false,
    flag: 'windows-service',
    field: 'windowsRunAsService',
    omitZero: true,
    help: 'run as a service',
    ignored: 'Windows only',
  }),
};

const FAMILIES: Readonly<Record<string, Family>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

function readFamilies(names: readonly string[] | undefined): readonly Family[] | undefined {
  const families = names?.map((name) => FAMILIES[name.toLowerCase()]) ?? [undefined];
  const known = families.filter((family) => family !== undefined);
  return known.length === families.length ? [...new Set(known)] : undefined;
}

const FAMILY_LIST: ValueType<readonly Family[]> = {
  name: 'list',
  expected: 'IPv4, IPv6 or both',
  zero: [],
  repeats: true,
  parse: (value) => readFamilies(LIST.parse(value)),
  decode: (value) => readFamilies(LIST.decode(value)),
  encode: (families) => families,
  format: (families) => families.join(','),
};

/** What only Switchyard has. */
export const SWITCHYARD = {
  manifests: option({
    type: textType('path'),
    default: '',
    flag: 'manifests',
    field: 'manifests',
    document: OWN,
    withFile: 'wins',
    help: 'YAML or JSON file, or a folder of them, to read Services from instead of an API server; watched',
  }),
  ipFamilies: option({
    type: FAMILY_LIST,
    default: [],
    defaultText: 'those the kernel has',
    flag: 'ip-families',
    field: 'ipFamilies',
    document: OWN,
    withFile: 'wins',
    help: 'IP families to serve: IPv4, IPv6 or both',
  }),
  coalesceWindow: option({
    type: DURATION,
    default: 2,
    flag: 'coalesce-window',
    field: 'coalesceWindow',
    document: OWN,
    withFile: 'wins',
    rule: NOT_NEGATIVE,
    help: 'least time between two batches for the kernel',
  }),
  verifyInterval: option({
    type: DURATION,
    default: 30_000,
    flag: 'verify-interval',
    field: 'verifyInterval',
    document: OWN,
    withFile: 'wins',
    rule: POSITIVE,
    help: 'longest time until changes by others are looked into',
  }),
  serviceMetrics: option({
    type: INT32,
    default: 0,
    flag: 'service-metrics',
    field: 'serviceMetrics',
    document: OWN,
    withFile: 'wins',
    // Reading the counters takes time with the square of their number.
    rule: between(0, 2000),
    help: 'how many Service ports get traffic counters; 0: none',
  }),
  statusSocket: option({
    type: textType('path'),
    default: '/run/switchyard/status.sock',
    flag: 'status-socket',
    field: 'statusSocket',
    document: OWN,
    withFile: 'wins',
    rule: {
      expected: `an absolute path of at most ${MAX_SOCKET_PATH} bytes, or empty`,
      keeps: (value) => value === '' || isSocketPath(value),
    },
    help: "Unix socket on which tools ask the agent (switchyard get); its folder is made, and must be root's alone; empty: none",
  }),
  stateFolder: option({
    type: textType('path'),
    default: '/var/lib/switchyard',
    flag: 'state-folder',
    field: 'stateFolder',
    document: OWN,
    withFile: 'wins',
    rule: { expected: 'an absolute path, or empty', keeps: (value) => /^$|^\//.test(value) },
    help: 'folder that keeps what a switch of the mode has come to (switchyard switch), over restarts; empty: none',
  }),
  bindMode: option({
    type: choice<'route' | 'address'>({ '': 'route', route: 'route', address: 'address' }),
    default: 'route',
    flag: 'bind-mode',
    field: 'bindMode',
    document: OWN,
    withFile: 'wins',
    modes: ['ipvs'],
    help: 'how kube-ipvs0 gets the addresses of Services: as local routes (faster), or as addresses that ip addr shows',
  }),
  drainPeriod: option({
    type: DURATION,
    default: 300_000,
    flag: 'drain-period',
    field: 'drainPeriod',
    document: OWN,
    withFile: 'wins',
    modes: ['ipvs'],
    rule: NOT_NEGATIVE,
    help: 'longest time that connections to an endpoint that goes away may last; a Service says otherwise with the annotation switchyard.dev/drain-seconds',
  }),
};

function isSocketPath(path: string): boolean {
  return /^\/.*[^/]$/.test(path) && Buffer.byteLength(path) <= MAX_SOCKET_PATH;
}
