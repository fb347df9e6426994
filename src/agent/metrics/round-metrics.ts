/** Metrics of rounds of programming. */
import type { Counter } from 'prom-client';
import type { Family } from '../../core/ip.ts';
import { type Count, type Observe, counterOf, histogramOf } from './children.ts';
import type { MetricName } from './definitions.ts';
import type { MetricSet } from './metric-set.ts';

/** What a round programs: everything that differs from the kernel, or only changes. */
export type RoundKind = 'open' | 'apply';

/** When the change happened that made a controller write an EndpointSlice. */
interface SliceTrigger {
  readonly family: Family;
  /** RFC 3339, as the slice has it. */
  readonly triggeredAt: string;
}

/** A round of programming that is over, also one that found nothing to write. */
export interface Round {
  readonly how: RoundKind;
  readonly ok: boolean;
  /** From the beginning of planning to the end. */
  readonly seconds: number;
  /** From the oldest event of the round to the kernel's last acknowledgement, in milliseconds. */
  readonly latencyMs: number;
  /** Kernel objects that were written. */
  readonly operations: number;
  /** The changes of slices that the round began with, as far as they say when they were triggered. */
  readonly triggers: readonly SliceTrigger[];
}

/** What is observed of one kind of round. */
interface KindMetrics {
  readonly durations: readonly Observe[];
  readonly failures: readonly Count[];
  readonly latency: Observe;
  readonly operations: Observe;
}

const DURATION = 'kubeproxy_sync_proxy_rules_duration_seconds';
const DURATION_OF: Readonly<Record<RoundKind, MetricName<'histogram'>>> = {
  open: 'kubeproxy_sync_full_proxy_rules_duration_seconds',
  apply: 'kubeproxy_sync_partial_proxy_rules_duration_seconds',
};
/** What counts failed rounds; a mode has only some of them. */
const FAILURES_OF: Readonly<Record<RoundKind, readonly MetricName<'counter'>[]>> = {
  open: [
    'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
    'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
  ],
  apply: [
    'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
    'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
    'kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total',
  ],
};

/** Observes rounds. All metrics that can be known beforehand begin at 0. */
export class RoundMetrics {
  readonly #failures: Counter;
  readonly #kinds: Readonly<Record<RoundKind, KindMetrics>>;
  readonly #networkProgramming: ReadonlyMap<Family, Observe>;
  readonly #startedAt: number;

  /** `startedAt` is in milliseconds since 1970: nobody could program in time what was triggered before. */
  constructor(set: MetricSet, families: readonly Family[], startedAt: number) {
    this.#failures = set.counter('switchyard_programming_failures_total');
    this.#kinds = {
      open: kindMetrics(set, families, 'open'),
      apply: kindMetrics(set, families, 'apply'),
    };
    const networkProgramming = set.histogram('kubeproxy_network_programming_duration_seconds');
    this.#networkProgramming = new Map(
      families.map((family) => [family, histogramOf(networkProgramming, { ip_family: family })]),
    );
    this.#startedAt = startedAt;
  }

  /** A round is over. `now` is in milliseconds since 1970. */
  done({ how, ok, seconds, latencyMs, operations, triggers }: Round, now: number): void {
    const kind = this.#kinds[how];
    for (const duration of kind.durations) duration.observe(seconds);
    if (!ok) {
      this.#failures.inc();
      for (const failures of kind.failures) failures.inc();
      return;
    }
    if (operations > 0) {
      kind.latency.observe(latencyMs / 1000);
      kind.operations.observe(operations);
    }
    for (const { family, triggeredAt } of triggers) {
      const at = Date.parse(triggeredAt);
      // False as well for what is no date.
      if (at >= this.#startedAt) {
        this.#networkProgramming.get(family)?.observe(Math.max(0, now - at) / 1000);
      }
    }
  }
}

function kindMetrics(set: MetricSet, families: readonly Family[], how: RoundKind): KindMetrics {
  const names = [DURATION, DURATION_OF[how]] as const;
  const durations = names.filter((name) => set.has(name)).map((name) => set.histogram(name));
  const failures = FAILURES_OF[how].filter((name) => set.has(name));
  const labels = families.map((family) => ({ ip_family: family }));
  return {
    durations: labels.flatMap((label) =>
      durations.map((histogram) => histogramOf(histogram, label)),
    ),
    failures: labels.flatMap((label) =>
      failures.map((name) => counterOf(set.counter(name), label)),
    ),
    latency: histogramOf(set.histogram('switchyard_event_to_kernel_duration_seconds'), { how }),
    operations: histogramOf(set.histogram('switchyard_batch_operations'), { how }),
  };
}
