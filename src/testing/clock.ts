/** Time of the stand-in server: its clock counts from 1970, as the API dates things. */
import type { Clock } from '../core/clock.ts';

/** The clock of this machine. */
export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};

/** A moment as Kubernetes writes `metav1.Time`: whole seconds, RFC 3339, UTC. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
