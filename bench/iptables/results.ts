/** What a run of `npm run bench -- iptables` found. Written as JSON as it is. Times are in milliseconds. */
import type { ConnectResult, Machine } from '../results.ts';
import type { Summary } from '../statistics.ts';

/** Whose rules, and where they live. */
export type RuleSet =
  'none' | 'switchyard nft' | 'switchyard legacy' | 'kube-proxy nft' | 'kube-proxy legacy';

/** One rule set at one number of Services. */
export interface SizeResult {
  readonly rules: RuleSet;
  readonly services: number;
  /** A process programs an empty kernel, from objects to acknowledgement; of kube-proxy's shape, the time of iptables-restore. */
  readonly load: Summary;
  /** Part of it that the tools took. */
  readonly loadKernelMs: Summary;
  /** The same objects, given to a new process that finds everything; not for kube-proxy's shape. */
  readonly adopt: Summary | undefined;
  /** With 50 ms between two changes. */
  readonly endpointChange: Summary;
}

export interface IptablesResults {
  readonly version: 1;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly commandLine: string;
  readonly machine: Machine;
  /** Version of the iptables that is measured. */
  readonly iptables: string;
  /** Average of the last minute, before the run and after it. More than 0 before: others used the machine too. */
  readonly loadAverage: { readonly before: number; readonly after: number };
  readonly sizes: readonly SizeResult[];
  readonly connect: readonly ConnectResult<RuleSet>[];
}
