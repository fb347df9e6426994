/** What a run of the bench found. Written as JSON as it is. */
import type { Memory } from './plane-calls.ts';
import type { Summary } from './statistics.ts';

/** Something that takes long, done a few times. */
export interface LongRunSummary {
  readonly ms: Summary;
  readonly cpuMs: Summary;
  /** Part of the time that was spent in the kernel's transactions. */
  readonly kernelMs: Summary;
  /** Longest time the event loop stood still. */
  readonly stallMs: Summary;
  /** Kernel objects written, and transactions, in the last run. */
  readonly operations: number;
  readonly batches: number;
}

/** The nftables plane at one size. Times are in milliseconds, from the object event to the kernel's acknowledgement. */
export interface PlaneResult {
  readonly services: number;
  readonly load: LongRunSummary;
  /** The same objects, given to a new process that finds the rules of an earlier one. */
  readonly adopt: LongRunSummary;
  readonly endpointChange: Summary;
  readonly serviceAdded: Summary;
  readonly serviceRemoved: Summary;
  /** The question whether somebody else wrote rules. */
  readonly disturbedMs: number;
  readonly verifyUndisturbed: LongRunSummary;
  /** Our tables were deleted. */
  readonly verifyDeleted: LongRunSummary;
  /** Of the process, in MB: after a load, then after all changes, and of one that adopted the rules. */
  readonly memory: {
    readonly afterLoad: Memory;
    readonly afterChanges: Memory;
    readonly afterAdoption: Memory;
  };
}

export type Rules = 'none' | 'switchyard' | 'kube-proxy';

/** connect(2) through a node, in microseconds. */
export interface ConnectResult<R extends string = Rules> {
  readonly rules: R;
  /** Services there are. */
  readonly services: number;
  readonly to: 'first Service' | 'last Service' | 'no Service';
  readonly microseconds: Summary;
}

/** kube-proxy's shape of rules, loaded with `nft -f -`: the time of that process, in milliseconds. */
export interface KubeProxyResult {
  readonly services: number;
  readonly load: number;
  readonly endpointChange: Summary;
}

/** A kube-proxy binary as a black box: what a client sees from outside. Times are in milliseconds. */
export interface PeerResult {
  readonly services: number;
  /** From the start of the process until the first, the middle and the last Service answered. */
  readonly ready?: number;
  /** From the write of one slice to the API server until a connection arrived where that slice leads. */
  readonly endpointChange?: Summary;
  /** At the end, in MB. */
  readonly rss?: number;
  /** Processor time of the process and of those it started, in proportion to the time it ran; 1 is one processor. */
  readonly processorShare?: number;
  /** Why other figures are missing. */
  readonly failure?: string;
}

export interface Machine {
  readonly kernel: string;
  readonly architecture: string;
  readonly processors: number;
  readonly processor: string;
  readonly memoryGigabytes: number;
  readonly node: string;
  readonly nodeFlags: string;
  /** `undefined`: not installed. */
  readonly nft: string | undefined;
}

export interface Results {
  readonly version: 1;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly commandLine: string;
  readonly machine: Machine;
  /** Average of the last minute, before the run and after it. More than 0 before: others used the machine too. */
  readonly loadAverage: { readonly before: number; readonly after: number };
  readonly plane: readonly PlaneResult[];
  readonly connect: readonly ConnectResult[];
  readonly kubeProxyShape: readonly KubeProxyResult[];
  /** `undefined`: none was given. */
  readonly peer: { readonly version: string; readonly sizes: readonly PeerResult[] } | undefined;
}
