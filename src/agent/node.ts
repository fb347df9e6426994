/** What the agent knows of its node, put into the form that decisions and data planes need. */
import {
  type Address,
  type Cidr,
  type Family,
  familyOf,
  formatCidr,
  isLinkLocal,
  isLoopback,
} from '../core/ip.ts';
import type { NodeObject } from '../core/model.ts';
import type { LocalTraffic, NodeView, PlaneSettings } from '../core/node.ts';
import {
  healthCheckAddresses,
  primaryAddresses,
  resolveNodePortAddresses,
} from '../core/node-addresses.ts';
import type { HealthCheckAddresses } from './http/service-health.ts';
import type { AgentConfig, DetectLocal } from './config/agent-config.ts';

/** The options that {@link describeNode} needs. */
export interface NodeOptions extends Pick<
  AgentConfig,
  'nodeName' | 'families' | 'detectLocal' | 'nodePortAddresses' | 'masqueradeAll' | 'iptables'
> {
  /** Unless unspecified: stands for the Node in its family, and makes that family the primary one. */
  readonly bindAddress?: Address | undefined;
  /** How many Service ports have their traffic counted. */
  readonly serviceMetrics?: number;
  /** Where the Node comes from. An API server has one for each machine; manifests need none. */
  readonly source?: { readonly kind: 'api' | 'manifests' };
}

/** What was found out about the node. */
export interface NodeFacts {
  /** The Node object, if there is one. */
  readonly object: NodeObject | undefined;
  /**
   * The last Node object of the API server that had addresses: it goes on counting when the Node is
   * deleted, or loses its addresses, under traffic.
   */
  readonly lastGood?: NodeObject | undefined;
  /** Ranges of all ServiceCIDRs, each once, in a fixed order. */
  readonly serviceCidrs?: readonly Cidr[];
  /** What the interfaces hold now, loopback included. */
  readonly interfaceAddresses: readonly Address[];
  /** Families the kernel has. */
  readonly families: readonly Family[];
}

/** The node as decisions and data planes see it. */
export interface NodeDescription {
  readonly view: NodeView;
  readonly settings: PlaneSettings;
  readonly healthCheckAddresses: HealthCheckAddresses;
  /** Whether load balancers may send traffic here (`/healthz`). */
  readonly eligible: boolean;
  /** What an operator should know, one sentence each. */
  readonly problems: readonly string[];
  /**
   * Why the agent must not start: options that contradict this node. It is among the problems, too; an
   * agent that runs already reports it as such and goes on.
   */
  readonly fatal: string | undefined;
}

/** Puts options and facts together. */
export function describeNode(options: NodeOptions, facts: NodeFacts): NodeDescription {
  const { nodeName, nodePortAddresses, bindAddress, source, iptables } = options;
  const { object, interfaceAddresses } = facts;
  const families = options.families ?? facts.families;
  const known = knownNode(options, facts);
  const podCIDRs = known?.podCIDRs ?? [];
  const primary = primaryAddresses(known, bindAddress);
  const view: NodeView = {
    name: nodeName,
    zone: known?.zone,
    primaryAddresses: primary,
    nodePortAddresses: resolveNodePortAddresses(
      nodePortAddresses,
      primary,
      interfaceAddresses,
      iptables.localhostNodePorts,
    ),
  };
  const listeners: { [F in Family]?: 'any' | readonly Address[] } = {};
  for (const family of families) {
    const chosen = healthCheckAddresses(nodePortAddresses, family, primary, interfaceAddresses);
    listeners[family] = chosen;
  }
  const mismatch = cidrMismatch(options, families, primary, podCIDRs);
  return {
    view,
    settings: {
      families,
      masqueradeAll: options.masqueradeAll,
      serviceCidrs: facts.serviceCidrs ?? [],
      countedPorts: options.serviceMetrics ?? 0,
      localTraffic: localTraffic(options.detectLocal, families, podCIDRs),
    },
    healthCheckAddresses: listeners,
    eligible: object?.eligible ?? source?.kind !== 'api',
    problems: [
      ...missingFacts(options, facts, view),
      ...notServed(options, facts, families, view),
      ...(mismatch === undefined ? [] : [mismatch.problem]),
    ],
    fatal: mismatch?.isFatal === true ? mismatch.problem : undefined,
  };
}

/** The Node to go by. What the API server does not say is as it was; what manifests do not say, the interfaces do. */
function knownNode(
  { nodeName, source }: NodeOptions,
  { object, lastGood, interfaceAddresses }: NodeFacts,
): NodeObject | undefined {
  const fallback = source?.kind === 'api' ? lastGood : standIn(nodeName, interfaceAddresses);
  if (object === undefined || object.addresses.length > 0) return object ?? fallback;
  return { ...object, addresses: fallback?.addresses ?? [] };
}

/** A Node whose addresses are those that others can reach it by. */
function standIn(name: string, interfaceAddresses: readonly Address[]): NodeObject {
  const addresses = interfaceAddresses.filter(
    (address) => !isLoopback(address) && !isLinkLocal(address),
  );
  return { name, zone: undefined, addresses, podCIDRs: [], eligible: true };
}

/** What the Node does not say. */
function* missingFacts(
  options: NodeOptions,
  { object, lastGood }: NodeFacts,
  { primaryAddresses: primary }: NodeView,
): Iterable<string> {
  const { nodeName, nodePortAddresses, detectLocal, source } = options;
  if (source?.kind === 'api' && (object === undefined || object.addresses.length === 0)) {
    const isDark = nodePortAddresses === 'primary' && primary.length === 0;
    const unknown = isDark ? 'node ports are not served' : 'its addresses are not known';
    const effect = lastGood === undefined ? unknown : 'what it said before goes on counting';
    if (object !== undefined) {
      yield `The Node ${nodeName} has neither InternalIP nor ExternalIP: ${effect}`;
    } else if (lastGood === undefined) {
      yield `The API server has no Node ${nodeName}: ${effect}; if this machine has another name there, set --hostname-override`;
    } else {
      yield `The Node ${nodeName} was deleted: ${effect}`;
    }
  }
  const podCIDRs = (object ?? lastGood)?.podCIDRs ?? [];
  if (detectLocal.mode === 'NodeCIDR' && podCIDRs.length === 0) {
    yield `The Node ${nodeName} has no podCIDRs: no traffic counts as local`;
  }
}

/** What is not served although the node has an address for it. */
function* notServed(
  options: NodeOptions,
  { interfaceAddresses }: NodeFacts,
  families: readonly Family[],
  { primaryAddresses: primary, nodePortAddresses }: NodeView,
): Iterable<string> {
  const [first] = primary;
  if (options.families === undefined && first !== undefined) {
    const family = familyOf(first);
    if (!families.includes(family)) {
      yield `This kernel lacks ${family}, the primary family of the node: no Service is served in ${family}`;
    }
  }
  if (options.nodePortAddresses !== 'primary') return;
  for (const address of primary) {
    const family = familyOf(address);
    if (!families.includes(family) || nodePortAddresses.includes(address)) continue;
    const why = interfaceAddresses.includes(address)
      ? `${address}, the ${family} address of the Node, is loopback or link-local`
      : `No interface has ${address}, the ${family} address of the Node`;
    yield `${why}: node ports are not served in ${family}`;
  }
}

/** CIDRs of local traffic of which none is of the family that this node needs first. */
function cidrMismatch(
  { nodeName, detectLocal }: NodeOptions,
  families: readonly Family[],
  [primary]: readonly Address[],
  podCIDRs: readonly Cidr[],
): { readonly problem: string; readonly isFatal: boolean } | undefined {
  if (detectLocal.mode !== 'ClusterCIDR' && detectLocal.mode !== 'NodeCIDR') return undefined;
  const isNode = detectLocal.mode === 'NodeCIDR';
  const isSingle = families.length === 1;
  const family = isSingle ? families[0] : primary && familyOf(primary);
  const cidrs = isNode ? podCIDRs : detectLocal.cidrs;
  if (family === undefined || cidrs.length === 0) return undefined;
  if (cidrs.some((cidr) => cidr.family === family)) return undefined;
  const what = isNode ? `The podCIDRs of the Node ${nodeName}` : 'The cluster CIDRs';
  const role = isSingle ? 'only' : 'primary';
  return {
    problem: `${what} (${cidrs.map(formatCidr).join(', ')}) have no ${family} range, the ${role} family of this node: no ${family} traffic counts as local`,
    isFatal: isNode || isSingle,
  };
}

function localTraffic(
  detect: DetectLocal,
  families: readonly Family[],
  podCIDRs: readonly Cidr[],
): PlaneSettings['localTraffic'] {
  const found: { [F in Family]?: LocalTraffic } = {};
  for (const family of families) {
    if (detect.mode === 'BridgeInterface') {
      found[family] = { kind: 'interface', name: detect.name };
    } else if (detect.mode === 'InterfaceNamePrefix') {
      found[family] = { kind: 'interfacePrefix', prefix: detect.prefix };
    } else {
      const cidrs = detect.mode === 'NodeCIDR' ? podCIDRs : detect.cidrs;
      const cidr = cidrs.find((candidate) => candidate.family === family);
      if (cidr !== undefined) found[family] = { kind: 'cidr', cidr };
    }
  }
  return found;
}
