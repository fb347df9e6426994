/** What a data plane's `inspect()` has to say when the kernel holds what a Route wants. */
import { formatCidr, hostPort } from '../../core/ip.ts';
import type { Endpoint, Frontend, Route, Target } from '../../core/route.ts';
import { formatDestination } from '../../planes/nftables/keys.ts';
import { wantedSlots } from '../../planes/nftables/slots.ts';
import type { ProgrammedFrontend } from '../../planes/plane.ts';

/** All frontends of a Route, as the data plane of `mode` holds them. */
export function expectedFrontends(route: Route, mode: string): readonly ProgrammedFrontend[] {
  const { protocol, label, affinitySeconds } = route;
  return route.frontends.map(({ kind, address, port }) => {
    const isExternal = kind !== 'clusterIP';
    return {
      frontend: hostPort(address, port),
      protocol,
      label,
      target: describeTarget(isExternal ? route.external : route.internal, route, mode),
      insideTarget: describeInside(kind, route, mode),
      affinitySeconds,
      masquerade: isExternal && route.masqueradeExternal,
      allowedSources: kind === 'loadBalancer' ? route.allowedSources?.map(formatCidr) : undefined,
    };
  });
}

function describeInside(
  kind: Frontend['kind'],
  route: Route,
  mode: string,
): ProgrammedFrontend['insideTarget'] {
  if (kind === 'clusterIP' || route.externalFromInside === undefined) return undefined;
  return describeTarget(route.externalFromInside, route, mode);
}

function describeTarget(
  target: Target,
  { family }: Route,
  mode: string,
): ProgrammedFrontend['target'] {
  if (target.kind !== 'endpoints') return target.kind;
  const { endpoints } = target;
  // nftables mode has a slot for each share; the others do not tell shares.
  const picks =
    mode === 'nftables'
      ? wantedSlots(endpoints).map((slot) => formatDestination(slot, family))
      : endpoints.filter(hasShare).map(nameEndpoint);
  // A virtual server may be there with real servers of weight 0 only.
  return picks.length === 0 && mode !== 'ipvs' ? 'reject' : picks;
}

function hasShare({ weight }: Endpoint): boolean {
  return weight > 0;
}

function nameEndpoint({ address, port }: Endpoint): string {
  return hostPort(address, port);
}
