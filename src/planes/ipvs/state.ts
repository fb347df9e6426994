/**
 * What the plane wants in the kernel and what it knows to be there: the plans of all Routes, and for each kind of
 * kernel object the difference. Does no I/O.
 */
import { setImmediate } from 'node:timers/promises';
import { type Address, type Family, familyOf } from '../../core/ip.ts';
import type { Route, RouteKey } from '../../core/route.ts';
import { type VirtualName, describeVirtual } from '../../kernel/ipvs/servers.ts';
import type { LinkSocket } from '../../kernel/rtnetlink/links.ts';
import type { Link } from '../../kernel/rtnetlink/socket.ts';
import type { ChangeBatches } from './changes.ts';
import { Marks } from './marks.ts';
import { Mirror, type MirrorChanges } from './mirror.ts';
import type { BindMode, IpvsOptions } from './options.ts';
import { type PlanContext, type RoutePlan, planRoute } from './plan.ts';
import type { BoundAddress } from './read.ts';
import { MAX_DRIFT_LINES, type ReportBuilder } from '../report.ts';
import { namedServers } from './read.ts';
import { LINK, SET_ROLES, type SetEntry, entryKey, isSameEntry, setName } from './schema.ts';
import { type Choice, defaultChoice } from './scheduling.ts';
import { type FoundServer, type ServerFate, type ServerSink, Servers } from './servers.ts';

/** What holds the place of a virtual server that nobody wants any more, until it is gone. */
interface Remnant {
  readonly entries: readonly SetEntry[];
  readonly address: BoundAddress | undefined;
}

/** What was read of sets and links. */
export interface FoundBase {
  readonly entries: ReadonlyMap<Family, readonly SetEntry[]>;
  /** What is bound to the link by us. */
  readonly bound: readonly BoundAddress[];
  /** Other addresses that it has. */
  readonly others: readonly Address[];
}

/** How much is settled before other work gets its turn: some milliseconds. */
const SERVERS_AT_ONCE = 128;
const THINGS_AT_ONCE = 2048;

/** From opening the plane to closing it, or to opening it again. */
export class PlaneState {
  /** The scheduler of Services that ask for none. */
  readonly byDefault: Choice;
  /** Whether the kernel has a scheduler, for those that were looked for. */
  readonly schedulers = new Map<string, boolean>();
  readonly plans = new Map<RouteKey, RoutePlan>();
  readonly servers = new Servers();
  readonly marks: Marks;
  /** Addresses that the node has without us. */
  nodeAddresses: ReadonlySet<Address> = new Set();
  readonly #options: IpvsOptions;
  readonly #families: ReadonlySet<Family>;
  /** By name of the set. */
  readonly #entries: ReadonlyMap<string, Mirror<SetEntry>>;
  readonly #addresses = new Mirror<BoundAddress>(() => true);
  readonly #remnants = new Map<string, Remnant>();
  readonly #context: PlanContext;
  /** Virtual servers of others. */
  #foreign: ReadonlySet<string> = new Set();
  /** Those among them whose frontends our sets already named when that was found out. */
  #refused = new Set<string>();
  /** Marks that frontends had in the kernel when it was read. */
  #foundMarks: ReadonlyMap<string, number> = new Map();

  constructor(families: readonly Family[], options: IpvsOptions) {
    this.#options = options;
    this.byDefault = defaultChoice(options.scheduler);
    this.marks = new Marks(2 ** options.masqueradeBit);
    this.#families = new Set(families);
    this.#entries = new Map(
      families.flatMap((family) =>
        SET_ROLES.map((role) => [setName(family, role), new Mirror(isSameEntry)] as const),
      ),
    );
    this.#context = {
      byDefault: this.byDefault,
      drainMs: options.drainMs,
      has: (name) => name === options.scheduler || this.schedulers.get(name) === true,
      isNodeAddress: (address) => this.nodeAddresses.has(address),
      isForeign: (key) => this.#foreign.has(key),
      markOf: (route) => this.marks.assign(route.key, this.#foundMarkOf(route)),
    };
  }

  get bindMode(): BindMode {
    return this.#options.bindMode;
  }

  /** True for families that are programmed. */
  has(family: Family): boolean {
    return this.#families.has(family);
  }

  /** True when a Route has an address of which it is not known whether the node has it anyway. */
  hasNewExternalAddress({ frontends }: Route): boolean {
    return frontends.some(
      ({ kind, address }) =>
        (kind === 'externalIP' || kind === 'loadBalancer') &&
        !this.nodeAddresses.has(address) &&
        !this.#addresses.holds(addressKey(this.#binding(address))),
    );
  }

  /** Makes a plan and wants what it says. Call {@link drop} before, if the Route has one. */
  plan(route: Route): void {
    const plan = planRoute(route, this.#context);
    this.plans.set(route.key, plan);
    for (const entry of plan.entries) this.#mirrorOf(entry)?.retain(entryKey(entry), entry);
    for (const address of plan.addresses) {
      const bound = this.#binding(address);
      this.#addresses.retain(addressKey(bound), bound);
    }
    let isMarked = false;
    for (const [key, server] of plan.servers) {
      this.servers.want(key, server);
      isMarked ||= 'mark' in server.name;
    }
    if (!isMarked) this.marks.release(route.key);
  }

  /** Wants nothing for a Route any more. */
  drop(key: RouteKey): void {
    const plan = this.plans.get(key);
    if (plan === undefined) return;
    this.plans.delete(key);
    for (const entry of plan.entries) this.#mirrorOf(entry)?.release(entryKey(entry));
    for (const address of plan.addresses)
      this.#addresses.release(addressKey(this.#binding(address)));
    for (const [server, wanted] of plan.servers) this.servers.unwant(server, wanted);
  }

  /** The Route is gone for good. */
  forget(key: RouteKey): void {
    this.marks.release(key);
  }

  /** Takes what was read for what is there. */
  adoptBase({ entries, bound }: FoundBase): void {
    for (const [family, found] of entries) {
      const byRole = Map.groupBy(found, ({ role }) => role);
      for (const role of SET_ROLES) {
        const ours = byRole.get(role) ?? [];
        const mirror = this.#entries.get(setName(family, role));
        mirror?.adopt(ours.map((entry) => [entryKey(entry), entry]));
      }
    }
    const ours = bound.filter(({ address }) => this.has(familyOf(address)));
    this.#addresses.adopt(ours.map((each) => [addressKey(each), each]));
    this.#foundMarks = marksIn([...entries.values()].flat());
  }

  /**
   * Tells virtual servers that are ours from others.
   *
   * Ours are those that our sets name, those of our marks, those made by this process, and what a Route wants if
   * its address is bound by us or the names of its family are lost (then our sets were damaged) or kube-proxy served
   * it (then it is taken over).
   */
  ownership(
    base: FoundBase,
    routes: readonly Route[] | undefined,
    isTakenOver: boolean,
  ): (name: VirtualName) => 'ours' | 'foreign' {
    const { entries, bound } = base;
    const lost = this.#lostFamilies(base);
    const named = namedServers([...entries.values()].flat());
    const addresses = new Set(bound.map(({ address }) => address));
    const all = routes ?? [...this.plans.values()].map(({ route }) => route);
    const wanted = new Set(all.flatMap(frontendKeys));
    return (name) => {
      const key = describeVirtual(name);
      if (this.#refused.has(key)) return 'foreign';
      if (this.servers.holds(key)) return 'ours';
      if ('mark' in name) {
        return this.marks.isOurs(name.mark) && name.mark !== this.marks.spare ? 'ours' : 'foreign';
      }
      if (wanted.has(key)) {
        const isOurs = named.has(key) || isTakenOver || addresses.has(name.address);
        return isOurs || lost.has(familyOf(name.address)) ? 'ours' : 'foreign';
      }
      return named.has(key) ? 'ours' : 'foreign';
    };
  }

  /** Takes virtual servers that were read for what is there. */
  adoptServers(found: readonly FoundServer[], foreign: ReadonlySet<string>): void {
    this.#refused = this.#refused.intersection(foreign);
    this.servers.adopt(found);
    for (const { name } of found) if ('mark' in name) this.marks.take(name.mark);
    for (const [key, remnant] of this.#remnants) {
      if (!this.servers.holds(key)) this.#release(key, remnant);
    }
    const changed = foreign.symmetricDifference(this.#foreign);
    this.#foreign = foreign;
    this.#planAgain(
      (plan) => changed.size > 0 && frontendKeys(plan.route).some((key) => changed.has(key)),
    );
    this.#planAgain((plan) => this.#isBoundWrongly(plan));
  }

  /** It turned out that somebody else has these virtual servers. */
  disown(foreign: readonly string[]): void {
    for (const key of foreign) {
      this.servers.disown(key);
      this.#refused.add(key);
    }
  }

  /**
   * Puts what differs into the batches and takes it for written.
   * @param more May add to it, and says what became of which virtual server.
   */
  async settle(
    batches: ChangeBatches,
    link: Link,
    report: ReportBuilder,
    now: number,
    more?: (sink: ServerSink) => readonly ServerFate[],
  ): Promise<void> {
    const sink: ServerSink = {
      fresh: batches.serversFresh,
      first: batches.serversFirst,
      last: batches.serversLast,
      note: (what) => {
        report.note(what);
      },
    };
    const { drainMs } = this.#options;
    for (;;) {
      for (const fate of this.servers.settle(sink, now, drainMs, SERVERS_AT_ONCE)) {
        this.#follow(fate);
      }
      if (this.servers.isSettled) break;
      await setImmediate();
    }
    for (const fate of more?.(sink) ?? []) this.#follow(fate);
    for (const family of this.#families) {
      for (const role of SET_ROLES) {
        const mirror = this.#entries.get(setName(family, role));
        if (mirror === undefined) continue;
        await settleInParts(mirror, (changes) => {
          const noteEntry = (entry: SetEntry, what: string): void => {
            report.note(`${family} set ${entryKey(entry)} ${what}`);
          };
          const { added, deleted } = changes;
          for (const entry of added.slice(0, MAX_DRIFT_LINES))
            noteEntry(entry, 'was missing or wrong');
          for (const entry of deleted.slice(0, MAX_DRIFT_LINES)) noteEntry(entry, 'was not ours');
          batches.addEntries(family, changes);
        });
      }
    }
    await settleInParts(this.#addresses, (changes) => {
      for (const { address } of changes.added) report.note(`${LINK}: ${address} was missing`);
      for (const { address } of changes.deleted) report.note(`${LINK}: ${address} was not ours`);
      batches.addAddresses(link, changes);
    });
  }

  /** True when the link has every address that it should have. */
  isBound(links: LinkSocket, link: Link): boolean {
    if (this.#addresses.size === 0) return true;
    const bound: readonly Address[] =
      this.#options.bindMode === 'route'
        ? links.localRoutes(link).map(({ destination }) => destination.address)
        : links.addresses(link).map(({ address }) => address);
    const there = new Set(bound);
    return this.#addresses.held().every(({ address }) => there.has(address));
  }

  /** How many elements each of our sets should have, by its name. */
  *setSizes(): Iterable<readonly [name: string, size: number]> {
    for (const [name, { size }] of this.#entries) yield [name, size];
  }

  /** Keeps, as long as a virtual server drains, what tells it as ours and lets its packets in. */
  #follow({ name, state }: ServerFate): void {
    const key = describeVirtual(name);
    const remnant = this.#remnants.get(key);
    if (state !== 'draining') {
      if (remnant !== undefined) this.#release(key, remnant);
      if (state === 'gone' && 'mark' in name) this.marks.free(name.mark);
      return;
    }
    if (remnant !== undefined || 'mark' in name) return;
    const { address: ip, protocol, port } = name;
    const bound = this.#binding(ip);
    const isBound = this.#addresses.holds(addressKey(bound));
    const element = { ip, protocol, port };
    const entries: readonly SetEntry[] = [
      { role: 'draining', element },
      // New connections: refused, unless the address has no Service any more and is silent altogether.
      { role: 'refused', element },
      ...(isBound ? [{ role: 'other', element: { ip } } as const] : []),
    ];
    for (const entry of entries) this.#mirrorOf(entry)?.retain(entryKey(entry), entry);
    if (isBound) this.#addresses.retain(addressKey(bound), bound);
    this.#remnants.set(key, { entries, address: isBound ? bound : undefined });
  }

  #release(key: string, { entries, address }: Remnant): void {
    this.#remnants.delete(key);
    for (const entry of entries) this.#mirrorOf(entry)?.release(entryKey(entry));
    if (address !== undefined) this.#addresses.release(addressKey(address));
  }

  /** Makes some plans again, because what they depend on has changed. */
  #planAgain(isAffected: (plan: RoutePlan) => boolean): void {
    const affected = [...this.plans.values()].filter(isAffected);
    for (const { route } of affected) {
      this.drop(route.key);
      this.plan(route);
    }
  }

  /** True where an address became the node's own, or is so no more. */
  #isBoundWrongly({ route, addresses }: RoutePlan): boolean {
    const bound = new Set(addresses);
    return route.frontends.some(
      ({ kind, address }) =>
        kind !== 'nodePort' && bound.has(address) === this.nodeAddresses.has(address),
    );
  }

  #foundMarkOf({ frontends, protocol }: Route): number | undefined {
    for (const { address, port } of frontends) {
      const mark = this.#foundMarks.get(describeVirtual({ protocol, address, port }));
      if (mark !== undefined) return mark;
    }
    return undefined;
  }

  /**
   * Families whose set of names was emptied: nothing is named, though the link has addresses of Services. Other
   * traces of an earlier run may be gone, but nobody else binds addresses to that link.
   */
  #lostFamilies({ entries, bound, others }: FoundBase): ReadonlySet<Family> {
    const linked = new Set([...bound.map(({ address }) => address), ...others].map(familyOf));
    const isNamed = (family: Family): boolean =>
      entries.get(family)?.some(({ role }) => role === 'frontends') === true;
    return new Set([...linked].filter((family) => !isNamed(family)));
  }

  #mirrorOf({ role, element }: SetEntry): Mirror<SetEntry> | undefined {
    return this.#entries.get(setName(familyOf(element.ip), role));
  }

  #binding(address: Address): BoundAddress {
    return { address, by: this.#options.bindMode };
  }
}

/** Gives other work its turn between the parts. */
async function settleInParts<T>(
  mirror: Mirror<T>,
  take: (changes: MirrorChanges<T>) => void,
): Promise<void> {
  for (;;) {
    take(mirror.settle(THINGS_AT_ONCE));
    if (mirror.isSettled) return;
    await setImmediate();
  }
}

function addressKey({ address, by }: BoundAddress): string {
  return `${by} ${address}`;
}

function frontendKeys({ frontends, protocol }: Route): readonly string[] {
  return frontends.map(({ address, port }) => describeVirtual({ protocol, address, port }));
}

function marksIn(entries: readonly SetEntry[]): ReadonlyMap<string, number> {
  const marks = new Map<string, number>();
  for (const { role, element } of entries) {
    if (role !== 'inside' || !('port' in element) || element.mark === undefined) continue;
    const { ip: address, protocol, port } = element;
    marks.set(describeVirtual({ protocol, address, port }), element.mark);
  }
  return marks;
}
