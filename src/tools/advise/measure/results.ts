/** What measuring finds out. */
import type { PlaneName } from '../../../agent/mode.ts';
import type { Summary } from './statistics.ts';

/** How often things are measured, at most and at least. */
export interface Effort {
  /** Full loads; no further one is begun after `loadMs` milliseconds. */
  readonly loads: number;
  readonly loadMs: number;
  /** Changes of one endpoint: at least these, then until `changeMs` milliseconds are over, at most `maxChanges`. */
  readonly minChanges: number;
  readonly maxChanges: number;
  readonly changeMs: number;
  /** Connections to each target. */
  readonly connections: number;
}

/** Enough for a median that repeats, at 1,000 Services within a minute for all modes. */
export const EFFORT: Effort = {
  loads: 3,
  loadMs: 500,
  minChanges: 50,
  maxChanges: 500,
  changeMs: 2500,
  connections: 1000,
};

/** What one mode's plane did. Times are in milliseconds. */
export type PlaneOutcome =
  | {
      readonly usable: true;
      /** Objects handed over to the kernel's last acknowledgement, each time in a new process. */
      readonly load: Summary;
      /** Kernel objects that the last load wrote. */
      readonly operations: number;
      /** One endpoint gone or back: event to acknowledgement. `undefined`: no Service has an endpoint to take. */
      readonly change: Summary | undefined;
    }
  | {
      readonly usable: false;
      /** What the kernel or the tools lack, a sentence each. */
      readonly reasons: readonly string[];
    };

/** connect(2) to the first and the last Service through a node, in microseconds. */
export interface ConnectOutcome {
  readonly first: Summary;
  readonly last: Summary;
}

/** One mode on this kernel, and of iptables mode one variant. */
export interface ModeOutcome {
  readonly name: PlaneName;
  readonly plane: PlaneOutcome;
  /** `undefined` where the mode does not work, or no Service can be connected to over IPv4 and TCP. */
  readonly connect: ConnectOutcome | undefined;
}

/** All modes on this kernel, with the same Services. */
export interface Measurement {
  readonly services: number;
  readonly endpoints: number;
  /** Of the machine, as `uname -r` has it. */
  readonly kernel: string;
  readonly processors: number;
  readonly modes: readonly ModeOutcome[];
  /** connect(2) to an endpoint through a node without rules, in microseconds. */
  readonly withoutRules: Summary | undefined;
  readonly seconds: number;
}
