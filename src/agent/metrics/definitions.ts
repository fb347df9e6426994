/** All metrics there are, from which the registry and docs/metrics.md are made. */
import type { MetricDefinition, MetricsMode } from './definition.ts';
import { IPVS_METRICS, IPVS_SERVER_METRICS } from './ipvs-definitions.ts';
import { KUBERNETES_METRICS, KUBE_PROXY_METRICS } from './kube-proxy-definitions.ts';
import { NODE_METRICS, SWITCHYARD_METRICS, TRAFFIC_METRICS } from './switchyard-definitions.ts';

/** Metrics that the registry holds. */
const REGISTERED = [
  ...KUBE_PROXY_METRICS,
  ...KUBERNETES_METRICS,
  ...SWITCHYARD_METRICS,
  ...IPVS_METRICS,
  ...NODE_METRICS,
] as const;

/** Every metric of every mode. */
export const METRICS: readonly MetricDefinition[] = [
  ...REGISTERED,
  ...TRAFFIC_METRICS,
  ...IPVS_SERVER_METRICS,
];

/** The metrics of a mode that a registry holds, in the order of their names. */
export function registeredMetrics(mode: MetricsMode): readonly MetricDefinition[] {
  const metrics: readonly MetricDefinition[] = REGISTERED;
  return metrics
    .filter(({ modes }) => modes?.includes(mode) ?? true)
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

/** Names of the registered metrics of a type. */
export type MetricName<T extends MetricDefinition['type'] = MetricDefinition['type']> = Extract<
  (typeof REGISTERED)[number],
  { readonly type: T }
>['name'];

/** Metrics of kube-proxy that are missing. docs/differences.md names each, too. */
export const MISSING: readonly { readonly name: string; readonly reason: string }[] = [
  {
    name: 'kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total',
    reason:
      'What is stale goes in the same batch as what is new comes; `kubeproxy_sync_proxy_rules_nftables_sync_failures_total` counts its failures.',
  },
  {
    name: 'go_*',
    reason: 'There is no Go runtime; `nodejs_*` say how the one there is does.',
  },
  {
    name: 'process_network_*',
    reason: 'They count all of the network namespace, which on a node is not about the proxy.',
  },
  {
    name: 'process_virtual_memory_max_bytes',
    reason: 'Node.js reserves far more address space than it uses; a limit says nothing about it.',
  },
  {
    name: 'rest_client_*',
    reason:
      'All but `rest_client_requests_total` and `rest_client_request_duration_seconds`: they describe the insides of client-go.',
  },
];
