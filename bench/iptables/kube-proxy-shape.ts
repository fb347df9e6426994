/**
 * The rules that kube-proxy 1.36 writes in iptables mode for the same objects, as input of iptables-restore: a rule for
 * each Service in KUBE-SERVICES, a chain for each Service and each endpoint.
 */
import { createHash } from 'node:crypto';
import { formatCidr } from '../../src/core/ip.ts';
import {
  CLUSTER_CIDR,
  ENDPOINT_PORT,
  SERVICE_PORT,
  clusterIp,
  makeSlice,
  serviceName,
  serviceNamespace,
} from '../cluster.ts';

const MARK = '0x00004000';

/** Everything, as one batch a table. */
export function fullLoad(network: number, services: number): string {
  const all = Array.from({ length: services }, (_, service) => service);
  return restoreInput(network, services, all, []);
}

/** What kube-proxy sends when an endpoint of one Service goes or comes: its chains, and those of all Services. */
export function endpointChange(
  network: number,
  services: number,
  service: number,
  without: number | undefined,
): string {
  const gone = without === undefined ? [] : [endpointChain(network, service, without)];
  return restoreInput(network, services, [service], gone, without);
}

/** Chains that lead to ours, once. */
export const JUMPS = `*filter
:KUBE-FORWARD - [0:0]
:KUBE-SERVICES - [0:0]
-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-I FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
COMMIT
`;

function restoreInput(
  network: number,
  services: number,
  changed: readonly number[],
  gone: readonly string[],
  without?: number,
): string {
  const declared: string[] = [];
  const rules: string[] = [];
  for (let service = 0; service < services; service++) {
    const ip = clusterIp(network, service);
    rules.push(
      `-A KUBE-SERVICES -m comment --comment "${name(service)} cluster IP" -m tcp -p tcp -d ${ip} --dport ${SERVICE_PORT} -j ${serviceChain(service)}`,
    );
  }
  for (const service of changed) {
    const chain = serviceChain(service);
    declared.push(`:${chain} - [0:0]`);
    rules.push(
      `-A ${chain} -m comment --comment "${name(service)} cluster IP" -m tcp -p tcp -d ${clusterIp(network, service)} --dport ${SERVICE_PORT} ! -s ${formatCidr(CLUSTER_CIDR)} -j KUBE-MARK-MASQ`,
    );
    const { endpoints } = makeSlice(network, service, without);
    for (const [index, { address }] of endpoints.entries()) {
      const own = sepChain(service, address);
      const left = endpoints.length - index;
      const chance =
        left === 1 ? '' : ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
      declared.push(`:${own} - [0:0]`);
      rules.push(
        `-A ${chain} -m comment --comment "${name(service)} -> ${address}:${ENDPOINT_PORT}"${chance} -j ${own}`,
        `-A ${own} -m comment --comment ${name(service)} -s ${address} -j KUBE-MARK-MASQ`,
        `-A ${own} -m comment --comment ${name(service)} -m tcp -p tcp -j DNAT --to-destination ${address}:${ENDPOINT_PORT}`,
      );
    }
  }
  return [
    '*filter',
    ':KUBE-SERVICES - [0:0]',
    ':KUBE-FORWARD - [0:0]',
    '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
    `-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark ${MARK}/${MARK} -j ACCEPT`,
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    'COMMIT',
    '*nat',
    ':KUBE-SERVICES - [0:0]',
    ':KUBE-POSTROUTING - [0:0]',
    ':KUBE-MARK-MASQ - [0:0]',
    ...declared,
    ...gone.map((chain) => `:${chain} - [0:0]`),
    `-A KUBE-POSTROUTING -m mark ! --mark ${MARK}/${MARK} -j RETURN`,
    `-A KUBE-POSTROUTING -j MARK --xor-mark ${MARK}`,
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    `-A KUBE-MARK-MASQ -j MARK --or-mark ${MARK}`,
    ...rules,
    ...gone.map((chain) => `-X ${chain}`),
    'COMMIT',
    '',
  ].join('\n');
}

function endpointChain(network: number, service: number, endpoint: number): string {
  const address = makeSlice(network, service).endpoints[endpoint]?.address ?? '';
  return sepChain(service, address);
}

function serviceChain(service: number): string {
  return `KUBE-SVC-${hash(`${name(service)}tcp`)}`;
}

function sepChain(service: number, address: string): string {
  return `KUBE-SEP-${hash(`${name(service)}tcp${address}:${ENDPOINT_PORT}`)}`;
}

function name(service: number): string {
  return `${serviceNamespace(service)}/${serviceName(service)}:http`;
}

/** As long as kube-proxy's; it need not be the same one. */
function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16).toUpperCase();
}
