/** Time, as interfaces only: clocks are passed in, so that tests can turn them by hand. */
export interface Clock {
  /** Milliseconds since some fixed moment. Never goes back and never jumps. */
  now(): number;
  /** Calls `run` after `ms` milliseconds. Returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
}

/** Milliseconds since 1970. Jumps when somebody sets the time; only what is dated by others is compared with it. */
export type WallTime = () => number;
