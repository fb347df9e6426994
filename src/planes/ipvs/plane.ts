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
import {
  type RealServerInfo,
  type VirtualName,
  type VirtualServerInfo,
  describeVirtual,
  familyOfVirtual,
} from '../../kernel/ipvs/servers.ts';
import type { IpvsSocket } from '../../kernel/ipvs/socket.ts';
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
import { ChangeBatches, ChangeWriter, type Refusals } from './changes.ts';
import { TrafficCounters } from './counters.ts';
import { EndedConnections } from './ended-connections.ts';
import { inspectServers } from './inspect.ts';
import { type Machine, Sockets, thisMachine } from './machine.ts';
import type { IpvsOptions } from './options.ts';
import { Patrol } from './patrol.ts';
import type { RoutePlan } from './plan.ts';
import { listEntries, listLinkContents, setNames } from './read.ts';
import { removeEverything, removeFamilies } from './remove.ts';
import { ReportBuilder } from '../report.ts';
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
/** Routes that are planned, and virtual servers that are told apart, before other work gets its turn. */
const PLANNED_AT_ONCE = 256;
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
  readonly #ended: EndedConnections;
  #patrol: Patrol;
  /** The patrol found something; what it is, only a comparison tells. */
  #isDamaged = false;
  #counters = new TrafficCounters(0);
  #report = new ReportBuilder();

  constructor(io: KernelIo, options: IpvsOptions, machine: Machine) {
    this.#options = options;
    this.#machine = machine;
    this.#sockets = new Sockets(io, machine);
    this.#state = new PlaneState([], options);
    this.#patrol = new Patrol(this.#state);
    this.#ended = new EndedConnections(machine.connections, machine.clock);
  }

  probe(): readonly Capability[] {
    const capabilities = probeIpvs(this.#sockets);
    if (capabilities.every(({ ok }) => ok)) this.#warmUp();
    return capabilities;
  }

  async open(settings: PlaneSettings, routes: Iterable<Route>): Promise<WriteReport> {
    this.#report = new ReportBuilder();
    await this.#requireScheduler();
    const { families } = settings;
    const { sysctls, kernelRelease } = this.#machine;
    const { strictArp, tcpMs, tcpFinMs, udpMs, masqueradeBit, isRetired } = this.#options;
    applySysctls(sysctls, strictArp, kernelRelease);
    const timeouts = { tcp: seconds(tcpMs), tcpFin: seconds(tcpFinMs), udp: seconds(udpMs) };
    if (Object.values(timeouts).some((value) => value > 0)) {
      this.#sockets.ipvs.setTimeouts(timeouts);
    }
    const state = new PlaneState(families, this.#options);
    this.#state = state;
    this.#patrol = new Patrol(state);
    const ruled = isRetired === true ? [] : families;
    this.#rules = ruled.map((family) => {
      const rules = familyRules(family, settings, 2 ** masqueradeBit, state.marks);
      return new RuleKeeper(this.#sockets.iptables, family, rules);
    });
    const ours = [...routes].filter(({ family }) => state.has(family));
    this.#counters = new TrafficCounters(settings.countedPorts);
    this.#counters.start(ours);
    await this.#synchronise(ours);
    const others = FAMILIES.filter((family) => !state.has(family));
    if (others.length > 0) {
      await removeFamilies(this.#sockets, state.marks, others);
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
    const link = this.#link;
    await this.#learnRules();
    if (link !== undefined && !this.#isDamaged) {
      this.#isDamaged = await this.#patrol.findsDamage(this.#sockets, link, this.#rules);
    }
    const { servers } = this.#state;
    const draining = servers.draining();
    if (draining.length === 0) return undefined;
    this.#report = new ReportBuilder();
    const found: (readonly [VirtualName, readonly RealServerInfo[]])[] = [];
    for (const name of draining) {
      if (found.length % LISTED_AT_ONCE === 0) await setImmediate();
      found.push([name, this.#sockets.ipvs.realServers(name)]);
    }
    const now = this.#machine.clock.now();
    await this.#writeOrRepair(({ last }) =>
      found.flatMap(
        ([name, reals]) =>
          servers.tend(name, reals, last, now, (...drain) => this.#ended.have(...drain)) ?? [],
      ),
    );
    // Its answer is for the next time: nothing waits for the table, however large.
    void this.#ended.look();
    const report = this.#report.done();
    return report.operations === 0 ? undefined : report;
  }

  disturbed(): boolean {
    // IPVS, ipset and iptables tell nobody of changes: tend() looks for them.
    return this.#isDamaged;
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
    this.#patrol = new Patrol(this.#state);
    this.#rules = [];
    this.#link = undefined;
    return removeEverything(this.#sockets, this.#state.marks);
  }

  close(): void {
    this.#sockets.close();
  }

  /** Starts what takes long to start from a process that has grown. */
  #warmUp(): void {
    for (const family of FAMILIES) {
      // open() needs it, and tells why if it does not work.
      this.#sockets.iptables.warm(family).catch(() => undefined);
    }
  }

  /** After they were written. */
  async #learnRules(): Promise<void> {
    const unknown = this.#rules.filter(({ isLearnt }) => !isLearnt);
    const found = await Promise.all(unknown.map(async (rules) => rules.areInForce()));
    if (found.includes(false)) this.#isDamaged = true;
  }

  /** Makes the kernel hold what the plans say, or what these Routes say, whatever is there now. */
  async #synchronise(routes?: readonly Route[]): Promise<void> {
    this.#isDamaged = false;
    for (let attempt = 1; ; attempt++) {
      await this.#adopt(routes !== undefined && attempt === 1 ? routes : undefined);
      const { foreign, errors } = await this.#write();
      if (errors.length === 0 && foreign.length === 0) {
        this.#state.synchronised();
        return;
      }
      const [error] = errors;
      if (error !== undefined && attempt >= ATTEMPTS) throw error;
      this.#state.disown(foreign);
    }
  }

  /** Reads what is there, makes what does not depend on Services, and plans. */
  async #adopt(routes: readonly Route[] | undefined): Promise<void> {
    const { ipset, links } = this.#sockets;
    const state = this.#state;
    this.#readNodeAddresses();
    const link = await ensureLink(this.#sockets, this.#report);
    this.#link = link;
    const present = setNames(ipset);
    const entries = new Map<Family, readonly SetEntry[]>();
    for (const family of FAMILIES.filter((each) => state.has(each))) {
      await ensureSets(this.#sockets, family, present, this.#report);
      entries.set(family, await listEntries(ipset, family, present));
    }
    await Promise.all(this.#rules.map(async (rules) => rules.ensure(this.#report)));
    const { ours: bound, others } = await listLinkContents(
      links,
      link,
      [...entries.values()].flat(),
    );
    const base = { entries, bound, others };
    await state.adoptBase(base);
    if (routes !== undefined) await this.#findSchedulers(routes);
    const isTakenOver = KUBE_PROXY_SETS.some((name) => present.has(name));
    await this.#adoptServers(() => state.ownership(base, routes, isTakenOver));
    for (const [index, route] of (routes ?? []).entries()) {
      if (index > 0 && index % PLANNED_AT_ONCE === 0) await setImmediate();
      state.plan(route);
    }
  }

  async #adoptServers(ownership: () => ReturnType<PlaneState['ownership']>): Promise<void> {
    const { ipvs } = this.#sockets;
    const ours: VirtualServerInfo[] = [];
    const foreign = new Set<string>();
    const servers = await ipvs.virtualServers();
    const ownerOf = servers.length > 0 ? ownership() : undefined;
    for (const [index, server] of servers.entries()) {
      if (index % PLANNED_AT_ONCE === 0) await setImmediate();
      const { name } = server;
      if (!this.#state.has(familyOfVirtual(name))) continue;
      if (ownerOf?.(name) === 'ours') ours.push(server);
      else foreign.add(describeVirtual(name));
    }
    await this.#state.adoptServers(withRealServers(ipvs, ours), foreign);
  }

  /** Writes what differs. `more` may add to it, and says what became of which virtual server. */
  async #write(more?: (sink: ServerSink) => readonly ServerFate[]): Promise<Refusals> {
    const link = this.#link;
    if (link === undefined) return { foreign: [], errors: [] };
    this.#batches.reset();
    const now = this.#machine.clock.now();
    const writer = new ChangeWriter(this.#sockets, this.#batches, this.#report);
    const flush = async (): Promise<boolean> => writer.writeFirst();
    await this.#state.settle(this.#batches, link, this.#report, now, flush, more);
    await writer.writeAll();
    return writer;
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

  /** All Services that ask for none would go without. */
  async #requireScheduler(): Promise<void> {
    const { byDefault, marks } = this.#state;
    const { scheduler } = byDefault;
    if (await hasScheduler(this.#sockets.ipvs, scheduler, marks.spare)) return;
    throw new KernelError(
      `choosing the IPVS scheduler ${scheduler} (ipvs.scheduler): this kernel does not have it. Load the module ip_vs_${scheduler}, or choose another scheduler.`,
      { code: 'SY_KERNEL_NO_SCHEDULER' },
    );
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
    for (const notice of notices) this.#report.notice({ ...notice, service: route.service });
  }
}

async function* withRealServers(
  ipvs: IpvsSocket,
  servers: readonly VirtualServerInfo[],
): AsyncGenerator<FoundServer, void, undefined> {
  for (const [index, { name, scheduling }] of servers.entries()) {
    if (index % LISTED_AT_ONCE === 0) await setImmediate();
    yield { name, scheduling, realServers: ipvs.realServers(name) };
  }
}

/** IPVS counts in seconds; 0 leaves a timeout as it is. */
function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
