/**
 * The ipvs data plane: Routes in, virtual servers, elements of ipsets and local routes out. See docs/ipvs.md for
 * the shape of it and one packet's way.
 */
import { setImmediate } from 'node:timers/promises';
import type { Family } from '../../core/ip.ts';
import type { PlaneSettings } from '../../core/node.ts';
import type { Route, RouteChange } from '../../core/route.ts';
import { KernelError } from '../../kernel/errors.ts';
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
import type { IpvsOptions } from './options.ts';
import type { RoutePlan } from './plan.ts';
import { readEntries, readLinkContents, setNames } from './read.ts';
import { removeEverything, removeFamilies } from './remove.ts';
import { ReportBuilder } from './report.ts';
import { familyRules } from './rules.ts';
import { LINK, type SetEntry } from './schema.ts';
import { hasScheduler, probeIpvs } from './probe.ts';
import { schedulersFor } from './scheduling.ts';
import type { FoundServer, ServerFate, ServerSink } from './servers.ts';
import { PlaneState } from './state.ts';
import { applySysctls } from './sysctls.ts';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];
/** Times a synchronisation is tried when others write at the same time. */
const ATTEMPTS = 3;
/** Virtual servers whose real servers are listed before other work gets its turn. */
const LISTED_AT_ONCE = 32;
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

class IpvsPlane implements DataPlane {
  readonly mode = 'ipvs';
  readonly #options: IpvsOptions;
  readonly #machine: Machine;
  readonly #sockets: Sockets;
  readonly #batches = new ChangeBatches();
  #state: PlaneState;
  #rules: readonly RuleKeeper[] = [];
  #link: Link | undefined;
  #counters = new TrafficCounters(0);
  #report = new ReportBuilder();

  constructor(io: KernelIo, options: IpvsOptions, machine: Machine) {
    this.#options = options;
    this.#machine = machine;
    this.#sockets = new Sockets(io);
    this.#state = new PlaneState([], options);
  }

  probe(): readonly Capability[] {
    return probeIpvs(this.#sockets, this.#machine.iptables);
  }

  async open(settings: PlaneSettings, routes: Iterable<Route>): Promise<WriteReport> {
    this.#report = new ReportBuilder();
    const { families } = settings;
    const { sysctls, kernelRelease, iptables } = this.#machine;
    const { strictArp, tcpMs, tcpFinMs, udpMs, masqueradeBit } = this.#options;
    applySysctls(sysctls, strictArp, kernelRelease);
    const timeouts = { tcp: seconds(tcpMs), tcpFin: seconds(tcpFinMs), udp: seconds(udpMs) };
    if (Object.values(timeouts).some((value) => value > 0)) {
      this.#sockets.ipvs.setTimeouts(timeouts);
    }
    const state = new PlaneState(families, this.#options);
    this.#state = state;
    this.#rules = families.map((family) => {
      const rules = familyRules(family, settings, 2 ** masqueradeBit, state.marks);
      return new RuleKeeper(iptables, family, rules);
    });
    const ours = [...routes].filter(({ family }) => state.has(family));
    this.#counters = new TrafficCounters(settings.countedPorts);
    this.#counters.start(ours);
    await this.#synchronise(ours);
    const others = FAMILIES.filter((family) => !state.has(family));
    if (others.length > 0) {
      await removeFamilies(this.#sockets, iptables, state.marks, others);
    }
    for (const plan of state.plans.values()) this.#noticesOf(plan);
    return this.#report.done();
  }

  async apply(changes: readonly RouteChange[]): Promise<WriteReport> {
    this.#report = new ReportBuilder();
    const state = this.#state;
    const ours = changes.filter(({ before, after }) => {
      const family = (after ?? before)?.family;
      return family !== undefined && state.has(family);
    });
    this.#counters.follow(ours);
    const routes = ours.flatMap(({ after }) => after ?? []);
    if (routes.some((route) => state.hasNewExternalAddress(route))) this.#readNodeAddresses();
    await this.#findSchedulers(routes);
    // All of them first: a frontend may move from one Route to another.
    for (const { key } of ours) state.drop(key);
    for (const { key, after } of ours) {
      if (after === undefined) state.forget(key);
      else state.plan(after);
    }
    await this.#writeOrRepair();
    for (const { key } of routes) {
      const plan = state.plans.get(key);
      if (plan !== undefined) this.#noticesOf(plan);
    }
    return this.#report.done();
  }

  async tend(): Promise<WriteReport | undefined> {
    const { servers } = this.#state;
    const draining = servers.draining();
    if (draining.length === 0) return undefined;
    this.#report = new ReportBuilder();
    const { ipvs } = this.#sockets;
    const now = this.#machine.clock.now();
    await this.#writeOrRepair(({ last }) =>
      draining.flatMap((name) => servers.tend(name, ipvs.realServers(name), last, now) ?? []),
    );
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
    return this.#counters.read(await this.#sockets.ipvs.virtualServers(), this.#state.plans);
  }

  async remove(): Promise<boolean> {
    this.#state = new PlaneState([], this.#options);
    this.#rules = [];
    this.#link = undefined;
    return removeEverything(this.#sockets, this.#machine.iptables, this.#state.marks);
  }

  close(): void {
    this.#sockets.close();
  }

  /** Makes the kernel hold what the plans say, or what these Routes say, whatever is there now. */
  async #synchronise(routes?: readonly Route[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.#adopt(routes !== undefined && attempt === 1 ? routes : undefined);
      const { foreign, errors } = await this.#write();
      if (errors.length === 0 && foreign.length === 0) return;
      const [error] = errors;
      if (error !== undefined && attempt === ATTEMPTS) throw error;
      this.#state.disown(foreign);
    }
  }

  /** Reads what is there, makes what does not depend on Services, and plans. */
  async #adopt(routes: readonly Route[] | undefined): Promise<void> {
    const { iptables } = this.#machine;
    const { ipset, links } = this.#sockets;
    const state = this.#state;
    this.#readNodeAddresses();
    const link = await ensureLink(this.#sockets, this.#report);
    this.#link = link;
    const present = setNames(ipset);
    const entries = new Map<Family, readonly SetEntry[]>();
    for (const family of FAMILIES.filter((each) => state.has(each))) {
      await ensureSets(this.#sockets, iptables, family, present, this.#report);
      entries.set(family, readEntries(ipset, family, present));
    }
    for (const rules of this.#rules) await rules.ensure(this.#report);
    const { ours: bound } = readLinkContents(links, link, [...entries.values()].flat());
    const base = { entries, bound };
    state.adoptBase(base);
    if (routes !== undefined) await this.#findSchedulers(routes);
    const isTakenOver = KUBE_PROXY_SETS.some((name) => present.has(name));
    await this.#adoptServers(state.ownership(base, routes, isTakenOver));
    for (const route of routes ?? []) state.plan(route);
  }

  async #adoptServers(ownership: ReturnType<PlaneState['ownership']>): Promise<void> {
    const { ipvs } = this.#sockets;
    const found: FoundServer[] = [];
    const foreign = new Set<string>();
    for (const { name, scheduling } of await ipvs.virtualServers()) {
      if (!this.#state.has(familyOfVirtual(name))) continue;
      const owner = ownership(name);
      if (owner === 'foreign') foreign.add(describeVirtual(name));
      if (owner !== 'ours') continue;
      if (found.length % LISTED_AT_ONCE === 0) await setImmediate();
      found.push({ name, scheduling, realServers: ipvs.realServers(name) });
    }
    this.#state.adoptServers(found, foreign);
  }

  /** Writes what differs. `more` may add to it, and says what became of which virtual server. */
  async #write(more?: (sink: ServerSink) => readonly ServerFate[]): Promise<Refusals> {
    const link = this.#link;
    if (link === undefined) return { foreign: [], errors: [] };
    this.#batches.reset();
    const now = this.#machine.clock.now();
    this.#state.settle(this.#batches, link, this.#report, now, more);
    return commitChanges(this.#sockets, this.#batches, this.#report);
  }

  /** Writes what differs. After a failure the kernel is compared with what is wanted, and repaired. */
  async #writeOrRepair(more?: (sink: ServerSink) => readonly ServerFate[]): Promise<void> {
    try {
      const { foreign, errors } = await this.#write(more);
      if (errors.length === 0 && foreign.length === 0) return;
      this.#state.disown(foreign);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    await this.#synchronise();
  }

  async #findSchedulers(routes: readonly Route[]): Promise<void> {
    const { schedulers, byDefault, marks } = this.#state;
    const names = new Set(routes.flatMap((route) => schedulersFor(route, byDefault)));
    for (const name of names) {
      if (schedulers.has(name)) continue;
      schedulers.set(name, await hasScheduler(this.#sockets.ipvs, name, marks.spare));
    }
  }

  #readNodeAddresses(): void {
    const addresses = this.#sockets.routes.listAddresses();
    this.#state.nodeAddresses = new Set(
      addresses.filter(({ interfaceName }) => interfaceName !== LINK).map(({ address }) => address),
    );
  }

  #noticesOf({ route, notices }: RoutePlan): void {
    for (const text of notices) this.#report.notice({ service: route.service, text });
  }
}

/** IPVS counts in seconds; 0 leaves a timeout as it is. */
function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
