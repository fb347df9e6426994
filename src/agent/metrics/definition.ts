/** What there is to say about a metric before it has a value. */

/** Modes that decide which metrics there are. */
export type MetricsMode = 'nftables' | 'iptables' | 'ipvs';

/** Upper bounds of a histogram's buckets, in the unit of its name. */
export interface Buckets {
  /** The bounds in short. */
  readonly summary: string;
  readonly bounds: readonly number[];
}

/** One metric. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Text of the `# HELP` line. */
  readonly help: string;
  readonly labels: readonly string[];
  /** Only of histograms. */
  readonly buckets?: Buckets;
  /** Modes that have it; absent means all. */
  readonly modes?: readonly MetricsMode[];
  /** Whose name it is: one that kube-proxy also has, one of ours, or one of the Node.js world. */
  readonly source: 'kube-proxy' | 'Switchyard' | 'Node.js';
  /** What it means in Switchyard, where the help text does not say it all. */
  readonly meaning?: string;
}

/** `count` bounds, each twice the one before. */
function doubling(start: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => start * 2 ** index);
}

/** Numbers from `first` to `last`. */
function steps(first: number, last: number, step: number): readonly number[] {
  return Array.from({ length: (last - first) / step + 1 }, (_, index) => first + index * step);
}

/** Of kube-proxy's sync durations. */
export const SYNC_SECONDS: Buckets = {
  summary: '0.001 to 16.384, doubling',
  bounds: doubling(0.001, 15),
};

/** Of kube-proxy's `network_programming_duration_seconds`. */
export const NETWORK_PROGRAMMING_SECONDS: Buckets = {
  summary: '0.25, 0.5, 1 to 59 by 1, 60 to 115 by 5, 120 to 300 by 30',
  bounds: [0.25, 0.5, ...steps(1, 59, 1), ...steps(60, 115, 5), ...steps(120, 300, 30)],
};

/** Of client-go's `rest_client_request_duration_seconds`. */
export const REQUEST_SECONDS: Buckets = {
  summary: '0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60',
  bounds: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
};

/** From an event to the kernel: a batch of one change takes less than a millisecond. */
export const EVENT_SECONDS: Buckets = {
  summary: '0.00025 to 16.384, doubling',
  bounds: doubling(0.00025, 17),
};

/** Kernel objects in a batch, from one endpoint to everything. */
export const OPERATIONS: Buckets = {
  summary: '1 to 262144, each 4 times the one before',
  bounds: Array.from({ length: 10 }, (_, index) => 4 ** index),
};
