/**
 * The rules that kube-proxy 1.36 writes in nftables mode for the same objects, as text for `nft -f`. Chains, maps and
 * names are those found in the kernel under a real kube-proxy: a chain for each Service with its endpoints in an
 * anonymous map, a verdict map that leads to it. (Chains for endpoints exist only where Services have affinity.)
 */
import { createHash } from 'node:crypto';
import { formatCidr } from '../src/core/ip.ts';
import {
  CLUSTER_CIDR,
  ENDPOINT_PORT,
  NODE_NAME,
  SERVICE_PORT,
  clusterIp,
  makeSlice,
  serviceName,
  serviceNamespace,
} from './cluster.ts';

const TABLE = 'ip kube-proxy';
const FRONTEND = 'ip daddr . meta l4proto . th dport';
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Everything, as one transaction. */
export function fullLoad(network: number, services: number): string {
  const lines = [...BASE];
  for (let service = 0; service < services; service++) {
    const ip = clusterIp(network, service);
    const chain = chainOf(service);
    lines.push(
      `add chain ${TABLE} ${chain}`,
      `add rule ${TABLE} ${chain} ${endpointsRule(network, service)}`,
      `add element ${TABLE} cluster-ips { ${ip} }`,
      `add element ${TABLE} service-ips { ${ip} . tcp . ${SERVICE_PORT} : goto ${chain} }`,
    );
    for (const { address, nodeName } of makeSlice(network, service).endpoints) {
      if (nodeName !== NODE_NAME) continue;
      const hairpin = `${address} . ${address} . tcp . ${ENDPOINT_PORT}`;
      lines.push(`add element ${TABLE} hairpin-connections { ${hairpin} }`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** What kube-proxy sends when an endpoint of one Service goes or comes. */
export function endpointChange(network: number, service: number, without?: number): string {
  const chain = chainOf(service);
  return [
    `add chain ${TABLE} ${chain}`,
    `flush chain ${TABLE} ${chain}`,
    `add rule ${TABLE} ${chain} ${endpointsRule(network, service, without)}`,
    '',
  ].join('\n');
}

function endpointsRule(network: number, service: number, without?: number): string {
  const { endpoints } = makeSlice(network, service, without);
  const map = endpoints.map(({ address }, slot) => `${slot} : ${address} . ${ENDPOINT_PORT}`);
  const pick = `numgen random mod ${endpoints.length} map { ${map.join(', ')} }`;
  return `meta l4proto tcp dnat ip addr . port to ${pick}`;
}

/** `service-HASH-namespace/name/protocol/port`. */
function chainOf(service: number): string {
  const name = `${serviceNamespace(service)}/${serviceName(service)}/tcp/http`;
  return `service-${hash8(name)}-${name}`;
}

/** First 8 characters of the base32 text of the SHA-256. */
function hash8(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  // 8 characters of 5 bits are the first 5 bytes.
  let bits = BigInt(`0x${digest.toString('hex', 0, 5)}`);
  let hash = '';
  for (; hash.length < 8; bits >>= 5n) hash = (BASE32[Number(bits & 31n)] ?? '') + hash;
  return hash;
}

function baseChain(name: string, rules: readonly string[], hook?: string): readonly string[] {
  const definition = hook === undefined ? '' : ` { type ${hook} ; }`;
  return [
    `add chain ${TABLE} ${name}${definition}`,
    ...rules.map((rule) => `add rule ${TABLE} ${name} ${rule}`),
  ];
}

/** What does not depend on Services. */
const BASE: readonly string[] = [
  `add table ${TABLE} { comment "rules for kube-proxy" ; }`,
  `add set ${TABLE} cluster-ips { type ipv4_addr ; }`,
  `add set ${TABLE} nodeport-ips { type ipv4_addr ; }`,
  `add set ${TABLE} hairpin-connections { type ipv4_addr . ipv4_addr . inet_proto . inet_service ; }`,
  ...['service-ips', 'firewall-ips', 'no-endpoint-services'].map(
    (map) => `add map ${TABLE} ${map} { type ipv4_addr . inet_proto . inet_service : verdict ; }`,
  ),
  ...['service-nodeports', 'no-endpoint-nodeports'].map(
    (map) => `add map ${TABLE} ${map} { type inet_proto . inet_service : verdict ; }`,
  ),
  ...baseChain('reject-chain', ['reject']),
  ...baseChain('nodeport-endpoints-check', [
    'ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports',
  ]),
  ...baseChain('service-endpoints-check', [`${FRONTEND} vmap @no-endpoint-services`]),
  ...baseChain('firewall-check', [`${FRONTEND} vmap @firewall-ips`]),
  ...baseChain('cluster-ips-check', [
    'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
  ]),
  ...baseChain('services', [
    `ip daddr @cluster-ips ip saddr != ${formatCidr(CLUSTER_CIDR)} meta mark set meta mark | 0x00004000`,
    `${FRONTEND} vmap @service-ips`,
    'ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports',
  ]),
  ...baseChain('masquerading', [
    'meta mark & 0x00004000 != 0 meta mark set meta mark ^ 0x00004000 masquerade fully-random',
    'ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random',
  ]),
  ...baseChain(
    'filter-prerouting-pre-dnat',
    ['ct state new jump firewall-check'],
    'filter hook prerouting priority -110',
  ),
  ...baseChain(
    'filter-output-pre-dnat',
    ['ct state new jump firewall-check'],
    'filter hook output priority -110',
  ),
  ...baseChain(
    'filter-input',
    ['ct state new jump nodeport-endpoints-check', 'ct state new jump service-endpoints-check'],
    'filter hook input priority 0',
  ),
  ...baseChain(
    'filter-forward',
    ['ct state new jump service-endpoints-check', 'ct state new jump cluster-ips-check'],
    'filter hook forward priority 0',
  ),
  ...baseChain(
    'filter-output',
    ['ct state new jump service-endpoints-check', 'ct state new jump cluster-ips-check'],
    'filter hook output priority 0',
  ),
  ...baseChain('nat-prerouting', ['jump services'], 'nat hook prerouting priority -100'),
  ...baseChain('nat-output', ['jump services'], 'nat hook output priority -100'),
  ...baseChain('nat-postrouting', ['jump masquerading'], 'nat hook postrouting priority 100'),
];
