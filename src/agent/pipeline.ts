/**
 * The way of a change through the agent: object events are planned into Route changes, merged while the
 * kernel is busy, programmed as one batch, and followed by the clean-up of stale UDP flows. One call to
 * the data plane at a time; nothing that arrived is ever lost, whatever fails.
 */
import { type StaleFlows, staleUdpFlows } from '../core/flows.ts';
import type { EndpointSlice, ObjectKey } from '../core/model.ts';
import type { NodeView, PlaneSettings } from '../core/node.ts';
import type { RouteChange, RouteKey } from '../core/route.ts';
import type { Conflict } from '../core/route-table.ts';
import type { HealthCheck } from '../core/select/select.ts';
import type { ObjectChange } from '../core/change.ts';
import type { DataPlane, DriftReport, WriteReport } from '../planes/plane.ts';
import type { AgentClock } from './clock.ts';
import { mergeChanges } from './merge-changes.ts';
import { type PlanTotals, type Planned, Planner } from './planner.ts';
import { VerifySchedule, type VerifyTimes } from './verify-schedule.ts';

/** One round of programming that the kernel has acknowledged. */
export interface Programmed extends WriteReport {
  /** `open` writes everything that differs, `apply` only changes. */
  readonly how: 'open' | 'apply';
  /** Services that were decided on. */
  readonly services: readonly ObjectKey[];
  /** Routes there are (`open`), or that changed (`apply`). */
  readonly routes: number;
  /** From the oldest event of this round to the kernel's last acknowledgement, in milliseconds. */
  readonly latencyMs: number;
}

/** One round, whatever came of it. */
export interface Round {
  readonly how: 'open' | 'apply';
  /** From the beginning of planning to the end, in milliseconds. */
  readonly ms: number;
}

/** Everything that was noticed up to some moment is in force. */
export interface Synced extends Round {
  /** Writing was needed; `undefined` when nothing a plane knows of has changed. */
  readonly programmed: Programmed | undefined;
  readonly totals: PlanTotals;
  /** Health-check node ports of the Services that were decided on; `undefined` where there is none. */
  readonly healthChecks: ReadonlyMap<ObjectKey, HealthCheck | undefined>;
  /** The slices that this was about. */
  readonly slices: ReadonlyMap<ObjectKey, EndpointSlice>;
}

/** What a pipeline tells the rest of the agent. */
export interface PipelineEvents {
  /** Something has to be brought into force from now on. */
  readonly onQueued: () => void;
  /** A round begins, with everything that was noticed so far. */
  readonly onStarted: () => void;
  /** All of it is. */
  readonly onSynced: (synced: Synced) => void;
  /** A round failed, or (`undefined`) a comparison; everything is tried again after `retryMs`. */
  readonly onFailure: (error: unknown, retryMs: number, round: Round | undefined) => void;
  /** The first success after failures. */
  readonly onRecovered: () => void;
  /** The kernel was compared with what was programmed; what differed is repaired. */
  readonly onVerified: (report: DriftReport) => void;
  /** Work that only time brings was done. */
  readonly onTended: (report: WriteReport) => void;
  /** All that cannot be served of a Service, each time it is decided on. */
  readonly onProblems: (service: ObjectKey, problems: readonly string[]) => void;
  readonly onConflict: (conflict: Conflict) => void;
  /** Flows that the kernel may now drop. Must not block. */
  readonly onStaleFlows: (stale: readonly StaleFlows[]) => void;
}

/** A data plane, and the node as decisions and this plane see it: both depend on the mode. */
export interface Charge {
  readonly plane: DataPlane;
  readonly view: NodeView;
  readonly settings: PlaneSettings;
}

/** What a {@link Pipeline} works with. */
export interface PipelineOptions extends Charge {
  readonly events: PipelineEvents;
  readonly clock: AgentClock;
  /** Time between the end of a batch and the next one; the first change after a pause does not wait. */
  readonly coalesceMs: number;
  readonly verify: VerifyTimes;
}

/** Longest time between two attempts. */
const MAX_RETRY_MS = 30_000;
const FIRST_RETRY_MS = 50;

/** Takes changes in, and sees to it that the data plane gets them. */
export class Pipeline implements AsyncDisposable {
  readonly #options: PipelineOptions;
  readonly #planner: Planner;
  readonly #schedule: VerifySchedule;
  #plane: DataPlane;
  #view: NodeView;
  #settings: PlaneSettings;
  /** Another plane is to take the place of this one. */
  #successor: { readonly next: Charge; readonly done: PromiseWithResolvers<undefined> } | undefined;
  /** The objects are complete: until then nothing is programmed, for what is missing would be removed. */
  #isComplete = false;
  #isClosed = false;
  /** The kernel's state is unknown or its base structure outdated: write everything that differs. */
  #mustOpen = true;
  #mustVerify = false;
  #mustTend = false;
  #failures = 0;
  #notBefore = 0;
  /** Time of the oldest event that the kernel does not have. */
  #oldest: number | undefined;
  /** Changes that the kernel may not have. */
  #pending = new Map<RouteKey, RouteChange>();
  #services = new Set<ObjectKey>();
  #healthChecks = new Map<ObjectKey, HealthCheck | undefined>();
  #slices = new Map<ObjectKey, EndpointSlice>();
  #round: Promise<void> | undefined;
  /** When the present round began; `undefined` where it only verifies. */
  #plannedAt: number | undefined;
  #cancelTimer: (() => void) | undefined;
  #cancelPoll: (() => void) | undefined;

  constructor(options: PipelineOptions) {
    const { plane, view, settings, events, clock, verify } = options;
    this.#options = options;
    this.#plane = plane;
    this.#view = view;
    this.#settings = settings;
    this.#planner = new Planner(view, events.onProblems);
    this.#schedule = new VerifySchedule(verify, clock.now());
  }

  /** What is wanted, as it stands. */
  get planned(): Planned {
    return this.#planner;
  }

  /** Takes new states of objects. `at` is when they were noticed, on the pipeline's clock. */
  accept(changes: readonly ObjectChange[], at: number): void {
    this.#planner.accept(changes);
    this.#noticed(at);
  }

  /** Takes new facts about the node. */
  setNode(view: NodeView, settings: PlaneSettings, at: number): void {
    this.#view = view;
    this.#planner.setView(view);
    if (JSON.stringify(settings) !== JSON.stringify(this.#settings)) {
      this.#settings = settings;
      this.#mustOpen = true;
    }
    this.#noticed(at);
  }

  /** Everything that exists has been accepted: programming may begin. */
  complete(): void {
    this.#isComplete = true;
    this.#options.events.onQueued();
    this.#poll();
    this.#wake();
  }

  /**
   * Has another plane take the place of the present one, between two rounds: it is opened with all Routes, as they are
   * in its mode. Resolves when it has them; every change from then on goes to it. What the plane before has
   * programmed stays, and nobody calls that plane any more. Rejects when the other one fails, or when the pipeline is
   * closed first: the plane before goes on.
   */
  async takeOver(next: Charge): Promise<void> {
    if (this.#isClosed || this.#successor !== undefined) throw new Error('the pipeline is busy');
    const done = Promise.withResolvers<undefined>();
    this.#successor = { next, done };
    this.#wake();
    await done.promise;
  }

  /** Takes nothing in any more and waits for the call to the data plane that is under way. Rules stay. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#cancelPoll?.();
    await this.#round;
    this.#successor?.done.reject(new Error('the agent ends'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #noticed(at: number): void {
    if (!this.#hasChanges()) return;
    this.#oldest = Math.min(this.#oldest ?? at, at);
    if (this.#isComplete) this.#options.events.onQueued();
    this.#wake();
  }

  #hasChanges(): boolean {
    return this.#mustOpen || this.#planner.isDirty;
  }

  /** Starts the next round as soon as it may start, unless there is one or nothing to do. */
  #wake(): void {
    if (!this.#isComplete || this.#isClosed || this.#round !== undefined) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const isIdle = !this.#hasChanges() && !this.#mustVerify && !this.#mustTend;
    if (isIdle && this.#successor === undefined) return;
    const { clock } = this.#options;
    const delay = this.#notBefore - clock.now();
    if (delay > 0) {
      this.#cancelTimer = clock.after(delay, () => {
        this.#wake();
      });
    } else {
      this.#round = this.#run();
    }
  }

  async #run(): Promise<void> {
    const { clock, coalesceMs, events } = this.#options;
    // Events that arrive in the same turn of the event loop belong together.
    await clock.breathe();
    let pauseMs = coalesceMs;
    const successor = this.#successor;
    const before = { plane: this.#plane, view: this.#view, settings: this.#settings };
    if (successor !== undefined) this.#seat(successor.next);
    try {
      if (this.#hasChanges()) await this.#program();
      if (this.#mustVerify) await this.#verify();
      if (this.#mustTend) await this.#tend();
      if (this.#failures > 0) events.onRecovered();
      this.#failures = 0;
      successor?.done.resolve(undefined);
    } catch (error) {
      const round = this.#roundSoFar();
      this.#plannedAt = undefined;
      // The plane may believe to have written what the kernel never got. Only `open` compares the two.
      this.#mustOpen = true;
      if (successor === undefined) {
        pauseMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, MAX_RETRY_MS);
        this.#failures++;
        events.onFailure(error, pauseMs, round);
      } else {
        this.#seat(before);
        successor.done.reject(error);
      }
    }
    this.#notBefore = clock.now() + pauseMs;
    this.#round = undefined;
    this.#wake();
  }

  #seat({ plane, view, settings }: Charge): void {
    this.#successor = undefined;
    this.#plane = plane;
    this.#view = view;
    this.#settings = settings;
    this.#planner.setView(view);
    this.#mustOpen = true;
  }

  async #program(): Promise<void> {
    const { clock, events } = this.#options;
    const noticedAt = this.#oldest ?? clock.now();
    this.#plannedAt = clock.now();
    events.onStarted();
    // What arrives from here on belongs to the next round.
    this.#oldest = undefined;
    try {
      const plan = await this.#planner.plan(clock);
      mergeChanges(this.#pending, plan.changes);
      for (const service of plan.services) this.#services.add(service);
      for (const [service, check] of plan.healthChecks) this.#healthChecks.set(service, check);
      for (const [key, slice] of plan.slices) this.#slices.set(key, slice);
      for (const conflict of plan.conflicts) events.onConflict(conflict);
      await this.#write(noticedAt);
    } catch (error) {
      this.#oldest = noticedAt;
      throw error;
    }
  }

  async #write(noticedAt: number): Promise<void> {
    const { clock, events } = this.#options;
    const plane = this.#plane;
    const changes = [...this.#pending.values()];
    const services = [...this.#services];
    const settings = this.#settings;
    const how = this.#mustOpen ? 'open' : 'apply';
    let programmed: Programmed | undefined;
    if (how === 'open' || changes.length > 0) {
      const report =
        how === 'open'
          ? await plane.open(settings, this.#planner.routes())
          : await plane.apply(changes);
      const routes = how === 'open' ? this.#planner.totals.routes : changes.length;
      programmed = { ...report, how, services, routes, latencyMs: clock.now() - noticedAt };
      const stale = staleUdpFlows(changes);
      if (stale.length > 0) events.onStaleFlows(stale);
    }
    const healthChecks = this.#healthChecks;
    const slices = this.#slices;
    this.#pending = new Map();
    this.#services = new Set();
    this.#healthChecks = new Map();
    this.#slices = new Map();
    const { totals } = this.#planner;
    const ms = this.#roundSoFar()?.ms ?? 0;
    this.#plannedAt = undefined;
    // They may have changed again in the meantime.
    this.#mustOpen = settings !== this.#settings;
    events.onSynced({ how, ms, programmed, totals, healthChecks, slices });
    if (this.#hasChanges()) events.onQueued();
  }

  #roundSoFar(): Round | undefined {
    if (this.#plannedAt === undefined) return undefined;
    const ms = this.#options.clock.now() - this.#plannedAt;
    return { how: this.#mustOpen ? 'open' : 'apply', ms };
  }

  async #verify(): Promise<void> {
    const { clock, events } = this.#options;
    this.#mustVerify = false;
    const report = await this.#plane.verify();
    this.#schedule.done(clock.now(), report.drift.length > 0);
    events.onVerified(report);
  }

  async #tend(): Promise<void> {
    this.#mustTend = false;
    const report = await this.#plane.tend();
    if (report !== undefined) this.#options.events.onTended(report);
  }

  /** Asks now and then whether somebody else wrote rules. */
  #poll(): void {
    const { clock, verify } = this.#options;
    this.#cancelPoll = clock.after(verify.pollMs, () => {
      this.#poll();
      if (this.#round !== undefined || this.#mustOpen) return;
      this.#mustTend = true;
      this.#mustVerify = this.#schedule.isDue(clock.now(), this.#isDisturbed());
      this.#wake();
    });
  }

  #isDisturbed(): boolean {
    try {
      return this.#plane.disturbed();
    } catch {
      // verify() asks the kernel too, and what fails there is reported and tried again.
      return true;
    }
  }
}
