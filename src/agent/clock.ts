/** Time as the agent uses it. */
import type { Clock } from '../core/clock.ts';

/** A clock that can also let others run. */
export interface AgentClock extends Clock {
  /** Resolves after everything that is ready to run has had its turn. */
  breathe(): Promise<void>;
}

/** The clock of this machine. */
export const SYSTEM_CLOCK: AgentClock = {
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
