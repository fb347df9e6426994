/** Taking away what a data plane left whose place another one has taken. */
import type { Clock } from '../../core/clock.ts';
import { isKernelError } from '../../kernel/errors.ts';
import type { Drain, DrainOptions } from '../../planes/drain.ts';
import type { PlaneOffer } from '../mode.ts';

/** Who is told how it goes. */
export interface RetirementEvents {
  /** Connections that still need the old plane: told when their number has changed. */
  readonly onLeft: (connections: number) => void;
  /** Nothing is left. */
  readonly onGone: () => void;
  /** It did not work, and is tried again: told once until it does. Nothing is lost but time: the new plane serves. */
  readonly onTrouble: (error: unknown) => void;
}

const PERIOD_MS = 1000;
const RETRY_MS = 5000;

/** Removes, and tries again until it has. */
export class Retirement {
  readonly #offer: PlaneOffer;
  readonly #options: DrainOptions;
  readonly #clock: Clock;
  readonly #events: RetirementEvents;
  #drain: Drain | undefined;
  #left = 0;
  #cancel: (() => void) | undefined;
  #step: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isTroubled = false;

  constructor(offer: PlaneOffer, options: DrainOptions, clock: Clock, events: RetirementEvents) {
    this.#offer = offer;
    this.#options = options;
    this.#clock = clock;
    this.#events = events;
  }

  /** Resolves after the first attempt, to whether there was anything. It goes on from there by itself. */
  async begin(): Promise<boolean> {
    let isFound = false;
    this.#step = this.#attempt(async () => {
      isFound = await this.#remove();
      if (this.#drain === undefined) this.#end();
      else this.#wait();
    });
    await this.#step;
    return isFound;
  }

  /** Leaves what there still is to somebody else. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#step;
    this.#drain?.close();
    this.#drain = undefined;
  }

  async #remove(): Promise<boolean> {
    const { open, drain, mayBeThere } = this.#offer;
    if (mayBeThere?.() === false) return false;
    if (drain === undefined) {
      const plane = open();
      try {
        return await plane.remove();
      } catch (error) {
        // Without the tools of a mode, this machine's agents were never in it.
        if (isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) return false;
        throw error;
      } finally {
        plane.close();
      }
    }
    const draining = drain();
    let isFound = false;
    try {
      isFound = await draining.begin(this.#options);
    } finally {
      if (isFound) this.#drain = draining;
      else draining.close();
    }
    return isFound;
  }

  async #tend(drain: Drain): Promise<void> {
    const left = await drain.tend();
    if (left === undefined) {
      this.#end();
      return;
    }
    if (left !== this.#left) this.#events.onLeft(left);
    this.#left = left;
    this.#wait();
  }

  #end(): void {
    this.#drain?.close();
    this.#drain = undefined;
    this.#events.onGone();
  }

  #wait(ms = PERIOD_MS): void {
    if (this.#isStopped) return;
    this.#cancel = this.#clock.after(ms, () => {
      const drain = this.#drain;
      if (drain === undefined) void this.begin();
      else this.#step = this.#attempt(async () => this.#tend(drain));
    });
  }

  async #attempt(act: () => Promise<void>): Promise<void> {
    try {
      await act();
      this.#isTroubled = false;
    } catch (error) {
      if (!this.#isTroubled) this.#events.onTrouble(error);
      this.#isTroubled = true;
      this.#wait(RETRY_MS);
    }
  }
}
