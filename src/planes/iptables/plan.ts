/** The rules of one Route. */
import { type Address, formatCidr } from '../../core/ip.ts';
import type { Endpoint, Frontend, FrontendKind, Route } from '../../core/route.ts';
import { addressKey, frontendKey, matchFrontend, single } from './keys.ts';
import {
  DROP,
  FROM_THIS_NODE,
  REJECT,
  type RuleContext,
  comment,
  clearMark,
  fromPods,
  setMark,
  toMasquerade,
} from './matches.ts';
import { type Chains, isSameChoice, pickRules, usableEndpoints } from './pick.ts';
import { CHAINS, routeChain } from './schema.ts';
import type { Entry } from './tree.ts';

/** All that a Route has in the kernel. */
export interface RoutePlan {
  /** Chains of its own in the table nat. */
  readonly nat: Chains;
  /** Chains of its own in the table filter. */
  readonly filter: Chains;
  /** What leads to them: frontends that are served. */
  readonly services: readonly Entry[];
  /** Frontends that nobody serves, or not for everybody. */
  readonly refused: readonly Entry[];
  /** Cluster IPs, whose other ports are refused. Other Routes may have the same. */
  readonly clusterIps: readonly Entry[];
  /** Endpoints of this node, which may be their own clients. Other Routes may have the same. */
  readonly hairpins: readonly Entry[];
}

/** What a comment says of a frontend. */
export const KIND_TEXT: { readonly [K in FrontendKind]: string } = {
  clusterIP: 'cluster IP',
  externalIP: 'external IP',
  loadBalancer: 'load balancer IP',
  nodePort: 'node port',
};

/** Labels of Services are shorter; XT_MAX_COMMENT_LEN of linux/netfilter/xt_comment.h is 256. */
const LONGEST_LABEL = 220;

/** Plans a Route. The same Route and settings give the same plan. */
export function planRoute(route: Route, context: RuleContext): RoutePlan {
  const nat: Chains = new Map();
  const filter: Chains = new Map();
  const internal = planInternal(route, nat);
  const external = planExternal(route, context, internal, nat);
  const fromRanges = external === undefined ? undefined : planRanges(route, external, nat);
  const services: Entry[] = [];
  const refused: Entry[] = [];
  const add = (entries: Entry[], { kind, address, port }: Frontend, then: string): void => {
    const text = `${label(route)} ${KIND_TEXT[kind]}`;
    entries.push({
      key: frontendKey(address, route.protocol, port),
      rule: `${matchFrontend(address, route.protocol, port, text)} ${then}`,
    });
  };
  for (const frontend of route.frontends) {
    const { kind } = frontend;
    const isRestricted = kind === 'loadBalancer' && route.allowedSources !== undefined;
    const chain = kind === 'clusterIP' ? internal?.chain : isRestricted ? fromRanges : external;
    if (chain !== undefined) add(services, frontend, `-g ${chain}`);
    const refusal = kind === 'clusterIP' ? verdict(route.internal) : verdict(route.external);
    if (isRestricted) add(refused, frontend, planRefusedRanges(route, refusal, filter));
    else if (refusal !== undefined) add(refused, frontend, refusal);
  }
  return {
    nat,
    filter,
    services,
    refused,
    clusterIps: clusterAddresses(route).map((address) => ({
      key: addressKey(address),
      rule: `-d ${single(address)} ${REJECT}`,
    })),
    hairpins: localAddresses(route).map((address) => ({
      key: addressKey(address),
      rule: `-s ${single(address)} -d ${single(address)} -g ${CHAINS.masquerade}`,
    })),
  };
}

interface Choice {
  readonly chain: string;
  readonly endpoints: readonly Endpoint[];
}

/** Cluster traffic. */
function planInternal(route: Route, nat: Chains): Choice | undefined {
  const endpoints = usableEndpoints(route.internal);
  if (endpoints.length === 0 || clusterAddresses(route).length === 0) return undefined;
  const chain = routeChain('SVC', route.key);
  nat.set(chain, pickRules(route, chain, endpoints, nat));
  return { chain, endpoints };
}

/** All other traffic. Returns the chain for it, where anybody is served. */
function planExternal(
  route: Route,
  context: RuleContext,
  internal: Choice | undefined,
  nat: Chains,
): string | undefined {
  if (route.frontends.every(({ kind }) => kind === 'clusterIP')) return undefined;
  const outside = usableEndpoints(route.external);
  const inside = usableEndpoints(route.externalFromInside);
  if (outside.length === 0 && inside.length === 0) return undefined;
  const chain = routeChain('EXT', route.key);
  const pick = (name: string, endpoints: readonly Endpoint[]): readonly string[] =>
    internal !== undefined && isSameChoice(internal.endpoints, endpoints)
      ? [`-g ${internal.chain}`]
      : pickRules(route, name, endpoints, nat);
  const rules: string[] = [];
  // What is masqueraded on its way to a cluster IP has come here with the mark.
  if (route.masqueradeExternal) rules.push(`${comment(label(route))} ${setMark(context)}`);
  else if (toMasquerade(context) !== undefined) rules.push(clearMark(context));
  if (inside.length > 0) {
    const name = routeChain('INS', route.key);
    const picks = pick(name, inside);
    nat.set(name, [`${FROM_THIS_NODE} ${comment(label(route))} ${setMark(context)}`, ...picks]);
    const pods = fromPods(context);
    if (pods !== undefined) rules.push(`${pods} -g ${name}`);
    rules.push(`${FROM_THIS_NODE} -g ${name}`);
  }
  if (outside.length > 0) rules.push(...pick(chain, outside));
  nat.set(chain, rules);
  return chain;
}

/** Who of a restricted frontend is served; others pass untranslated, and are dropped in the table filter. */
function planRanges(route: Route, external: string, nat: Chains): string | undefined {
  if (route.allowedSources === undefined) return undefined;
  const chain = routeChain('FW', route.key);
  nat.set(
    chain,
    route.allowedSources.map((cidr) => `-s ${formatCidr(cidr)} -g ${external}`),
  );
  return chain;
}

/** What becomes of packets to a restricted frontend that were not translated. */
function planRefusedRanges(
  { key, allowedSources = [] }: Route,
  refusal: string | undefined,
  filter: Chains,
): string {
  if (refusal === undefined || refusal === DROP) return DROP;
  const chain = routeChain('SRC', key);
  filter.set(chain, [...allowedSources.map((cidr) => `-s ${formatCidr(cidr)} ${refusal}`), DROP]);
  return `-g ${chain}`;
}

/** What becomes of packets that nobody serves; `undefined`: they are served. */
function verdict(target: Route['internal']): string | undefined {
  if (target.kind === 'drop') return DROP;
  return usableEndpoints(target).length === 0 ? REJECT : undefined;
}

function clusterAddresses({ frontends }: Route): readonly Address[] {
  const own = frontends.filter(({ kind }) => kind === 'clusterIP');
  return [...new Set(own.map(({ address }) => address))];
}

function localAddresses({ internal, external, externalFromInside }: Route): readonly Address[] {
  const found = new Set<Address>();
  for (const target of new Set([internal, external, externalFromInside])) {
    for (const { address, local } of usableEndpoints(target)) if (local) found.add(address);
  }
  return [...found];
}

function label(route: Route): string {
  return route.label.slice(0, LONGEST_LABEL);
}
