/** The decision: what this node does with the traffic of one Service. Pure, and the same for every data plane. */
import { objectKey } from '../model.ts';
import type { Family } from '../ip.ts';
import type { EndpointSlice, Service, ServicePort } from '../model.ts';
import type { NodeView } from '../node.ts';
import type { Route, Target } from '../route.ts';
import { clusterEndpoints, joinEndpoints, localEndpoints, those } from './endpoints.ts';
import type { Candidate } from './endpoints.ts';
import { addressesByFamily, frontendsOf, isExternallyAccessible } from './frontends.ts';
import type { ServiceAddresses } from './frontends.ts';
import { allowedSources } from './source-ranges.ts';

/** The health-check node port of a Service: asked by load balancers that honour a Local policy. */
export interface HealthCheck {
  readonly port: number;
  /**
   * For each family of the Service: ready endpoints on this node that some port of it reaches, counted by
   * address. 0: this node must be passed over.
   */
  readonly localEndpoints: { readonly [F in Family]?: number };
}

/** What {@link select} decides. */
export interface Selection {
  /** One for each Service port and IP family of the Service; none for a Service that is not ours to serve. */
  readonly routes: readonly Route[];
  readonly healthCheck: HealthCheck | undefined;
  /** What of the Service cannot be served, one sentence each, without the name of the Service. */
  readonly problems: readonly string[];
}

const REJECT: Target = { kind: 'reject' };
const DROP: Target = { kind: 'drop' };
const NOTHING: Selection = { routes: [], healthCheck: undefined, problems: [] };

/**
 * Decides on one Service.
 *
 * @param slices - All EndpointSlices of the Service, in any order.
 * @param view - The node this runs on.
 */
export function select(
  service: Service,
  slices: readonly EndpointSlice[],
  view: NodeView,
): Selection {
  if (service.foreignProxy || service.type === 'ExternalName') return NOTHING;
  const problems: string[] = [];
  const routes: Route[] = [];
  const isChecked = service.type === 'LoadBalancer' && hasLocalExternalPolicy(service);
  const checked: { [F in Family]?: number } = {};
  for (const addresses of addressesByFamily(service, problems)) {
    const here = new Set<string>();
    for (const port of service.ports) {
      const candidates = joinEndpoints(service, port, addresses.family, slices, view);
      routes.push(buildRoute(service, port, addresses, candidates, view));
      if (!isChecked) continue;
      for (const { source } of candidates) {
        if (source.ready && source.nodeName === view.name) here.add(source.address);
      }
    }
    checked[addresses.family] = here.size;
  }
  if (!isChecked || routes.length === 0) return { routes, healthCheck: undefined, problems };
  if (service.healthCheckNodePort === 0) {
    problems.push('externalTrafficPolicy is Local, but healthCheckNodePort is not set');
    return { routes, healthCheck: undefined, problems };
  }
  const healthCheck = { port: service.healthCheckNodePort, localEndpoints: checked };
  return { routes, healthCheck, problems };
}

function buildRoute(
  service: Service,
  port: ServicePort,
  addresses: ServiceAddresses,
  candidates: readonly Candidate[],
  view: NodeView,
): Route {
  const { family, loadBalancerIPs } = addresses;
  const name = objectKey(service.namespace, service.name);
  const isInternalLocal = service.internalTrafficPolicy === 'Local';
  const isExternal = isExternallyAccessible(addresses, port);
  const isExternalLocal = isExternal && hasLocalExternalPolicy(service);
  const { cluster, local } = targets(candidates, isInternalLocal || isExternalLocal, view);
  const internal = isInternalLocal ? local : cluster;
  const external = isExternalLocal ? local : cluster;
  return {
    key: `${name}:${port.name}/${port.protocol}/${family}`,
    service: name,
    label: port.name === '' ? name : `${name}:${port.name}`,
    family,
    protocol: port.protocol,
    frontends: frontendsOf(addresses, port, view),
    internal,
    // A port that nobody can reach from outside has no use for an external target: it repeats the internal one.
    external: isExternal ? external : internal,
    externalFromInside: isExternalLocal ? cluster : undefined,
    masqueradeExternal: !isExternalLocal,
    affinitySeconds: service.affinitySeconds,
    scheduler: service.scheduler,
    drainSeconds: service.drainSeconds,
    allowedSources:
      loadBalancerIPs.length === 0
        ? undefined
        : allowedSources(
            service.loadBalancerSourceRanges,
            family,
            loadBalancerIPs,
            view.primaryAddresses,
          ),
    serving: those(candidates, ({ source }) => source.serving).map(({ key }) => key),
  };
}

/** `externalTrafficPolicy: Local`, on a Service that can have traffic from outside (API rule). */
function hasLocalExternalPolicy({ type, externalIPs, externalTrafficPolicy }: Service): boolean {
  if (externalTrafficPolicy !== 'Local') return false;
  return type === 'NodePort' || type === 'LoadBalancer' || externalIPs.length > 0;
}

/** What each traffic policy makes of the endpoints; one object where both come to the same. */
function targets(
  candidates: readonly Candidate[],
  needsLocal: boolean,
  view: NodeView,
): { readonly cluster: Target; readonly local: Target } {
  const everywhere = clusterEndpoints(candidates, view);
  if (everywhere.length === 0) return { cluster: REJECT, local: REJECT };
  const cluster = toTarget(everywhere);
  if (!needsLocal) return { cluster, local: cluster };
  const here = localEndpoints(candidates, view);
  if (here.length === 0) return { cluster, local: DROP };
  const isSame =
    here.length === everywhere.length &&
    here.every((candidate, index) => candidate === everywhere[index]);
  return { cluster, local: isSame ? cluster : toTarget(here) };
}

function toTarget(candidates: readonly Candidate[]): Target {
  return { kind: 'endpoints', endpoints: candidates.map(({ endpoint }) => endpoint) };
}
