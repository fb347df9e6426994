/** One row of the table of options. */
import type { Json, ValueType } from './value-types.ts';

/** Data planes of kube-proxy, which Switchyard has or will have. */
export const MODES = ['nftables', 'ipvs', 'iptables'] as const;

/** One of {@link MODES}. */
export type PlaneMode = (typeof MODES)[number];

/** What `mode` can be set to; `auto` is the best that the node supports. */
export type ProxyMode = PlaneMode | 'auto';

/** A rule that a value of the right type must keep. */
export interface Rule<T> {
  /** Completes the sentence "must be …". */
  readonly expected: string;
  keeps(value: T): boolean;
}

/** Everything that is to know about one setting. Flags, file, help, checks and documentation come from it. */
export interface Option<T> {
  readonly type: ValueType<T>;
  readonly default: NoInfer<T>;
  /** Said in place of the default value. */
  readonly defaultText?: string;
  readonly help: string;
  /** Name of the flag without its dashes. */
  readonly flag?: string;
  /** Another row's flag that sets this one, too. Without `--config` only, as `flag`. */
  readonly sharesFlag?: string;
  /** One-letter name of the flag. */
  readonly short?: string;
  /** Path in the document, such as `conntrack.maxPerCore`. */
  readonly field?: string;
  /** Kind of the document with the field; KubeProxyConfiguration unless it says otherwise. */
  readonly document?: 'SwitchyardConfiguration';
  /**
   * What becomes of the flag beside `--config`: it is ignored, unless it `wins` over the file or is
   * `honoured` because no file has it.
   */
  readonly withFile?: 'wins' | 'honoured';
  /** In a file, the zero value of Go means the default; in a flag, an empty text does. */
  readonly zeroIsDefault?: true;
  /** kube-proxy leaves the field out when it has its zero value. */
  readonly omitZero?: true;
  /** The modes that use it; all of them if it does not say. */
  readonly modes?: readonly PlaneMode[];
  /** kube-proxy keeps one value for all modes and shows it only where the mode reads it. */
  readonly collapses?: true;
  /** What kube-proxy shows for the zero value, where that is not our default. */
  readonly shownForZero?: Json;
  readonly rule?: Rule<NoInfer<T>>;
  /** The rule counts only in the modes that use the setting. */
  readonly ruleInModes?: true;
  /** It is accepted and has no effect, for this reason. */
  readonly ignored?: string;
  /** It is still accepted; what to use instead. */
  readonly deprecated?: string;
}

/** Writes a row: the type of its value decides what its other columns may say. */
export function option<T>(row: Option<T>): Option<T> {
  return row;
}
