/** When to compare the kernel with what was programmed. */
export interface VerifyTimes {
  /** Shortest time between two comparisons, and how often to ask whether there is a reason for one. */
  readonly pollMs: number;
  /** Longest time that a disturbed kernel waits for a comparison, however busy its other users are. */
  readonly verifyMs: number;
  /** Time after which to compare without any sign of a disturbance. */
  readonly quietMs: number;
}

/**
 * Soon after somebody wrote rules, as a rule. But a neighbour that writes its own rules all the time
 * would cause comparison after comparison: each one that finds nothing doubles the distance to the next.
 */
export class VerifySchedule {
  readonly #times: VerifyTimes;
  #last: number;
  #distance: number;
  #lastDisturbed: number;

  constructor(times: VerifyTimes, now: number) {
    this.#times = times;
    this.#last = now;
    this.#lastDisturbed = now;
    this.#distance = times.pollMs;
  }

  /** Asked every `pollMs`: compare now? */
  isDue(now: number, disturbed: boolean): boolean {
    const since = now - this.#last;
    if (disturbed) {
      this.#lastDisturbed = now;
      return since >= this.#distance;
    }
    // The neighbour has come to rest.
    if (now - this.#lastDisturbed >= this.#times.verifyMs) this.#distance = this.#times.pollMs;
    return since >= this.#times.quietMs;
  }

  /** A comparison ended. */
  done(now: number, foundDrift: boolean): void {
    this.#last = now;
    this.#distance = foundDrift
      ? this.#times.pollMs
      : Math.min(this.#distance * 2, this.#times.verifyMs);
  }
}
