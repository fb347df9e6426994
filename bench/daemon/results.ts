/** What a run of `npm run bench -- agent` found. Written as JSON as it is. */
import type { Machine } from '../results.ts';
import type { Summary } from '../statistics.ts';

/** Starts of the daemon, each in a new process. */
export interface StartResult {
  /** From the start of the process until everything is programmed, in milliseconds. */
  readonly ms: Summary;
  /** Processor time until then, which other programs on the machine disturb less. */
  readonly cpuMs: Summary;
  /** Part of the time in which its main thread waited for a processor that others had: the API server, or strangers. */
  readonly waitedMs: Summary;
  /** Largest memory of any of them, in MB. */
  readonly peakRss: number;
}

/** A time in which one slice after the other changed. */
export interface ChurnResult {
  readonly seconds: number;
  readonly changes: number;
  /** From the event that the API server wrote to the kernel's report of the transaction, in milliseconds. */
  readonly latency: Summary;
  /** Transactions in which the kernel got them. */
  readonly transactions: number;
  /** Processor time of the daemon in proportion to the time that passed; 1 is one processor. */
  readonly processorShare: number;
  /** The same of the time in which its main thread waited for a processor. */
  readonly waitedShare: number;
  /** Memory in MB: mean of the first and of the last quarter of the time, and the most since the start of the process. */
  readonly rss: { readonly first: number; readonly last: number; readonly peak: number };
}

export interface DaemonResults {
  readonly version: 1;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly commandLine: string;
  readonly machine: Machine;
  /** Average of the last minute, before the run and after it. More than 0 before: others used the machine too. */
  readonly loadAverage: { readonly before: number; readonly after: number };
  readonly services: number;
  readonly endpoints: number;
  readonly ratePerSecond: number;
  /** With no rules in the kernel. */
  readonly start: StartResult;
  /** With all rules in the kernel, after the process before was killed. */
  readonly restart: StartResult;
  readonly churn: ChurnResult;
}
