/** Equality of Routes by value: what is equal needs no work in the kernel. */
import type { Cidr } from './ip.ts';
import type { Scheduler } from './model.ts';
import type { Endpoint, Frontend, Route, Target } from './route.ts';

/** True when two Routes say the same. Shared parts are not looked into. */
export function sameRoute(a: Route, b: Route): boolean {
  return (
    a === b ||
    (a.key === b.key &&
      a.service === b.service &&
      a.label === b.label &&
      a.family === b.family &&
      a.protocol === b.protocol &&
      a.masqueradeExternal === b.masqueradeExternal &&
      a.affinitySeconds === b.affinitySeconds &&
      a.drainSeconds === b.drainSeconds &&
      sameOptional(a.scheduler, b.scheduler, sameScheduler) &&
      sameList(a.frontends, b.frontends, sameFrontend) &&
      sameTarget(a.internal, b.internal) &&
      sameTarget(a.external, b.external) &&
      sameOptional(a.externalFromInside, b.externalFromInside, sameTarget) &&
      sameOptional(a.allowedSources, b.allowedSources, sameCidrs) &&
      sameList(a.serving, b.serving, Object.is))
  );
}

function sameList<T>(
  a: readonly T[],
  b: readonly T[],
  same: (a: T, b: T | undefined) => boolean,
): boolean {
  return a === b || (a.length === b.length && a.every((item, index) => same(item, b[index])));
}

function sameOptional<T>(
  a: T | undefined,
  b: T | undefined,
  same: (a: T, b: T) => boolean,
): boolean {
  return a === undefined || b === undefined ? a === b : same(a, b);
}

function sameTarget(a: Target, b: Target): boolean {
  if (a === b) return true;
  if (a.kind !== 'endpoints' || b.kind !== 'endpoints') return a.kind === b.kind;
  return sameList(a.endpoints, b.endpoints, sameEndpoint);
}

function sameEndpoint(a: Endpoint, b: Endpoint | undefined): boolean {
  return (
    a.address === b?.address && a.port === b.port && a.local === b.local && a.weight === b.weight
  );
}

function sameFrontend(a: Frontend, b: Frontend | undefined): boolean {
  return a.kind === b?.kind && a.address === b.address && a.port === b.port;
}

function sameScheduler(a: Scheduler, b: Scheduler): boolean {
  return a.name === b.name && sameList(a.flags, b.flags, Object.is);
}

function sameCidrs(a: readonly Cidr[], b: readonly Cidr[]): boolean {
  return sameList(a, b, sameCidr);
}

function sameCidr(a: Cidr, b: Cidr | undefined): boolean {
  return a.address === b?.address && a.prefix === b.prefix;
}
