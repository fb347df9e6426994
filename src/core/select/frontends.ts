/** On which addresses and ports a Service port answers. */
import { familyOf, hostPort } from '../ip.ts';
import type { Address, Family } from '../ip.ts';
import type { Service, ServicePort } from '../model.ts';
import type { NodeView } from '../node.ts';
import type { Frontend, FrontendKind } from '../route.ts';
import { trimmed } from '../trimmed.ts';

/** The addresses of a Service in one family. */
export interface ServiceAddresses {
  readonly family: Family;
  readonly clusterIP: Address;
  readonly externalIPs: readonly Address[];
  readonly loadBalancerIPs: readonly Address[];
}

/**
 * The addresses of a Service by family, IPv4 or IPv6 as `spec.ipFamilies` has it; a cluster IP that is
 * not of its family is reported and its family left out. Objects without `ipFamilies` have the families
 * their cluster IPs have. Only the first cluster IP of a family counts.
 */
export function addressesByFamily(
  service: Service,
  problems: string[],
): readonly ServiceAddresses[] {
  const found: ServiceAddresses[] = [];
  service.clusterIPs.forEach((clusterIP, index) => {
    const actual = familyOf(clusterIP);
    const family = service.ipFamilies[index] ?? actual;
    if (family !== actual) {
      problems.push(`cluster IP ${clusterIP} is no ${family} address; ${family} is not served`);
      return;
    }
    if (found.some((other) => other.family === family)) {
      problems.push(`cluster IP ${clusterIP} is a second one for ${family}; it is not served`);
      return;
    }
    const isOwn = (address: Address): boolean => familyOf(address) === family;
    found.push({
      family,
      clusterIP,
      externalIPs: service.externalIPs.filter(isOwn),
      loadBalancerIPs: service.loadBalancerIPs.filter(isOwn),
    });
  });
  return found;
}

/**
 * True when traffic from outside the cluster can be meant for this port (kube-proxy: externally
 * accessible). A node port counts even where this node has no address to serve it on.
 */
export function isExternallyAccessible(addresses: ServiceAddresses, port: ServicePort): boolean {
  return (
    port.nodePort !== 0 || addresses.externalIPs.length > 0 || addresses.loadBalancerIPs.length > 0
  );
}

/** All frontends of a port, distinct by address and port: the first kind that has one keeps it. */
export function frontendsOf(
  addresses: ServiceAddresses,
  port: ServicePort,
  view: NodeView,
): readonly Frontend[] {
  const frontends: Frontend[] = [];
  const seen = new Set<string>();
  const add = (kind: FrontendKind, address: Address, number: number): void => {
    const key = hostPort(address, number);
    if (seen.has(key)) return;
    seen.add(key);
    frontends.push({ kind, address, port: number });
  };
  add('clusterIP', addresses.clusterIP, port.port);
  for (const address of addresses.externalIPs) add('externalIP', address, port.port);
  for (const address of addresses.loadBalancerIPs) add('loadBalancer', address, port.port);
  if (port.nodePort !== 0) {
    for (const address of view.nodePortAddresses) {
      if (familyOf(address) === addresses.family) add('nodePort', address, port.nodePort);
    }
  }
  return trimmed(frontends);
}
