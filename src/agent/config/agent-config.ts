/** What the daemon works with, made from the settings. */
import { type Address, type Cidr, type Family, isUnspecified } from '../../core/ip.ts';
import { servesLocalhost } from '../../core/node-addresses.ts';
import {
  type ListenAddress,
  parseListenAddress,
  parseSloppyAddress,
  parseSloppyCidr,
} from './addresses.ts';
import type { LoadedConfig } from './load.ts';
import type { PlaneMode } from './option.ts';
import type { Settings } from './options.ts';
import { PERIODS } from './options/modes.ts';
import { JSON_CONTENT, WATCH_LIST } from './options/process.ts';
import type { VModule } from './value-types.ts';

/** How traffic of the node's own pods is recognised (kube-proxy: detectLocalMode). */
export type DetectLocal =
  /** At most one CIDR of each family; none: nothing is recognised. */
  | { readonly mode: 'ClusterCIDR'; readonly cidrs: readonly Cidr[] }
  /** The pod CIDRs of the Node object. */
  | { readonly mode: 'NodeCIDR' }
  | { readonly mode: 'BridgeInterface'; readonly name: string }
  | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string };

/** Where Services come from. */
type ObjectSource =
  /** A file, or a folder of them. */
  | { readonly kind: 'manifests'; readonly path: string }
  | {
      readonly kind: 'api';
      /** `undefined`: the configuration of the pod, unless there is a `master`. */
      readonly kubeconfig: string | undefined;
      /** URL that takes the place of the one in the kubeconfig. */
      readonly master: string | undefined;
      readonly contentType: 'json' | 'protobuf';
      /** Get the first objects through the watch (KEP-3157). */
      readonly watchList: boolean;
    };

/** Connection tracking. 0: as the kernel has it. Times are in milliseconds. */
export interface ConntrackConfig {
  readonly maxPerCore: number;
  readonly min: number;
  readonly tcpEstablishedMs: number;
  readonly tcpCloseWaitMs: number;
  readonly tcpBeLiberal: boolean;
  readonly udpMs: number;
  readonly udpStreamMs: number;
}

/** What is logged. */
interface LoggingConfig {
  readonly format: 'text' | 'json';
  readonly verbosity: number;
  readonly vmodule: readonly VModule[];
}

/** Settings of ipvs mode only. 0: as the kernel has it. Times are in milliseconds. */
interface IpvsConfig {
  readonly scheduler: string;
  readonly strictArp: boolean;
  readonly tcpMs: number;
  readonly tcpFinMs: number;
  readonly udpMs: number;
  readonly bindMode: 'route' | 'address';
  readonly drainMs: number;
}

/** Options that were checked. */
export interface AgentConfig {
  readonly source: ObjectSource;
  /** Name of the Node object this machine is. */
  readonly nodeName: string;
  readonly mode: PlaneMode;
  /** `undefined`: those the kernel has. */
  readonly families: readonly Family[] | undefined;
  readonly detectLocal: DetectLocal;
  /** No CIDR: every address. */
  readonly nodePortAddresses: 'primary' | readonly Cidr[];
  readonly masqueradeAll: boolean;
  /** Least time between two batches, in milliseconds. */
  readonly coalesceMs: number;
  /** Longest time until a disturbance by others is looked into, in milliseconds. */
  readonly verifyMs: number;
  /** A change that waits for the kernel twice as long makes the node unhealthy, in milliseconds. */
  readonly syncPeriodMs: number;
  /** kube-proxy's least time between two programming runs, in milliseconds, if the user wants one. */
  readonly minSyncPeriodMs: number | undefined;
  /** How many Service ports get traffic counters. */
  readonly serviceMetrics: number;
  /** The node's own address, if not the one of the Node object. */
  readonly bindAddress: Address | undefined;
  /** `undefined`: no such server. */
  readonly healthAddress: ListenAddress | undefined;
  /** `undefined`: no such server. */
  readonly metricsAddress: ListenAddress | undefined;
  /** Path of the socket on which tools ask; `undefined`: none. */
  readonly statusSocket: string | undefined;
  /** End when an address cannot be listened on. */
  readonly bindHardFail: boolean;
  readonly profiling: boolean;
  readonly oomScoreAdj: number;
  readonly conntrack: ConntrackConfig;
  readonly logging: LoggingConfig;
  /** Bit of the packet mark that asks for masquerading, 0 to 31; nftables mode uses none. */
  readonly masqueradeBit: number;
  readonly ipvs: IpvsConfig;
  /** Node ports are served on 127.0.0.1; never in other modes than iptables. */
  readonly iptables: { readonly localhostNodePorts: boolean };
}

/** @param mode - The mode that runs: where the settings say `auto`, the one that was found best. */
export function agentConfig({ settings, nodeName }: LoadedConfig, mode: PlaneMode): AgentConfig {
  const bindAddress = parseSloppyAddress(settings.bindAddress);
  const isBound = bindAddress !== undefined && !isUnspecified(bindAddress);
  const nodePortAddresses =
    settings.nodePortAddresses[0] === 'primary' ? 'primary' : cidrs(settings.nodePortAddresses);
  return {
    source: objectSource(settings),
    nodeName,
    mode,
    families: settings.ipFamilies.length === 0 ? undefined : settings.ipFamilies,
    detectLocal: detectLocal(settings),
    nodePortAddresses,
    coalesceMs: settings.coalesceWindow,
    verifyMs: settings.verifyInterval,
    ...ofMode(settings, mode),
    serviceMetrics: settings.serviceMetrics,
    bindAddress: isBound ? bindAddress : undefined,
    healthAddress: parseListenAddress(settings.healthzBindAddress),
    metricsAddress: parseListenAddress(settings.metricsBindAddress),
    statusSocket: settings.statusSocket === '' ? undefined : settings.statusSocket,
    bindHardFail: settings.bindAddressHardFail,
    profiling: settings.enableProfiling,
    oomScoreAdj: settings.oomScoreAdj,
    conntrack: conntrack(settings),
    logging: {
      format: settings.logFormat,
      verbosity: settings.verbosity,
      vmodule: settings.vmodule,
    },
    ipvs: ipvs(settings),
    iptables: {
      localhostNodePorts:
        mode === 'iptables' &&
        settings.iptablesLocalhostNodePorts &&
        servesLocalhost(nodePortAddresses),
    },
  };
}

function objectSource(settings: Settings): ObjectSource {
  const { manifests, kubeconfig, master, contentType, featureGates } = settings;
  if (manifests !== '') return { kind: 'manifests', path: manifests };
  return {
    kind: 'api',
    kubeconfig: kubeconfig === '' ? undefined : kubeconfig,
    master: master === '' ? undefined : master,
    contentType: contentType === JSON_CONTENT ? 'json' : 'protobuf',
    watchList: featureGates[WATCH_LIST] ?? true,
  };
}

function detectLocal(settings: Settings): DetectLocal {
  const { detectLocalMode: mode } = settings;
  if (mode === 'ClusterCIDR') return { mode, cidrs: cidrs(settings.clusterCidr) };
  if (mode === 'NodeCIDR') return { mode };
  if (mode === 'BridgeInterface') return { mode, name: settings.podBridgeInterface };
  return { mode, prefix: settings.podInterfaceNamePrefix };
}

/** What kube-proxy has once for each mode. ipvs mode takes what is about masquerading from iptables mode. */
function ofMode(
  settings: Settings,
  mode: PlaneMode,
): Pick<AgentConfig, 'masqueradeAll' | 'masqueradeBit' | 'syncPeriodMs' | 'minSyncPeriodMs'> {
  const { period, least } = PERIODS[mode];
  const isNftables = mode === 'nftables';
  return {
    masqueradeAll: isNftables ? settings.nftablesMasqueradeAll : settings.iptablesMasqueradeAll,
    masqueradeBit: isNftables ? settings.nftablesMasqueradeBit : settings.iptablesMasqueradeBit,
    syncPeriodMs: settings[period],
    // In a file, 0 means that nobody set it.
    minSyncPeriodMs: settings[least] === 0 ? undefined : settings[least],
  };
}

function conntrack(settings: Settings): ConntrackConfig {
  return {
    maxPerCore: settings.conntrackMaxPerCore,
    min: settings.conntrackMin,
    tcpEstablishedMs: settings.conntrackTcpEstablishedTimeout,
    tcpCloseWaitMs: settings.conntrackTcpCloseWaitTimeout,
    tcpBeLiberal: settings.conntrackTcpBeLiberal,
    udpMs: settings.conntrackUdpTimeout,
    udpStreamMs: settings.conntrackUdpStreamTimeout,
  };
}

function ipvs(settings: Settings): IpvsConfig {
  return {
    scheduler: settings.ipvsScheduler === '' ? 'rr' : settings.ipvsScheduler,
    strictArp: settings.ipvsStrictArp,
    tcpMs: settings.ipvsTcpTimeout,
    tcpFinMs: settings.ipvsTcpFinTimeout,
    udpMs: settings.ipvsUdpTimeout,
    bindMode: settings.bindMode,
    drainMs: settings.drainPeriod,
  };
}

/** CIDRs that were checked before. */
function cidrs(texts: readonly string[]): readonly Cidr[] {
  return texts.flatMap((text) => parseSloppyCidr(text) ?? []);
}
