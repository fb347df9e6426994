/**
 * Changes the data plane of a running agent, without a dropped connection: the new plane is made beside the old one and
 * gets all Routes before the old one goes. Where both translate addresses, the kernel carries established connections on by
 * itself; where the old plane carries them (ipvs), it stays until they end.
 */
import type { Clock, WallTime } from '../../core/clock.ts';
import type { Family } from '../../core/ip.ts';
import type { DataPlane } from '../../planes/plane.ts';
import type { PlaneMode, ProxyMode } from '../config/option.ts';
import { describeError } from '../describe-error.ts';
import { AgentError } from '../errors.ts';
import { rfc3339 } from '../http/time-text.ts';
import { type PlaneName, type PlaneOffer, missingFor, planeName } from '../mode.ts';
import type { Charge, Pipeline } from '../pipeline.ts';
import type { SwitchJournal, SwitchRecord } from './journal.ts';
import { type Connect, answering, broken, sampleTargets } from './probes.ts';
import { ProgressFeed, type SwitchProgress, type SwitchStep } from './progress.ts';
import { Retirement } from './retirement.ts';

/** The plane in charge. */
export interface PlaneInForce {
  readonly offer: PlaneOffer;
  readonly plane: DataPlane;
}

/** What a {@link Switcher} works with. */
export interface SwitcherOptions {
  readonly pipeline: Pick<Pipeline, 'takeOver' | 'planned'>;
  /** At most one of each name. */
  readonly offers: readonly PlaneOffer[];
  readonly present: PlaneInForce;
  /** What the configuration asks for. */
  readonly configured: ProxyMode;
  /** `undefined`: a switch is forgotten when the agent ends. */
  readonly journal: SwitchJournal | undefined;
  /** Families the kernel has. */
  readonly families: readonly Family[];
  /** The node as a mode sees it. */
  readonly describe: (mode: PlaneMode) => Omit<Charge, 'plane'>;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly wallTime: WallTime;
  readonly events: {
    /** Another plane is in charge from now on. */
    readonly onMode: (present: PlaneInForce) => void;
    /** The pipeline may have missed what became known of the node meanwhile. */
    readonly onChanged: () => void;
    readonly onProgress: (progress: SwitchProgress) => void;
    /** Something did not work that the switch does not depend on, or that is tried again. */
    readonly onTrouble: (what: string, error: unknown) => void;
    /** What another plane had left before this agent began is removed, or drains. */
    readonly onLeftover: (name: PlaneName) => void;
  };
}

/** How to switch. */
export interface SwitchWish {
  readonly to: PlaneName;
  /** Longest time that connections of the old plane may last, in milliseconds; `null`: as long as they do. */
  readonly drainLimitMs: number | null;
}

type UndatedRecord = Omit<SwitchRecord, 'configured' | 'since'>;

/** Does one switch at a time. */
export class Switcher implements AsyncDisposable {
  readonly #options: SwitcherOptions;
  readonly #feed = new ProgressFeed();
  readonly #retirements = new Map<PlaneName, Retirement>();
  #present: PlaneInForce;
  #work: Promise<void> | undefined;
  #resumption: Promise<boolean> | undefined;
  #record: SwitchRecord | undefined;
  #isServing = false;
  #isClosed = false;

  /** @param record What the journal has of a switch that still counts. */
  constructor(options: SwitcherOptions, record: SwitchRecord | undefined) {
    this.#options = options;
    this.#present = options.present;
    this.#record = record;
  }

  /** Planes there are. */
  get planes(): readonly PlaneName[] {
    return this.#options.offers.map(planeName);
  }

  /** The plane that is in charge. */
  get present(): PlaneName {
    return planeName(this.#present.offer);
  }

  /** The last switch, as it stands; `undefined` if there was none since the configuration changed. */
  get record(): SwitchRecord | undefined {
    return this.#record;
  }

  /** There will be news, and an end of them: a switch is made, or what the last one left is removed or drains. */
  get isUnderWay(): boolean {
    if (this.#work !== undefined) return true;
    if (this.#record === undefined || this.#record.phase === 'done') return false;
    const isToGoOn = !this.#isServing || this.#resumption !== undefined;
    return isToGoOn || this.#retirements.has(this.#record.from);
  }

  /** News of switches. */
  get feed(): ProgressFeed {
    return this.#feed;
  }

  /**
   * Goes on with a switch that an earlier agent began, and removes what other planes left. To be called once, when
   * Services are served. Never rejects.
   */
  async resume(): Promise<void> {
    // Services may come to be served while the agent ends.
    if (this.#isClosed) return;
    this.#isServing = true;
    this.#resumption = this.#resume();
    const isWhole = await this.#resumption;
    // The next agent goes on where this one ended.
    if (!isWhole) return;
    this.#resumption = undefined;
    this.#finishIfGone();
  }

  /**
   * Throws an {@link AgentError} when a switch cannot begin: `SY_SWITCH_REFUSED`, or `SY_PLANE_UNUSABLE` with what is
   * missing.
   */
  check(to: PlaneName): void {
    this.#offerOf(to);
    if (!this.#isServing) throw refused('The agent serves no Services yet: wait until it does.');
    if (to === this.present) throw refused(`The ${to} plane is in charge already.`);
    if (this.#work !== undefined) throw refused('Another switch is under way: wait for its end.');
    const missing = missingFor(this.#offerOf(to));
    if (missing !== undefined) throw new AgentError('SY_PLANE_UNUSABLE', missing);
  }

  /**
   * Resolves when the new plane is in charge and proved to work; what the old one left may still drain. Rejects as
   * {@link check} does, and with `SY_SWITCH_FAILED`, after which the old plane is in charge.
   */
  async switch(wish: SwitchWish): Promise<void> {
    this.check(wish.to);
    await this.#begin(wish);
  }

  /** Waits for a switch and a removal that are under way. What drains goes on draining in the kernel. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#resumption;
    await this.#work;
    for (const retirement of this.#retirements.values()) await retirement.stop();
    if (this.#present.plane !== this.#options.present.plane) this.#present.plane.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Resolves to false when the agent ends before all is looked at. */
  async #resume(): Promise<boolean> {
    const record = this.#record;
    try {
      if (record?.phase === 'building') await this.#makeAgain(record);
    } catch (error) {
      this.#options.events.onTrouble('going on with a switch', error);
    }
    return this.#retireOthers();
  }

  /** Makes a switch again that was interrupted. */
  async #makeAgain({ from, to, drainLimitMs }: SwitchRecord): Promise<void> {
    // What counts when it fails, so that not each start makes it again. Nobody knows any more whether an earlier switch had
    // led to the plane before: as the end of one that went back, it stays in force either way.
    const back = this.#dated({ from: to, to: from, phase: 'done', drainLimitMs: null });
    this.#record = back;
    try {
      this.check(to);
    } catch (error) {
      this.#restore(back);
      this.#tell('failed', { from, to }, notMade({ from, to }, error));
      throw error;
    }
    await this.#begin({ to, drainLimitMs });
  }

  async #begin(wish: SwitchWish): Promise<void> {
    const work = this.#switch(wish);
    this.#work = work.catch(() => undefined);
    try {
      await work;
    } finally {
      this.#work = undefined;
      this.#finishIfGone();
    }
  }

  async #switch(wish: SwitchWish): Promise<void> {
    const { pipeline, connect, clock } = this.#options;
    const from = this.present;
    const { to } = wish;
    const before = this.#record;
    try {
      this.#remember({ ...wish, from, phase: 'building' });
    } catch (error) {
      this.#tell('failed', { from, to }, `nothing was begun: ${describeError(error)}`);
      throw error;
    }
    this.#tell('building', { from, to }, `making the ${to} plane beside the ${from} one`);
    const targets = await answering(sampleTargets(pipeline.planned.routes()), connect);
    try {
      await this.#change(to);
    } catch (error) {
      this.#restore(before);
      const text = notMade({ from, to }, error);
      await this.#retire(to, null);
      this.#tell('failed', { from, to }, text);
      throw failed(text);
    }
    this.#note({ ...wish, from, phase: 'retiring' });
    this.#tell('retiring', { from, to }, `the ${to} plane is in charge; removing the ${from} one`);
    await this.#retire(from, wish.drainLimitMs);
    this.#tell('verifying', { from, to }, `trying ${targets.length} Services from this node`);
    const bad = await broken(targets, connect, clock);
    if (bad.length === 0) return;
    const names = bad.map(({ address, port }) => `${address} port ${port}`).join(', ');
    await this.#undo(
      { ...wish, from },
      before,
      `${names} answered with the ${from} plane, and not with the ${to} one.`,
    );
  }

  /** Puts the old plane in charge again. Always throws. */
  async #undo(
    { from, to, drainLimitMs }: Pick<SwitchRecord, 'from' | 'to' | 'drainLimitMs'>,
    before: SwitchRecord | undefined,
    reason: string,
  ): Promise<never> {
    try {
      await this.#change(from);
    } catch (error) {
      const text = `${reason} But the ${from} plane cannot be had again: ${describeError(error)}`;
      // Its removal was stopped to make it.
      await this.#retire(from, drainLimitMs);
      this.#tell('failed', { from, to }, text);
      throw failed(text);
    }
    this.#restore(before);
    await this.#retire(to, null);
    const text = `${reason} The ${from} plane is in charge again.`;
    this.#tell('undone', { from, to }, text);
    throw failed(text);
  }

  /** Makes a plane, and puts it in charge. */
  async #change(to: PlaneName): Promise<void> {
    const { pipeline, describe, events } = this.#options;
    // It takes the place again that its remains are holding.
    await this.#retirements.get(to)?.stop();
    this.#retirements.delete(to);
    const offer = this.#offerOf(to);
    const plane = offer.open();
    try {
      const { view, settings } = describe(offer.mode);
      // The old plane takes changes meanwhile. What no Service has of the ServiceCIDRs is dropped by a finished plane
      // only: this one does not know all Services yet.
      await plane.open({ ...settings, serviceCidrs: [] }, [...pipeline.planned.routes()]);
      await pipeline.takeOver({ plane, view, settings });
    } catch (error) {
      plane.close();
      events.onChanged();
      throw error;
    }
    this.#present.plane.close();
    this.#present = { offer, plane };
    events.onMode(this.#present);
    events.onChanged();
  }

  /** Removes what a plane left. What has to drain drains from here on by itself. */
  async #retire(name: PlaneName, limitMs: number | null): Promise<boolean> {
    const { families, clock, events } = this.#options;
    const limit = limitMs ?? Infinity;
    const offer = this.#offerOf(name);
    const retirement = new Retirement(offer, { families, limitMs: limit }, clock, {
      onLeft: (connections) => {
        this.#drained(name, connections);
      },
      onGone: () => {
        this.#retirements.delete(name);
        this.#finishIfGone();
      },
      onTrouble: (error) => {
        events.onTrouble(`removing what the ${name} plane left; it is tried again`, error);
      },
    });
    this.#retirements.set(name, retirement);
    return retirement.begin();
  }

  async #retireOthers(): Promise<boolean> {
    const { offers, events, wallTime } = this.#options;
    const record = this.#record;
    for (const name of offers.map(planeName)) {
      if (this.#isClosed) return false;
      if (name === this.present || this.#retirements.has(name) || this.#isSwitched(name)) continue;
      const isNoted = record?.phase === 'retiring' && record.from === name;
      const limit = isNoted ? record.drainLimitMs : null;
      const past = isNoted ? wallTime() - Date.parse(record.since) : 0;
      const found = await this.#retire(name, limit && Math.max(0, limit - past));
      if (found && !isNoted) events.onLeftover(name);
    }
    return true;
  }

  /** A switch that was asked for meanwhile makes this plane, or removes it by itself. */
  #isSwitched(name: PlaneName): boolean {
    if (this.#work === undefined) return false;
    return name === this.#record?.from || name === this.#record?.to;
  }

  #drained(from: PlaneName, connections: number): void {
    const to = this.present;
    const text = `${connections} connections still need the ${from} plane`;
    this.#tell('draining', { from, to }, text, connections);
  }

  /** Ends the last switch when nothing of the old plane is left. */
  #finishIfGone(): void {
    const record = this.#record;
    if (record?.phase !== 'retiring' || this.#retirements.has(record.from)) return;
    // It may still be undone, or what is left was not looked for yet.
    if (this.#work !== undefined || this.#resumption !== undefined) return;
    this.#note({ ...record, phase: 'done' });
    const text = `the ${record.to} plane is in charge; nothing is left of the ${record.from} one`;
    this.#tell('done', record, text);
  }

  /** Throws when it cannot be written. */
  #remember(step: UndatedRecord): void {
    const record = this.#dated(step);
    this.#options.journal?.write(record);
    this.#record = record;
  }

  /** The same where the switch is beyond being refused. */
  #note(step: UndatedRecord): void {
    this.#restore(this.#dated(step));
  }

  #dated({ from, to, phase, drainLimitMs }: UndatedRecord): SwitchRecord {
    const { configured } = this.#options;
    return { configured, from, to, phase, since: this.#now(), drainLimitMs };
  }

  /** Has this record count; `undefined`: as if there had been no switch. */
  #restore(record: SwitchRecord | undefined): void {
    this.#record = record;
    try {
      if (record === undefined) this.#options.journal?.clear();
      else this.#options.journal?.write(record);
    } catch (error) {
      this.#options.events.onTrouble('writing the journal of the switch', error);
    }
  }

  #offerOf(name: PlaneName): PlaneOffer {
    const offer = this.#options.offers.find((each) => planeName(each) === name);
    if (offer !== undefined) return offer;
    throw new AgentError('SY_PLANE_UNUSABLE', `There is no ${name} plane here.`);
  }

  #tell(
    step: SwitchStep,
    { from, to }: Pick<SwitchRecord, 'from' | 'to'>,
    text: string,
    connections?: number,
  ): void {
    const left = connections === undefined ? {} : { connections };
    const progress: SwitchProgress = { at: this.#now(), step, from, to, text, ...left };
    this.#options.events.onProgress(progress);
    this.#feed.tell(progress);
  }

  #now(): string {
    return rfc3339(this.#options.wallTime());
  }
}

function notMade({ from, to }: Pick<SwitchRecord, 'from' | 'to'>, error: unknown): string {
  return `the ${to} plane could not be made: ${describeError(error)} The ${from} plane has stayed in charge.`;
}

function refused(message: string): AgentError {
  return new AgentError('SY_SWITCH_REFUSED', message);
}

function failed(message: string): AgentError {
  return new AgentError('SY_SWITCH_FAILED', message);
}
