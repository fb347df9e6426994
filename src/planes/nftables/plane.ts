/**
 * The nftables data plane: Routes in, nf_tables transactions out. See docs/nftables.md for the shape of
 * the tables and one packet's way through them.
 */
import { setImmediate } from 'node:timers/promises';
import type { Family } from '../../core/ip.ts';
import type { PlaneSettings } from '../../core/node.ts';
import type { Route, RouteChange } from '../../core/route.ts';
import { KernelError, isKernelError } from '../../kernel/errors.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { NftBatch } from '../../kernel/nftables/batch.ts';
import { FAMILY_NAME } from '../../kernel/nftables/constants.ts';
import { NftMonitor } from '../../kernel/nftables/monitor.ts';
import { NftSocket } from '../../kernel/nftables/socket.ts';
import type {
  Capability,
  DataPlane,
  DriftReport,
  ProgrammedFrontend,
  ServiceCounters,
  WriteReport,
} from '../plane.ts';
import { packetsThrough } from '../in-flight.ts';
import { forgetClients } from './affinity.ts';
import { CountedPorts } from './counted-ports.ts';
import { countedPorts, readCounters } from './counters.ts';
import { describeElement, describeFrontend } from './describe.ts';
import type { ElementSink } from './diff.ts';
import { Layout } from './layout.ts';
import { type FrontendPlan, frontendKeys } from './plan.ts';
import { probeNftables } from './probe.ts';
import { readTable } from './read.ts';
import { TABLE } from './schema.ts';
import { type Packed, reusedBytes } from './keys.ts';
import { type Forgotten, FamilyTable, collectForgotten, portions } from './table.ts';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/** Kernel objects in one transaction: about 5 ms, in which the event loop stands still. */
const BATCH_OPERATIONS = 2000;
/** Times a transaction or a synchronisation is tried again when others write at the same time. */
const ATTEMPTS = 5;
const MAX_DRIFT_LINES = 20;
/** Frontends that are put into words before others get their turn. */
const DESCRIBED_AT_ONCE = 256;

/** Opens the nftables plane. Nothing is read or written before the first call on it. */
export function openNftablesPlane(io: KernelIo): DataPlane {
  return new NftablesPlane(io);
}

class NftablesPlane implements DataPlane {
  readonly mode = 'nftables';
  readonly #io: KernelIo;
  readonly #batch = new NftBatch();
  #socket: NftSocket | undefined;
  #tables: readonly FamilyTable[] = [];
  #countedPorts = new CountedPorts(0);
  /** Generation of the kernel's rules after our last write: any other means that others wrote. */
  #generation = 0;
  /** Somebody else committed something, to whatever table, since we last read ours. */
  #othersWrote = false;
  /** It was in our tables, or nobody can tell: they have to be read. */
  #disturbed = false;
  #monitor: NftMonitor | undefined;
  #operations = 0;
  #batches = 0;
  #kernelMs = 0;

  constructor(io: KernelIo) {
    this.#io = io;
  }

  probe(): readonly Capability[] {
    return probeNftables(this.#io);
  }

  async open(settings: PlaneSettings, routes: Iterable<Route>): Promise<WriteReport> {
    this.#resetReport();
    this.#countedPorts = new CountedPorts(settings.countedPorts);
    this.#tables = settings.families.map(
      (family) => new FamilyTable(new Layout(family, settings), this.#countedPorts),
    );
    await this.#synchronise([...routes]);
    // Not earlier: the kernel would report the whole first load to us.
    this.#monitor ??= NftMonitor.open(this.#io, TABLE);
    this.#disturbed = this.#didOthersWrite();
    return this.#report();
  }

  async apply(changes: readonly RouteChange[]): Promise<WriteReport> {
    this.#resetReport();
    const followed = this.#countedPorts.follow(changes);
    const forgotten = new Map<FamilyTable, Forgotten>();
    const work = this.#tables.map((table) => {
      const planChanges = table.replace(planChangesOf(table, followed));
      const lost: Forgotten = new Map();
      collectForgotten(planChanges, lost);
      if (lost.size > 0) forgotten.set(table, lost);
      return { table, planChanges };
    });
    try {
      for (const { table, planChanges } of work) table.addPicks(this.#batch, planChanges);
      this.#commit();
      for (const { table, planChanges } of work) {
        const sink = this.#sink(table.family);
        for (const chunk of portions(planChanges)) {
          table.write(this.#batch, chunk, sink);
          table.writeShared(sink);
          await this.#commitIfLarge();
        }
        table.writeShared(sink);
        table.dropUnusedSticky(this.#batch);
        table.dropUnusedCounters(this.#batch);
      }
      this.#commit();
    } catch (error) {
      // What the kernel holds is not what we thought. Our plans are right; bring the kernel there.
      if (!(error instanceof KernelError)) throw error;
      await this.#synchronise();
    }
    for (const [table, lost] of forgotten) {
      this.#forget(table, (frontend, endpoint) => lost.get(frontend)?.has(endpoint) === true);
    }
    return this.#report();
  }

  disturbed(): boolean {
    const reports = this.#monitor?.drain(this.#kernel().port) ?? 'lost';
    if (reports === 'touched' || (reports === 'lost' && this.#didOthersWrite())) {
      this.#disturbed = true;
    }
    return this.#disturbed;
  }

  async verify(): Promise<DriftReport> {
    this.#resetReport();
    const drift = await this.#synchronise();
    for (const table of this.#tables) table.dropUnusedPicks(this.#batch);
    this.#commit();
    return { ...this.#report(), drift };
  }

  async tend(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async inspect(): Promise<readonly ProgrammedFrontend[]> {
    const frontends: ProgrammedFrontend[] = [];
    for (const family of FAMILIES) {
      const contents = await readTable(this.#kernel(), family);
      for (const plan of contents?.plans.values() ?? []) {
        if (frontends.length % DESCRIBED_AT_ONCE === 0) await setImmediate();
        frontends.push(describeFrontend(family, plan));
      }
    }
    return frontends;
  }

  async counters(): Promise<readonly ServiceCounters[]> {
    const counters: ServiceCounters[] = [];
    for (const { family } of this.#tables) {
      counters.push(...(await readCounters(this.#kernel(), family)));
    }
    return counters;
  }

  async remove(): Promise<boolean> {
    this.#tables = [];
    this.#batch.reset();
    this.#generation = this.#kernel().generation();
    const there = FAMILIES.filter((family) => this.#hasTable(family));
    for (const family of there) {
      for (const { name, hook } of this.#kernel().chains(family, TABLE)) {
        if (hook?.hook === 'prerouting' || hook?.hook === 'output') {
          this.#batch.flushChain(family, TABLE, name);
        }
      }
    }
    this.#commit();
    if (there.length > 0) await packetsThrough();
    this.#deleteTables(there);
    this.#commit();
    return there.length > 0;
  }

  close(): void {
    this.#monitor?.close();
    this.#monitor = undefined;
    this.#socket?.close();
    this.#socket = undefined;
  }

  #didOthersWrite(): boolean {
    return this.#othersWrote || this.#kernel().generation() !== this.#generation;
  }

  #kernel(): NftSocket {
    this.#socket ??= NftSocket.open(this.#io);
    return this.#socket;
  }

  /**
   * Makes the kernel hold what these Routes say, or what the tables hold already, whatever is there now.
   * Returns a line for each thing that was found other than it should be.
   */
  async #synchronise(routes?: readonly Route[]): Promise<readonly string[]> {
    for (let attempt = 1; ; attempt++) {
      const drift: string[] = [];
      this.#batch.reset();
      try {
        this.#generation = this.#kernel().generation();
        this.#monitor?.drain(this.#kernel().port);
        this.#othersWrote = false;
        this.#disturbed = false;
        if (routes !== undefined) {
          const before = FAMILIES.flatMap((family) => countedPorts(this.#kernel(), family));
          this.#countedPorts.choose(routes, new Set(before));
        }
        const ours = new Set(this.#tables.map(({ family }) => family));
        this.#deleteTables(FAMILIES.filter((family) => !ours.has(family)));
        const lost = new Map<FamilyTable, Forgotten>();
        for (const table of this.#tables) {
          lost.set(table, await this.#synchroniseTable(table, drift, routes));
        }
        this.#commit();
        for (const [table, gone] of lost) {
          this.#forget(
            table,
            (frontend, endpoint) =>
              gone.get(frontend)?.has(endpoint) === true || !table.mayRemember(frontend, endpoint),
          );
        }
        return drift;
      } catch (error) {
        // Others may write between our reading and our writing: read again.
        if (!(error instanceof KernelError) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Returns what clients are to forget. */
  async #synchroniseTable(
    table: FamilyTable,
    drift: string[],
    routes: readonly Route[] | undefined,
  ): Promise<Forgotten> {
    const { family, layout } = table;
    const contents = await readTable(this.#kernel(), family);
    const state = layout.judge(contents);
    const usable = state === 'absent' || state === 'foreign layout' ? undefined : contents;
    table.adopt(usable);
    if (state !== 'ours') drift.push(`${FAMILY_NAME[family]} ${TABLE}: ${STATE_TEXT[state]}`);

    if (state === 'foreign layout') this.#batch.deleteTable(family, TABLE);
    if (usable === undefined) layout.create(this.#batch);
    else if (state === 'foreign rules') layout.rewriteRules(this.#batch, usable);

    const sink = this.#sink(family, usable === undefined ? undefined : drift);
    const found = usable?.plans ?? new Map<Packed, FrontendPlan>();
    const isOpen = usable !== undefined && layout.takesConnections(usable);
    const lost: Forgotten = new Map();
    for (const changes of table.differences(found, routes)) {
      collectForgotten(changes, lost);
      if (table.addPicks(this.#batch, changes) && isOpen) this.#commit();
      table.write(this.#batch, changes, sink);
      // A table of another layout is replaced in one transaction, so that no packet sees it half empty.
      if (state !== 'foreign layout' && this.#isLarge()) this.#commit();
      await setImmediate();
    }
    table.reconcileShared(
      { clusterIps: usable?.clusterIps ?? new Set(), hairpin: usable?.hairpin ?? new Set() },
      sink,
    );
    table.dropUnusedSticky(this.#batch);
    for (const name of table.dropUnusedCounters(this.#batch)) {
      noteDrift(drift, `${FAMILY_NAME[family]} ${TABLE}: counter ${name} was not ours`);
    }
    // Not before all is there: what is translated and not masqueraded yet would stay so.
    if (!isOpen) layout.openWaysIn(this.#batch);
    return lost;
  }

  #deleteTables(families: readonly Family[]): void {
    for (const family of families) {
      if (this.#hasTable(family)) this.#batch.deleteTable(family, TABLE);
    }
  }

  #hasTable(family: Family): boolean {
    return this.#kernel()
      .tables(family)
      .some(({ name }) => name === TABLE);
  }

  #forget(table: FamilyTable, isStale: (frontend: Packed, endpoint: Packed) => boolean): void {
    forgetClients(this.#kernel(), table.family, isStale, this.#batch, () => {
      this.#commit();
    });
  }

  async #commitIfLarge(): Promise<void> {
    if (!this.#isLarge()) return;
    this.#commit();
    await setImmediate();
  }

  /** Time to commit: it takes a while, or (without the right to a large send buffer) soon will not fit. */
  #isLarge(): boolean {
    const { operations, byteLength } = this.#batch;
    return operations >= BATCH_OPERATIONS || byteLength * 2 >= this.#kernel().maxBatchBytes;
  }

  /** Sends the batch, if there is anything in it. It is empty afterwards, also after a failure. */
  #commit(): void {
    if (this.#batch.isEmpty()) return;
    const started = performance.now();
    try {
      this.#send();
    } finally {
      this.#operations += this.#batch.operations;
      this.#batches += 1;
      this.#kernelMs += performance.now() - started;
      this.#batch.reset();
    }
  }

  #send(): void {
    for (let attempt = 1; ; attempt++) {
      try {
        this.#kernel().commit(this.#batch, this.#generation);
        this.#generation = (this.#generation + 1) >>> 0;
        return;
      } catch (error) {
        const stale = isKernelError(error, 'SY_KERNEL_STALE_GENERATION');
        if (!stale || attempt === ATTEMPTS) throw error;
        this.#othersWrote = true;
        this.#generation = this.#kernel().generation();
      }
    }
  }

  #sink(family: Family, drift?: string[]): ElementSink {
    const note = (set: string, key: Packed, what: string): void => {
      if (drift !== undefined) noteDrift(drift, `${describeElement(family, set, key)} ${what}`);
    };
    const batch = this.#batch;
    // The batch copies what it is given, so each role can use the same bytes over and over.
    const keyBytes = reusedBytes();
    const keyEndBytes = reusedBytes();
    const dataBytes = reusedBytes();
    return {
      add(set, key, { data, keyEnd, comment, counter }) {
        note(set, key, 'was missing or wrong');
        batch.addElement(family, TABLE, set, keyBytes(key), {
          ...(data !== undefined && { data: dataBytes(data) }),
          ...(keyEnd !== undefined && { keyEnd: keyEndBytes(keyEnd) }),
          ...(comment !== undefined && { comment }),
          ...(counter !== undefined && { counter }),
        });
      },
      delete(set, key, { keyEnd }) {
        note(set, key, 'was not ours or wrong');
        batch.deleteElement(
          family,
          TABLE,
          set,
          keyBytes(key),
          keyEnd === undefined ? {} : { keyEnd: keyEndBytes(keyEnd) },
        );
      },
    };
  }

  #resetReport(): void {
    this.#batch.reset();
    this.#operations = 0;
    this.#batches = 0;
    this.#kernelMs = 0;
  }

  #report(): WriteReport {
    return {
      operations: this.#operations,
      batches: this.#batches,
      kernelMs: this.#kernelMs,
      // Every wish that reaches a Route is granted here; schedulers are of ipvs mode.
      notices: [],
    };
  }
}

function noteDrift(drift: string[], line: string): void {
  if (drift.length < MAX_DRIFT_LINES) drift.push(line);
}

const STATE_TEXT = {
  absent: 'the table was missing',
  'foreign layout': 'the table was made by another version',
  'foreign rules': 'rules were changed, or made with other settings',
} as const;

/** New plans of every frontend that these changes touch; a frontend can move from one Route to another. */
function planChangesOf(
  table: FamilyTable,
  changes: readonly RouteChange[],
): ReadonlyMap<Packed, FrontendPlan | undefined> {
  const plans = new Map<Packed, FrontendPlan | undefined>();
  for (const { before } of changes) {
    if (before?.family !== table.family) continue;
    for (const key of frontendKeys(before)) plans.set(key, undefined);
  }
  for (const { after } of changes) {
    if (after?.family !== table.family) continue;
    for (const plan of table.plan(after)) plans.set(plan.key, plan);
  }
  return plans;
}
