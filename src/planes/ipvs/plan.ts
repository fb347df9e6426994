/** What a Route needs in the kernel: virtual servers, elements of sets, and addresses of the node's own. */
import { type Address, type Cidr, hostPort, parseAddress } from '../../core/ip.ts';
import type { Endpoint, Frontend, Route, Target } from '../../core/route.ts';
import type { VirtualName } from '../../kernel/ipvs/servers.ts';
import { describeVirtual } from '../../kernel/ipvs/servers.ts';
import type { Notice } from '../plane.ts';
import type { SetEntry } from './schema.ts';
import {
  type Choice,
  type HasScheduler,
  canDrain,
  chooseScheduler,
  markScheduling,
  scheduling,
} from './scheduling.ts';
import type { WantedServer } from './servers.ts';

/** All that the kernel is to hold for a Route. */
export interface RoutePlan {
  readonly route: Route;
  /** By {@link describeVirtual} of its name. */
  readonly servers: ReadonlyMap<string, WantedServer>;
  readonly entries: readonly SetEntry[];
  /** Addresses to be bound to the link. */
  readonly addresses: readonly Address[];
  readonly notices: readonly Notice[];
}

/** What a plan depends on besides its Route. */
export interface PlanContext {
  readonly byDefault: Choice;
  readonly drainMs: number;
  readonly has: HasScheduler;
  /** True for addresses that this node has anyway. */
  readonly isNodeAddress: (address: Address) => boolean;
  /** True when somebody else has a virtual server there. */
  readonly isForeign: (name: VirtualName) => boolean;
  /** Mark for the Route's own traffic class `inside`; `undefined` when there is none left. */
  readonly markOf: (route: Route) => number | undefined;
}

/** Starts the comment of a frontend that somebody else's virtual server serves. */
export const FOREIGN = '(not ours) ';

/** ipset keeps no more. */
const MAX_COMMENT_BYTES = 255;
const NONE: readonly never[] = [];

/** Plans a Route. */
export function planRoute(route: Route, context: PlanContext): RoutePlan {
  const { family, protocol, affinitySeconds, drainSeconds } = route;
  const chosen = chooseScheduler(route, context.byDefault, context.has);
  const notices: Notice[] = chosen.notice === undefined ? [] : [chosen.notice];
  // Flows to endpoints that still serve stay; peers of other protocols notice by themselves.
  const serving = protocol === 'UDP' ? new Set(route.serving) : undefined;
  const drainMs = drainSeconds === undefined ? context.drainMs : drainSeconds * 1000;
  const servers = new Map<string, WantedServer>();
  const add = (name: VirtualName, target: Target): void => {
    const wanted =
      'mark' in name
        ? markScheduling(chosen, family, affinitySeconds, context.has)
        : scheduling(chosen, family, affinitySeconds);
    servers.set(describeVirtual(name), {
      name,
      scheduling: wanted,
      // An endpoint is all that a real server needs.
      reals: target.kind === 'endpoints' ? target.endpoints : NONE,
      serving,
      drainMs: canDrain(wanted.scheduler) ? drainMs : 0,
    });
  };

  const mark = needsMark(route) ? context.markOf(route) : undefined;
  if (mark !== undefined && route.externalFromInside !== undefined) {
    add({ mark, family }, route.externalFromInside);
  } else if (needsMark(route)) {
    const text = 'No firewall mark is left: its own node gets what outsiders get.';
    notices.push({ about: 'other', text });
  }
  const entries: SetEntry[] = [];
  const addresses: Address[] = [];
  for (const frontend of route.frontends) {
    const { kind, address, port } = frontend;
    const name = { protocol, address, port };
    const isForeign = context.isForeign(name);
    const isBound = kind !== 'nodePort' && !context.isNodeAddress(address);
    if (isBound) {
      addresses.push(address);
      entries.push({ role: kind === 'clusterIP' ? 'cluster' : 'other', element: { ip: address } });
    }
    entries.push({
      role: 'frontends',
      element: { ip: address, protocol, port, comment: comment(route, isForeign) },
    });
    if (isForeign) {
      const text = `A virtual server that is not ours has ${describeVirtual(name)}: it is left alone.`;
      notices.push({ about: 'other', text });
      continue;
    }
    add(name, targetOf(route, frontend));
    entries.push(...frontendEntries(route, frontend, mark));
  }
  entries.push(...hairpins(route));
  return { route, servers, entries, addresses, notices };
}

/** Where new connections from elsewhere to a frontend go. */
function targetOf(route: Route, { kind }: Frontend): Target {
  return kind === 'clusterIP' ? route.internal : route.external;
}

/** True when this node and its pods get other endpoints on external frontends than outsiders. */
function needsMark({ frontends, external, externalFromInside: inside }: Route): boolean {
  return (
    inside?.kind === 'endpoints' &&
    !(external.kind === 'endpoints' && external.endpoints === inside.endpoints) &&
    frontends.some(({ kind }) => kind !== 'clusterIP')
  );
}

function frontendEntries(
  route: Route,
  frontend: Frontend,
  mark: number | undefined,
): readonly SetEntry[] {
  const { kind, address: ip, port } = frontend;
  const element = { ip, protocol: route.protocol, port };
  const entries: SetEntry[] = [];
  const target = targetOf(route, frontend);
  if (target.kind === 'drop') entries.push({ role: 'silent', element });
  if (target.kind === 'reject') entries.push({ role: 'refused', element });
  if (kind === 'clusterIP') return entries;
  if (route.masqueradeExternal) entries.push({ role: 'masquerade', element });
  if (mark !== undefined) entries.push({ role: 'inside', element: { ...element, mark } });
  if (kind === 'loadBalancer' && route.allowedSources !== undefined) {
    entries.push({ role: 'restricted', element });
    for (const net2 of route.allowedSources.flatMap(halves)) {
      entries.push({ role: 'allowed', element: { ...element, net2 } });
    }
  }
  return entries;
}

/** ipset takes no prefix of 0. */
function halves(cidr: Cidr): readonly Cidr[] {
  if (cidr.prefix > 0) return [cidr];
  const { family, address } = cidr;
  const upper = parseAddress(family === 'IPv4' ? '128.0.0.0' : '8000::');
  return [address, upper ?? address].map((half) => ({ family, address: half, prefix: 1 }));
}

function hairpins({
  protocol,
  internal,
  external,
  externalFromInside,
}: Route): readonly SetEntry[] {
  const local = new Map<string, SetEntry>();
  for (const target of new Set([internal, external, externalFromInside])) {
    if (target?.kind !== 'endpoints' || !target.endpoints.some(isLocal)) continue;
    for (const { address: ip, port } of target.endpoints.filter(isLocal)) {
      const element = { ip, protocol, port, ip2: ip };
      local.set(hostPort(ip, port), { role: 'hairpin', element });
    }
  }
  return local.size === 0 ? NONE : [...local.values()];
}

function isLocal({ local }: Endpoint): boolean {
  return local;
}

/** Labels are DNS names, so every character is a byte. */
function comment({ label }: Route, isForeign: boolean): string {
  return `${isForeign ? FOREIGN : ''}${label}`.slice(0, MAX_COMMENT_BYTES);
}
