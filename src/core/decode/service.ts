/** Decodes core/v1 Services. */
import type { Address, Family } from '../ip.ts';
import type { Service, ServicePort, ServiceType, TrafficPolicy } from '../model.ts';
import { trimmed } from '../trimmed.ts';
import { frontendFault, readAddress, readCidrs, readFrontendAddresses } from './addresses.ts';
import { at, child, describe, has, integer, items, list, oneOf, report, text } from './fields.ts';
import type { Cursor } from './fields.ts';
import { isLabel, metadata, root } from './metadata.ts';
import { PORT_RANGE, PROTOCOLS } from './ports.ts';
import type { Decoded, Problem } from './problem.ts';
import { readDrainSeconds, readScheduler, readWeights } from './tuning.ts';

/** Label: the Service is served by another proxy, whatever the label's value is. */
const FOREIGN_PROXY_LABEL = 'service.kubernetes.io/service-proxy-name';

const TYPES: readonly ServiceType[] = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'];
const POLICIES: readonly TrafficPolicy[] = ['Cluster', 'Local'];
const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];
/** Node port fields write 0 for "none". */
const NODE_PORT_RANGE = [0, 65_535] as const;
/** `timeoutSeconds` of client-IP affinity: default and limits of the API. */
const AFFINITY_DEFAULT = 10_800;
const AFFINITY_RANGE = [1, 86_400] as const;

/**
 * Decodes a Service. Values that cannot be used are left out and reported; there is no object only when
 * the value is none or has no valid name. Never throws.
 */
export function decodeService(value: unknown): Decoded<Service> {
  const problems: Problem[] = [];
  const object = root(value, problems);
  const meta = object && metadata(object);
  if (object === undefined || meta === undefined) return { object: undefined, problems };
  const spec = child(object, 'spec', 'the Service counts as empty');
  const type = oneOf(spec, 'type', TYPES, 'ClusterIP', 'it counts as ClusterIP') ?? 'ClusterIP';
  const addresses = type === 'ExternalName' ? NO_CLUSTER_IPS : readClusterIPs(spec);
  const ports = readPorts(spec);
  // Headless and ExternalName Services need no port; nothing is served for them anyway.
  if (ports.length === 0 && addresses.clusterIPs.length > 0) {
    report(spec, 'ports', 'has no usable port; the Service answers nowhere');
  }
  const loadBalancerIPs = readLoadBalancerIPs(object);
  const problemsBefore = problems.length;
  const closed = 'the load-balancer addresses are not served, rather than open to everybody';
  const sourceRanges = readCidrs(spec, 'loadBalancerSourceRanges', closed);
  const areRangesGood = problems.length === problemsBefore;
  return {
    object: {
      namespace: meta.namespace,
      name: meta.name,
      createdAt: meta.createdAt,
      foreignProxy: Object.hasOwn(meta.labels.fields, FOREIGN_PROXY_LABEL),
      type,
      clusterIPs: addresses.clusterIPs,
      ipFamilies: addresses.ipFamilies,
      ports,
      externalIPs: readFrontendAddresses(spec, 'externalIPs'),
      loadBalancerIPs: areRangesGood ? loadBalancerIPs : [],
      loadBalancerSourceRanges: sourceRanges,
      internalTrafficPolicy: readPolicy(spec, 'internalTrafficPolicy'),
      externalTrafficPolicy: readPolicy(spec, 'externalTrafficPolicy'),
      affinitySeconds: readAffinity(spec),
      healthCheckNodePort:
        integer(spec, 'healthCheckNodePort', NODE_PORT_RANGE, 'none is served') ?? 0,
      scheduler: readScheduler(meta.annotations),
      weights: readWeights(meta.annotations),
      drainSeconds: readDrainSeconds(meta.annotations),
    },
    problems,
  };
}

interface ClusterIPs {
  readonly clusterIPs: readonly Address[];
  readonly ipFamilies: readonly Family[];
}

const NO_CLUSTER_IPS: ClusterIPs = { clusterIPs: [], ipFamilies: [] };

/** `clusterIPs`, or `clusterIP` of objects that have only that, and the family promised for each. */
function readClusterIPs(spec: Cursor): ClusterIPs {
  const effect = 'it is not served';
  const many = list(spec, 'clusterIPs', effect);
  const values = many.length > 0 ? many : [spec.fields['clusterIP']];
  if (values[0] === 'None') return NO_CLUSTER_IPS;
  if (values[0] === undefined || values[0] === null || values[0] === '') {
    report(spec, 'clusterIP', 'is missing; the Service answers nowhere until it has one');
    return NO_CLUSTER_IPS;
  }
  const families = list(spec, 'ipFamilies', 'every address counts for its own family');
  const clusterIPs: Address[] = [];
  const ipFamilies: Family[] = [];
  values.forEach((value, index) => {
    const name = many.length > 0 ? at('clusterIPs', index) : 'clusterIP';
    const address = readAddress(spec, name, value, frontendFault, effect);
    if (address === undefined) return;
    if (families.length > 0) {
      // Both lists are read index for index: dropping an address drops its family too.
      const family = FAMILIES.find((candidate) => candidate === families[index]);
      if (family === undefined) {
        const found = index < families.length ? describe(families[index]) : 'missing';
        const message = `must be IPv4 or IPv6, is ${found}; ${name} is not served`;
        report(spec, at('ipFamilies', index), message);
        return;
      }
      ipFamilies.push(family);
    }
    clusterIPs.push(address);
  });
  return { clusterIPs: trimmed(clusterIPs), ipFamilies: trimmed(ipFamilies) };
}

function readPorts(spec: Cursor): readonly ServicePort[] {
  const ports: ServicePort[] = [];
  for (const cursor of items(spec, 'ports', 'the Service answers nowhere')) {
    const port = readPort(cursor);
    if (port !== undefined && isNewPort(cursor, port, ports)) ports.push(port);
  }
  return trimmed(ports);
}

function readPort(cursor: Cursor): ServicePort | undefined {
  const effect = 'the port is left out';
  const name = has(cursor, 'name') ? text(cursor, 'name', effect) : '';
  const protocol = oneOf(cursor, 'protocol', PROTOCOLS, 'TCP', effect);
  const port = integer(cursor, 'port', PORT_RANGE, effect);
  const nodePort = integer(cursor, 'nodePort', NODE_PORT_RANGE, 'the node port is not served') ?? 0;
  if (!has(cursor, 'port')) report(cursor, 'port', `is missing; ${effect}`);
  if (name === undefined || protocol === undefined || port === undefined) return undefined;
  if (name === '' || isLabel(name)) return { name, protocol, port, nodePort };
  report(cursor, 'name', `${describe(name)} is no valid port name; ${effect}`);
  return undefined;
}

/** Names and numbers identify a port; two ports that share one cannot both be served. */
function isNewPort(cursor: Cursor, port: ServicePort, before: readonly ServicePort[]): boolean {
  const effect = 'the later port is left out';
  if (before.some((other) => other.name === port.name)) {
    report(cursor, 'name', `${describe(port.name)} names an earlier port too; ${effect}`);
    return false;
  }
  if (before.some((other) => other.port === port.port && other.protocol === port.protocol)) {
    report(cursor, 'port', `${port.port}/${port.protocol} is an earlier port too; ${effect}`);
    return false;
  }
  return true;
}

/** Addresses of `status.loadBalancer.ingress` that this node must answer on (ipMode absent or `VIP`). */
function readLoadBalancerIPs(object: Cursor): readonly Address[] {
  const effect = 'it is not served';
  const balancer = child(child(object, 'status', effect), 'loadBalancer', effect);
  const addresses: Address[] = [];
  for (const entry of items(balancer, 'ingress', effect)) {
    if (!has(entry, 'ip') || entry.fields['ip'] === '') continue;
    if (oneOf(entry, 'ipMode', ['VIP', 'Proxy'], 'VIP', effect) !== 'VIP') continue;
    const address = readAddress(entry, 'ip', entry.fields['ip'], frontendFault, effect);
    if (address !== undefined && !addresses.includes(address)) addresses.push(address);
  }
  return addresses;
}

function readPolicy(spec: Cursor, key: string): TrafficPolicy {
  return oneOf(spec, key, POLICIES, 'Cluster', 'it counts as Cluster') ?? 'Cluster';
}

function readAffinity(spec: Cursor): number | undefined {
  const effect = 'there is no affinity';
  if (oneOf(spec, 'sessionAffinity', ['None', 'ClientIP'], 'None', effect) !== 'ClientIP') {
    return undefined;
  }
  const fallback = `${AFFINITY_DEFAULT} seconds are used`;
  const config = child(child(spec, 'sessionAffinityConfig', fallback), 'clientIP', fallback);
  return integer(config, 'timeoutSeconds', AFFINITY_RANGE, fallback) ?? AFFINITY_DEFAULT;
}
