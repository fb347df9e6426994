/** Least time between two attempts, in milliseconds, and where it stops growing (client-go's reflector). */
const FIRST_MS = 800;
const MAX_MS = 30_000;
/** After this long without a failure the next one counts as the first again, in milliseconds. */
const RESET_MS = 120_000;

/** Says how long to wait after a failure: twice as long each time, and never as long as the others do. */
export class Backoff {
  readonly #random: () => number;
  #failures = 0;
  #lastAt = Number.NEGATIVE_INFINITY;

  /** `random` gives numbers from 0 up to, not including, 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Takes a failure at the time `now` and returns the milliseconds to wait, 800 to 30,000. */
  next(now: number): number {
    if (now - this.#lastAt > RESET_MS) this.#failures = 0;
    this.#lastAt = now;
    const ceiling = Math.min(MAX_MS, 2 * FIRST_MS * 2 ** this.#failures++);
    // Spread over the upper half: a server that comes back must not meet all nodes at once.
    return ceiling * (1 + this.#random()) * 0.5;
  }
}
