/**
 * The ipvs data plane: Routes in, virtual servers, elements of ipsets and local routes out. See docs/ipvs.md for
 * the shape of it and one packet's way.
 */
import { type Address, type Family, familyOf } from '../../core/ip.ts';
import type { PlaneSettings } from '../../core/node.ts';
import type { Route, RouteChange, RouteKey } from '../../core/route.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { describeVirtual, familyOfVirtual } from '../../kernel/ipvs/servers.ts';
import type { Link } from '../../kernel/rtnetlink/socket.ts';
import type {
  Capability,
  DataPlane,
  DriftReport,
  ProgrammedFrontend,
  ServiceCounters,
  WriteReport,
} from '../plane.ts';
import { RuleKeeper, ensureLink, ensureSets } from './base.ts';
import { ChangeBatches, type Refusals, commitChanges } from './changes.ts';
import { TrafficCounters } from './counters.ts';
import { inspectServers } from './inspect.ts';
import { type Machine, Sockets, thisMachine } from './machine.ts';
import { Marks } from './marks.ts';
import { Mirror } from './mirror.ts';
import type { IpvsOptions } from './options.ts';
import { type PlanContext, type RoutePlan, planRoute } from './plan.ts';
import {
  type BoundAddress,
  ownership,
  readEntries,
  readLinkContents,
  setNames,
} from './read.ts';
import { removeEverything } from './remove.ts';
import { ReportBuilder } from './report.ts';
import { familyRules } from './rules.ts';
import { LINK, type SetEntry, entryKey, isSameEntry } from './schema.ts';
import { hasScheduler, probeIpvs } from './probe.ts';
import { defaultChoice, schedulersFor } from './scheduling.ts';
import { type FoundServer, type ServerFate, type ServerSink, Servers } from './servers.ts';
import { applySysctls } from './sysctls.ts';

/** Times a synchronisation is tried when others write at the same time. */
const ATTEMPTS = 3;
/** Sets that kube-proxy makes in ipvs mode: what it served is taken over. */
const KUBE_PROXY_SETS = ['KUBE-CLUSTER-IP', 'KUBE-6-CLUSTER-IP'] as const;

/**
 * Opens the ipvs plane. Nothing is read or written before the first call on it.
 * @param machine This machine, unless a test has another one.
 */
export function openIpvsPlane(
  io: KernelIo,
  options: IpvsOptions,
  machine: Machine = thisMachine(),
): DataPlane {
  return new IpvsPlane(io, options, machine);
}

/** What is kept for each family. */
interface FamilyState {
  readonly family: Family;
  readonly entries: Mirror<SetEntry>;
  readonly rules: RuleKeeper;
}

/** What holds the place of a virtual server that nobody wants any more, until it is gone. */
interface Remnant {
  readonly entries: readonly SetEntry[];
  readonly address: BoundAddress | undefined;
}

class IpvsPlane implements DataPlane {
  readonly mode = 'ipvs';
  readonly #options: IpvsOptions;
  readonly #machine: Machine;
  readonly #sockets: Sockets;
  readonly #masqueradeMark: number;
  readonly #batches = new ChangeBatches();
  readonly #context: PlanContext;
  readonly #schedulers = new Map<string, boolean>();
  #link: Link | undefined;
  #families: readonly FamilyState[] = [];
  #marks: Marks;
  #servers = new Servers();
  #addresses = newAddresses();
  #plans = new Map<RouteKey, RoutePlan>();
  #remnants = new Map<string, Remnant>();
  #foreign: ReadonlySet<string> = new Set();
  #nodeAddresses: ReadonlySet<Address> = new Set();
  /** Marks that frontends had in the kernel when it was read. */
  #foundMarks: ReadonlyMap<string, number> = new Map();
  #counters = new TrafficCounters(0);
  #report = new ReportBuilder();

  constructor(io: KernelIo, options: IpvsOptions, machine: Machine) {
    this.#options = options;
    this.#machine = machine;
    this.#sockets = new Sockets(io);
    this.#masqueradeMark = 2 ** options.masqueradeBit;
    this.#marks = new Marks(this.#masqueradeMark);
    this.#context = {
      byDefault: defaultChoice(options.scheduler),
      drainMs: options.drainMs,
      has: (scheduler) =>
        scheduler === options.scheduler || this.#schedulers.get(scheduler) === true,
      isNodeAddress: (address) => this.#nodeAddresses.has(address),
      isForeign: (key) => this.#foreign.has(key),
      markOf: (route) => this.#marks.assign(route.key, this.#foundMarkOf(route)),
    };
  }

  probe(): readonly Capability[] {
    return probeIpvs(this.#sockets, this.#machine.iptables);
  }

  async open(settings: PlaneSettings, routes: Iterable<Route>): Promise<WriteReport> {
    this.#report = new ReportBuilder();
    const { sysctls, kernelRelease, iptables } = this.#machine;
    const { ipvs } = this.#sockets;
    applySysctls(sysctls, this.#options.strictArp, kernelRelease);
    const { tcpMs, tcpFinMs, udpMs } = this.#options;
    const timeouts = { tcp: seconds(tcpMs), tcpFin: seconds(tcpFinMs), udp: seconds(udpMs) };
    if (Object.values(timeouts).some((value) => value > 0)) ipvs.setTimeouts(timeouts);
    this.#schedulers.clear();
    this.#marks = new Marks(this.#masqueradeMark);
    this.#servers = new Servers();
    this.#addresses = newAddresses();
    this.#plans = new Map();
    this.#remnants = new Map();
    this.#counters = new TrafficCounters(settings.countedPorts);
    this.#families = settings.families.map((family) => ({
      family,
      entries: new Mirror(isSameEntry),
      rules: new RuleKeeper(
        iptables,
        family,
        familyRules(family, settings, this.#masqueradeMark, this.#marks),
      ),
    }));
    const ours = [...routes].filter(({ family }) => settings.families.includes(family));
    this.#counters.start(ours);
    await this.#synchronise(ours);
    for (const plan of this.#plans.values()) this.#noticesOf(plan);
    return this.#report.done();
  }

  async apply(changes: readonly RouteChange[]): Promise<WriteReport> {
    this.#report = new ReportBuilder();
    const families = new Set(this.#families.map(({ family }) => family));
    const ours = changes.filter(({ before, after }) => {
      const family = (after ?? before)?.family;
      return family !== undefined && families.has(family);
    });
    this.#counters.follow(ours);
    const routes = ours.flatMap(({ after }) => after ?? []);
    if (routes.some((route) => this.#hasNewExternalAddress(route))) this.#readNodeAddresses();
    await this.#findSchedulers(routes);
    for (const { key } of ours) this.#drop(key);
    for (const route of routes) this.#plan(route);
    const refusals = await this.#write();
    await this.#makeUpFor(refusals);
    for (const { key } of routes) {
      const plan = this.#plans.get(key);
      if (plan !== undefined) this.#noticesOf(plan);
    }
    return this.#report.done();
  }

  async tend(): Promise<WriteReport | undefined> {
    const draining = this.#servers.draining();
    if (draining.length === 0) return undefined;
    this.#report = new ReportBuilder();
    const { ipvs } = this.#sockets;
    const now = this.#machine.clock.now();
    const refusals = await this.#write(({ last }) =>
      draining.flatMap((name) => this.#servers.tend(name, ipvs.realServers(name), last, now) ?? []),
    );
    await this.#makeUpFor(refusals);
    const report = this.#report.done();
    return report.operations === 0 ? undefined : report;
  }

  disturbed(): boolean {
    // IPVS, ipset and iptables tell nobody of changes: they are found by comparing, in verify().
    return false;
  }

  async verify(): Promise<DriftReport> {
    this.#report = new ReportBuilder();
    await this.#synchronise();
    return { ...this.#report.done(), drift: this.#report.drift };
  }

  inspect(): Promise<readonly ProgrammedFrontend[]> {
    return inspectServers(this.#sockets);
  }

  async counters(): Promise<readonly ServiceCounters[]> {
    if (!this.#counters.isCounting) return [];
    return this.#counters.read(await this.#sockets.ipvs.virtualServers(), this.#plans);
  }

  async remove(): Promise<boolean> {
    this.#families = [];
    this.#plans = new Map();
    this.#servers = new Servers();
    this.#remnants = new Map();
    this.#addresses = newAddresses();
    this.#link = undefined;
    return removeEverything(this.#sockets, this.#machine.iptables, this.#marks);
  }

  close(): void {
    this.#sockets.close();
  }

  /** Makes the kernel hold what the plans say, or what these Routes say, whatever is there now. */
  async #synchronise(routes?: readonly Route[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.#adopt(routes !== undefined && attempt === 1 ? routes : undefined);
      const { foreign, errors } = await this.#write();
      const [error] = errors;
      if (error === undefined && foreign.length === 0) return;
      if (error !== undefined && attempt === ATTEMPTS) throw error;
      this.#setForeign(new Set([...this.#foreign, ...foreign]));
    }
  }

  /** Reads what is there, makes what does not depend on Services, and plans. */
  async #adopt(routes: readonly Route[] | undefined): Promise<void> {
    const { iptables } = this.#machine;
    const { ipset, links } = this.#sockets;
    this.#readNodeAddresses();
    const link = await ensureLink(this.#sockets, this.#report);
    this.#link = link;
    const present = setNames(ipset);
    const all: SetEntry[] = [];
    for (const { family, entries, rules } of this.#families) {
      await ensureSets(this.#sockets, iptables, family, present, this.#report);
      const found = readEntries(ipset, family, present);
      entries.adopt(found.map((entry) => [entryKey(entry), entry]));
      all.push(...found);
      await rules.ensure(this.#report);
    }
    const { ours: bound } = readLinkContents(links, link, all);
    const families = new Set(this.#families.map(({ family }) => family));
    this.#addresses.adopt(
      bound
        .filter(({ address }) => families.has(familyOf(address)))
        .map((each) => [addressKey(each), each]),
    );
    this.#foundMarks = marksIn(all);
    if (routes !== undefined) await this.#findSchedulers(routes);
    await this.#adoptServers(all, bound, present, routes);
    if (routes === undefined) this.#planAgain();
    else for (const route of routes) this.#plan(route);
  }

  async #adoptServers(
    entries: readonly SetEntry[],
    bound: readonly BoundAddress[],
    present: ReadonlySet<string>,
    routes: readonly Route[] | undefined,
  ): Promise<void> {
    const { ipvs } = this.#sockets;
    const isOurs = ownership({
      entries,
      bound,
      isOurMark: (mark) => this.#marks.isOurs(mark) && mark !== this.#marks.spare,
      excluded: this.#options.excludeCidrs,
    });
    const isTakenOver = KUBE_PROXY_SETS.some((name) => present.has(name));
    const wanted = new Set(isTakenOver ? routes?.flatMap(frontendKeys) : []);
    const families = new Set(this.#families.map(({ family }) => family));
    const found: FoundServer[] = [];
    const foreign = new Set<string>();
    for (const { name, scheduling: how } of await ipvs.virtualServers()) {
      if (!families.has(familyOfVirtual(name))) continue;
      const key = describeVirtual(name);
      if (isOurs(name) || this.#servers.holds(key) || wanted.has(key)) {
        found.push({ name, scheduling: how, realServers: ipvs.realServers(name) });
      } else foreign.add(key);
    }
    this.#servers.adopt(found);
    for (const { name } of found) if ('mark' in name) this.#marks.take(name.mark);
    for (const [key, remnant] of this.#remnants) {
      if (!this.#servers.holds(key)) this.#forget(key, remnant);
    }
    if (routes === undefined) this.#setForeign(foreign);
    else this.#foreign = foreign;
  }

  /** Others have these virtual servers now: plans that depend on it are made again. */
  #setForeign(foreign: ReadonlySet<string>): void {
    const changed = foreign.symmetricDifference(this.#foreign);
    this.#foreign = foreign;
    if (changed.size === 0) return;
    for (const { route } of this.#plans.values()) {
      if (frontendKeys(route).some((key) => changed.has(key))) this.#plan(route);
    }
  }

  /** Plans again where an address became the node's own, or is so no more. */
  #planAgain(): void {
    for (const { route, addresses } of this.#plans.values()) {
      const bound = new Set(addresses);
      const isOther = route.frontends.some(
        ({ kind, address }) =>
          kind !== 'nodePort' && bound.has(address) === this.#nodeAddresses.has(address),
      );
      if (isOther) this.#plan(route);
    }
  }

  /** Makes a plan and wants what it says, in place of an earlier plan. */
  #plan(route: Route): void {
    this.#drop(route.key);
    const plan = planRoute(route, this.#context);
    this.#plans.set(route.key, plan);
    const entries = this.#entriesOf(route.family);
    for (const entry of plan.entries) entries?.retain(entryKey(entry), entry);
    for (const address of plan.addresses) {
      const bound = this.#binding(address);
      this.#addresses.retain(addressKey(bound), bound);
    }
    for (const [key, server] of plan.servers) this.#servers.want(key, server);
  }

  /** Wants nothing for a Route any more. */
  #drop(key: RouteKey): void {
    const plan = this.#plans.get(key);
    if (plan === undefined) return;
    this.#plans.delete(key);
    const entries = this.#entriesOf(plan.route.family);
    for (const entry of plan.entries) entries?.release(entryKey(entry));
    for (const address of plan.addresses) this.#addresses.release(addressKey(this.#binding(address)));
    for (const [server, wanted] of plan.servers) this.#servers.unwant(server, wanted);
    if ([...plan.servers.values()].some(({ name }) => 'mark' in name)) this.#marks.release(key);
  }

  /** Writes what differs. `more` may add to it, and says what became of which virtual server. */
  async #write(more?: (sink: ServerSink) => readonly ServerFate[]): Promise<Refusals> {
    const link = this.#link;
    if (link === undefined) return { foreign: [], errors: [] };
    const batches = this.#batches;
    const sink: ServerSink = {
      first: batches.serversFirst,
      last: batches.serversLast,
      note: (what) => {
        this.#report.note(what);
      },
    };
    const now = this.#machine.clock.now();
    const fates = [
      ...this.#servers.settle(sink, now, this.#options.drainMs),
      ...(more?.(sink) ?? []),
    ];
    for (const fate of fates) this.#follow(fate);
    for (const { family, entries } of this.#families) {
      const changes = entries.settle();
      for (const entry of changes.added) this.#noteEntry(family, entry, 'was missing or wrong');
      for (const entry of changes.deleted) this.#noteEntry(family, entry, 'was not ours');
      batches.addEntries(family, changes);
    }
    const changes = this.#addresses.settle();
    for (const { address } of changes.added) this.#report.note(`${LINK}: ${address} was missing`);
    for (const { address } of changes.deleted) this.#report.note(`${LINK}: ${address} was stale`);
    batches.addAddresses(link, changes);
    return commitChanges(this.#sockets, batches, this.#report);
  }

  /** Keeps, as long as a virtual server drains, what tells it as ours and lets its packets in. */
  #follow({ name, state }: ServerFate): void {
    const key = describeVirtual(name);
    const remnant = this.#remnants.get(key);
    if (state !== 'draining') {
      if (remnant !== undefined) this.#forget(key, remnant);
      if (state === 'gone' && 'mark' in name) this.#marks.free(name.mark);
      return;
    }
    if (remnant !== undefined || 'mark' in name) return;
    const { address: ip, protocol, port } = name;
    const bound = this.#binding(ip);
    const isBound = this.#addresses.holds(addressKey(bound));
    const element = { ip, protocol, port };
    const entries: readonly SetEntry[] = [
      { role: 'draining', element },
      // New connections: silence where a Service was, as everywhere on its address; refused by the node.
      isBound ? { role: 'other', element: { ip } } : { role: 'refused', element },
    ];
    for (const entry of entries) this.#entriesOf(familyOf(ip))?.retain(entryKey(entry), entry);
    if (isBound) this.#addresses.retain(addressKey(bound), bound);
    this.#remnants.set(key, { entries, address: isBound ? bound : undefined });
  }

  #forget(key: string, { entries, address }: Remnant): void {
    this.#remnants.delete(key);
    for (const entry of entries) {
      this.#entriesOf(familyOf(entry.element.ip))?.release(entryKey(entry));
    }
    if (address !== undefined) this.#addresses.release(addressKey(address));
  }

  /** After refusals: virtual servers of others are left alone; anything else is compared and repaired. */
  async #makeUpFor({ foreign, errors }: Refusals): Promise<void> {
    if (errors.length > 0) {
      await this.#synchronise();
    } else if (foreign.length > 0) {
      this.#setForeign(new Set([...this.#foreign, ...foreign]));
      const again = await this.#write();
      const [error] = again.errors;
      if (error !== undefined) throw error;
    }
  }

  async #findSchedulers(routes: readonly Route[]): Promise<void> {
    const { byDefault } = this.#context;
    const names = new Set(routes.flatMap((route) => schedulersFor(route, byDefault)));
    for (const name of names) {
      if (this.#schedulers.has(name)) continue;
      this.#schedulers.set(name, await hasScheduler(this.#sockets.ipvs, name, this.#marks.spare));
    }
  }

  #hasNewExternalAddress({ frontends }: Route): boolean {
    return frontends.some(
      ({ kind, address }) =>
        (kind === 'externalIP' || kind === 'loadBalancer') &&
        !this.#nodeAddresses.has(address) &&
        !this.#addresses.holds(addressKey(this.#binding(address))),
    );
  }

  #readNodeAddresses(): void {
    const addresses = this.#sockets.routes.listAddresses();
    this.#nodeAddresses = new Set(
      addresses.filter(({ interfaceName }) => interfaceName !== LINK).map(({ address }) => address),
    );
  }

  #foundMarkOf({ frontends, protocol }: Route): number | undefined {
    for (const { address, port } of frontends) {
      const mark = this.#foundMarks.get(describeVirtual({ protocol, address, port }));
      if (mark !== undefined) return mark;
    }
    return undefined;
  }

  #entriesOf(family: Family): Mirror<SetEntry> | undefined {
    return this.#families.find((state) => state.family === family)?.entries;
  }

  #binding(address: Address): BoundAddress {
    return { address, by: this.#options.bindMode };
  }

  #noteEntry(family: Family, entry: SetEntry, what: string): void {
    this.#report.note(`${family} set ${entryKey(entry)} ${what}`);
  }

  #noticesOf({ route, notices }: RoutePlan): void {
    for (const text of notices) this.#report.notice({ service: route.service, text });
  }
}

function newAddresses(): Mirror<BoundAddress> {
  return new Mirror(() => true);
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

/** IPVS counts in seconds; 0 leaves a timeout as it is. */
function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
