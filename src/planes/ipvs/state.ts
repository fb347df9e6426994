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
import { Mirror } from './mirror.ts';
import type { BindMode, IpvsOptions } from './options.ts';
import { type PlanContext, type RoutePlan, planRoute } from './plan.ts';
import type { BoundAddress } from './read.ts';
import { MAX_DRIFT_LINES, type ReportBuilder } from '../report.ts';
import { marksIn, namedServers } from './read.ts';
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

const BIND_MODES: readonly BindMode[] = ['route', 'address'];
/** How much is settled before other work gets its turn: some milliseconds. */
const SERVERS_AT_ONCE = 64;
const THINGS_AT_ONCE = 512;

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
  /** Named by our sets when the kernel was read, until it holds what is wanted. */
  #named: ReadonlySet<string> = new Set();
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
      isForeign: (name) => this.#foreign.size > 0 && this.#foreign.has(describeVirtual(name)),
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
  async adoptBase({ entries, bound }: FoundBase): Promise<void> {
    for (const [family, found] of entries) {
      const byRole = Map.groupBy(found, ({ role }) => role);
      for (const role of SET_ROLES) {
        const ours = byRole.get(role) ?? [];
        const mirror = this.#entries.get(setName(family, role));
        if (ours.length > 0) await setImmediate();
        mirror?.adopt(ours.values().map((entry) => [entryKey(entry), entry]));
      }
    }
    const ours = bound.filter(({ address }) => this.has(familyOf(address)));
    this.#addresses.adopt(ours.map((each) => [addressKey(each), each]));
    this.#foundMarks = marksIn([...entries.values()].flat());
    this.#named = new Set();
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
    this.#named = named;
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

  /** Takes virtual servers that are read for what is there. Each is asked for when those before it are taken. */
  async adoptServers(
    found: AsyncIterable<FoundServer>,
    foreign: ReadonlySet<string>,
  ): Promise<void> {
    this.#refused = this.#refused.intersection(foreign);
    for (const name of await this.servers.adopt(found)) {
      if ('mark' in name) this.marks.take(name.mark);
    }
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

  /** The kernel holds what is wanted. */
  synchronised(): void {
    this.#named = new Set();
  }

  /** It turned out that somebody else has these virtual servers. */
  disown(foreign: readonly string[]): void {
    for (const key of foreign) {
      this.servers.disown(key);
      // A listing leaves servers out while others are deleted (ip_vs_genl_dump_services() counts): what is named is
      // looked for again.
      if (!this.#named.has(key)) this.#refused.add(key);
    }
  }

  /**
   * Puts what differs into the batches and takes it for written.
   * @param flush Writes what does not take connections away, in parts, so that it need not all be kept; false: to stop.
   * @param more May add to it, and says what became of which virtual server.
   */
  async settle(
    batches: ChangeBatches,
    link: Link,
    report: ReportBuilder,
    now: number,
    flush: () => Promise<boolean>,
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
      const isLast = this.servers.isSettled;
      if (isLast) for (const fate of more?.(sink) ?? []) this.#follow(fate);
      await this.#addEntries(batches, report);
      if (isLast) break;
      if (!(await flush())) return;
      await setImmediate();
    }
    // Only now: what became of the last virtual server may be that it needs them.
    await this.#deleteEntries(batches, report);
    await inParts(() => {
      const added = this.#addresses.additions(THINGS_AT_ONCE);
      for (const { address } of added) report.note(`${LINK}: ${address} was missing`);
      batches.addAddresses(link, added);
      return !this.#addresses.isComplete;
    });
    const boundOtherwise: BoundAddress[] = [];
    await inParts(() => {
      const deleted = this.#addresses.deletions(THINGS_AT_ONCE);
      for (const { address } of deleted) report.note(`${LINK}: ${address} was not ours`);
      batches.deleteAddresses(link, deleted);
      boundOtherwise.push(...deleted.filter(({ by }) => by !== this.bindMode));
      return !this.#addresses.isClean;
    });
    if (boundOtherwise.length > 0) await this.#restoreRoutes(batches, link);
  }

  /** True when the link has every address that it should have. */
  async isBound(links: LinkSocket, link: Link): Promise<boolean> {
    if (this.#addresses.size === 0) return true;
    const bound: readonly Address[] =
      this.#options.bindMode === 'route'
        ? (await links.listLocalRoutes(link)).map(({ destination }) => destination.address)
        : (await links.listAddresses(link)).map(({ address }) => address);
    const there = new Set(bound);
    return this.#addresses.held().every(({ address }) => there.has(address));
  }

  /** How many elements each of our sets should have, by its name. */
  *setSizes(): Iterable<readonly [name: string, size: number]> {
    for (const [name, { size }] of this.#entries) yield [name, size];
  }

  async #restoreRoutes(batches: ChangeBatches, link: Link): Promise<void> {
    const held = [...this.#addresses.held()];
    for (let from = 0; from < held.length; from += THINGS_AT_ONCE) {
      batches.restoreRoutes(link, held.slice(from, from + THINGS_AT_ONCE));
      await setImmediate();
    }
  }

  async #addEntries(batches: ChangeBatches, report: ReportBuilder): Promise<void> {
    for (const mirror of this.#entries.values()) {
      await inParts(() => {
        const added = mirror.additions(THINGS_AT_ONCE);
        noteEntries(report, added, 'was missing or wrong');
        batches.addEntries(added);
        return !mirror.isComplete;
      });
    }
  }

  async #deleteEntries(batches: ChangeBatches, report: ReportBuilder): Promise<void> {
    for (const mirror of this.#entries.values()) {
      await inParts(() => {
        const deleted = mirror.deletions(THINGS_AT_ONCE);
        noteEntries(report, deleted, 'was not ours');
        batches.deleteEntries(deleted);
        return !mirror.isClean;
      });
    }
  }

  /** Keeps, as long as a virtual server drains, what tells it as ours and lets its packets in. */
  #follow({ name, state }: ServerFate): void {
    if (state === 'wanted' && this.#remnants.size === 0) return;
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
    // It may have been bound in the other way, by another configuration.
    const isBound = BIND_MODES.some((by) => this.#addresses.holds(addressKey({ address: ip, by })));
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
    return route.frontends.some(
      ({ kind, address }) =>
        kind !== 'nodePort' && addresses.includes(address) === this.nodeAddresses.has(address),
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

/** Gives other work its turn between the parts; `part` tells whether there is another. */
async function inParts(part: () => boolean): Promise<void> {
  while (part()) await setImmediate();
}

function noteEntries(report: ReportBuilder, entries: readonly SetEntry[], what: string): void {
  for (const entry of entries.slice(0, MAX_DRIFT_LINES)) {
    report.note(`${familyOf(entry.element.ip)} set ${entryKey(entry)} ${what}`);
  }
}

function addressKey({ address, by }: BoundAddress): string {
  return `${by} ${address}`;
}

function frontendKeys({ frontends, protocol }: Route): readonly string[] {
  return frontends.map(({ address, port }) => describeVirtual({ protocol, address, port }));
}
