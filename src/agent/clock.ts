/** Time as the agent uses it. Tests pass in one they can turn by hand. */
export interface Clock {
  /** Milliseconds since some fixed moment, never going back. */
  now(): number;
  /** Calls `run` after `ms` milliseconds. Returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
  /** Resolves after everything that is ready to run has had its turn. */
  breathe(): Promise<void>;
}

/** The clock of this machine. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => {
      clearTimeout(timer);
    };
  },
  breathe: async () =>
    new Promise((resolve) => {
      setImmediate(resolve);
    }),
};
