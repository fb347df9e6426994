/** What the process that holds the pipeline under test can be asked. Times are in milliseconds. */
import type { WriteReport } from '../src/planes/plane.ts';

/** Something that takes long and happens once. */
export interface LongRun {
  readonly ms: number;
  /** Processor time, which other programs on the machine disturb less. */
  readonly cpuMs: number;
  /** Longest time the event loop stood still meanwhile. */
  readonly stallMs: number;
  readonly report: WriteReport;
}

/** Of the process, in MB. */
export interface Memory {
  readonly rss: number;
  readonly peakRss: number;
  readonly heapUsed: number;
}

interface Verification extends LongRun {
  /** What differed, in the plane's words; at most 20. */
  readonly drift: number;
  /** Time of the question whether somebody else wrote rules. */
  readonly disturbedMs: number;
  readonly disturbed: boolean;
}

export type PlaneCalls = {
  /** Makes objects and programs them: objects handed to the pipeline, to the last acknowledgement. */
  readonly load: {
    readonly params: { readonly network: number; readonly services: number };
    readonly result: LongRun;
  };
  /** Removes an endpoint of some Service or adds it again, in turns, one event after the other. */
  readonly changeEndpoints: {
    readonly params: { readonly count: number };
    readonly result: readonly number[];
  };
  /** Adds Services, each with its slice, and removes them again. */
  readonly addAndRemove: {
    readonly params: { readonly count: number };
    readonly result: { readonly added: readonly number[]; readonly removed: readonly number[] };
  };
  readonly verify: { readonly params: null; readonly result: Verification };
  /** Deletes the rules as another program would: behind the plane's back. */
  readonly deleteRules: { readonly params: null; readonly result: null };
  readonly memory: { readonly params: null; readonly result: Memory };
};
