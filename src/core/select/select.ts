/** The decision: what this node does with the traffic of one Service. Pure, and the same for every data plane. */
import { objectKey } from '../model.ts';
import type { EndpointSlice, Service, ServicePort } from '../model.ts';
import type { NodeView } from '../node.ts';
import type { Endpoint, Route, Target } from '../route.ts';
import { categorise, joinEndpoints } from './endpoints.ts';
import type { Candidate, Categories } from './endpoints.ts';
import { addressesByFamily, frontendsOf, isExternallyAccessible } from './frontends.ts';
import type { ServiceAddresses } from './frontends.ts';
import { allowedSources } from './source-ranges.ts';

/** The health-check node port of a Service: asked by load balancers that honour a Local policy. */
export interface HealthCheck {
  readonly port: number;
  /**
   * Ready endpoints on this node that some port of the Service reaches, counted by address in the family
   * that has more of them (a dual-stack pod counts once). 0: this node must be passed over.
   */
  readonly localEndpoints: number;
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
  let localEndpoints = 0;
  for (const addresses of addressesByFamily(service, problems)) {
    const here = new Set<string>();
    for (const port of service.ports) {
      const candidates = joinEndpoints(port, addresses.family, slices);
      routes.push(buildRoute(service, port, addresses, candidates, view));
      for (const { source } of candidates) {
        if (source.ready && source.nodeName === view.name) here.add(source.address);
      }
    }
    localEndpoints = Math.max(localEndpoints, here.size);
  }
  const isChecked = service.type === 'LoadBalancer' && hasLocalExternalPolicy(service);
  if (!isChecked || routes.length === 0) return { routes, healthCheck: undefined, problems };
  const port = service.healthCheckNodePort;
  if (port === 0) {
    problems.push('externalTrafficPolicy is Local, but healthCheckNodePort is not set');
    return { routes, healthCheck: undefined, problems };
  }
  return { routes, healthCheck: { port, localEndpoints }, problems };
}

function buildRoute(
  service: Service,
  port: ServicePort,
  addresses: ServiceAddresses,
  candidates: readonly Candidate[],
  view: NodeView,
): Route {
  const { family } = addresses;
  const name = objectKey(service.namespace, service.name);
  const categories = categorise(candidates, view);
  const cluster = targetOf(categories, categories.cluster);
  const local =
    categories.local === categories.cluster ? cluster : targetOf(categories, categories.local);
  const isInternalLocal = service.internalTrafficPolicy === 'Local';
  // A port that nobody can reach from outside has no use for external targets: it keeps the internal one.
  const isExternal = isExternallyAccessible(addresses, port);
  const isExternalLocal = isExternal && hasLocalExternalPolicy(service);
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
    external: isExternal ? external : internal,
    externalFromInside: isExternalLocal ? cluster : undefined,
    masqueradeExternal: !isExternalLocal,
    affinitySeconds: service.affinitySeconds,
    allowedSources:
      addresses.loadBalancerIPs.length === 0
        ? undefined
        : allowedSources(
            service.loadBalancerSourceRanges,
            family,
            addresses.loadBalancerIPs,
            view.primaryAddresses,
          ),
    serving: candidates.filter(({ source }) => source.serving).map(({ key }) => key),
  };
}

/** `externalTrafficPolicy: Local`, on a Service that can have traffic from outside (API rule). */
function hasLocalExternalPolicy({ type, externalIPs, externalTrafficPolicy }: Service): boolean {
  if (externalTrafficPolicy !== 'Local') return false;
  return type === 'NodePort' || type === 'LoadBalancer' || externalIPs.length > 0;
}

function targetOf({ hasAny }: Categories, endpoints: readonly Endpoint[]): Target {
  if (!hasAny) return REJECT;
  return endpoints.length === 0 ? DROP : { kind: 'endpoints', endpoints };
}
