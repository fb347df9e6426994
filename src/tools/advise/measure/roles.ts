/** The parts that processes of this program play to measure: what each is handed, and what it gives back. */
import type { PlaneName } from '../../../agent/mode.ts';
import type { ProxyItem } from '../../../core/change.ts';
import type { ConnectTarget } from './connect-timer.ts';
import type { PlaneJob, PlaneRun } from './plane-run.ts';
import type { Effort, Measurement } from './results.ts';

/** All parts. */
interface Roles {
  /** Makes the network and starts the others in it. */
  readonly scratch: {
    readonly job: {
      readonly planes: readonly PlaneName[];
      readonly items: readonly ProxyItem[];
      readonly effort: Effort;
      /** Starts this program in a {@link Role}, which is added to it. */
      readonly program: readonly string[];
    };
    readonly result: Measurement;
  };
  /** Loads and changes one mode's plane. */
  readonly plane: { readonly job: PlaneJob; readonly result: PlaneRun };
  /** Connects, in the namespace of the client. */
  readonly client: {
    readonly job: { readonly targets: readonly ConnectTarget[]; readonly rounds: number };
    /** Samples of each target in microseconds. */
    readonly result: readonly (readonly number[])[];
  };
}

/** Name of a part. */
export type Role = keyof Roles;

/** What a part is handed. */
export type JobOf<R extends Role> = Roles[R]['job'];

/** What it gives back. */
export type ResultOf<R extends Role> = Roles[R]['result'];
