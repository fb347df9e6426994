/** What a run of `npm run bench -- ipvs` found. Written as JSON as it is. Times are in milliseconds. */
import type { Machine } from '../results.ts';
import type { Summary } from '../statistics.ts';

/** Changes at one number of Services, from the object event to the kernel's acknowledgement. */
export interface ChangeResult {
  readonly services: number;
  /** Both kinds of change together. */
  readonly endpointChange: Summary;
  /** The real server gets the weight 0. */
  readonly removed: Summary;
  /** A real server is added: none is there that only waited to be deleted. */
  readonly added: Summary;
}

/** A listing of all virtual and real servers, from the start of the process to its end. */
export interface ListResult {
  readonly switchyard: Summary;
  readonly ipvsadm: Summary;
}

/** What is found inside the guest. */
export interface GuestResults {
  /** Version of the kernel. */
  readonly kernel: string;
  /** Services of the loads and of the listing. */
  readonly services: number;
  /** A new process programs an empty kernel, from objects to acknowledgement. */
  readonly load: {
    readonly ms: Summary;
    /** Part of it that was spent writing, programs of iptables included. */
    readonly kernelMs: Summary;
    /** Kernel objects written. */
    readonly operations: number;
  };
  /** `ipvsadm -R` with the virtual and real servers of such a load, and nothing else of it: the time of that process. */
  readonly restore: Summary;
  /** The same objects, given to a new process that finds everything of an earlier one. */
  readonly adopt: Summary;
  readonly changes: readonly ChangeResult[];
  readonly list: ListResult;
  /** The same without a virtual server: what the process itself costs. */
  readonly emptyList: ListResult;
}

export interface IpvsResults extends GuestResults {
  readonly version: 1;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly commandLine: string;
  /** The machine that user-mode Linux runs on. */
  readonly machine: Machine;
  /** Average of the last minute, before the run and after it. More than 0 before: others used the machine too. */
  readonly loadAverage: { readonly before: number; readonly after: number };
}
