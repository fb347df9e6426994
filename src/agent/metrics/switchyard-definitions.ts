/** The metrics that kube-proxy does not have. */
import { EVENT_SECONDS, type MetricDefinition, OPERATIONS } from './definition.ts';

/** Metrics of ours. */
export const SWITCHYARD_METRICS = [
  {
    name: 'switchyard_batch_operations',
    type: 'histogram',
    help: 'Kernel objects (elements, rules, chains, sets) written in a round',
    labels: ['how'],
    buckets: OPERATIONS,
    source: 'Switchyard',
    meaning:
      '`how` is `open` for a round that compares everything with the kernel, `apply` for one that programs only changes. Rounds that wrote nothing are left out.',
  },
  {
    name: 'switchyard_build_info',
    type: 'gauge',
    help: 'Always 1; the labels say what is running',
    labels: ['mode', 'node_version', 'version'],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_drift_repaired_total',
    type: 'counter',
    help: 'Kernel objects written again because somebody else had changed them',
    labels: [],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_event_loop_busy_seconds_total',
    type: 'counter',
    help: 'Time the main thread was not waiting, in seconds',
    labels: [],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_event_to_kernel_duration_seconds',
    type: 'histogram',
    help: 'Time from the oldest event of a round to the last acknowledgement of the kernel, in seconds',
    labels: ['how'],
    buckets: EVENT_SECONDS,
    source: 'Switchyard',
    meaning:
      '`how` is as in `switchyard_batch_operations`. Rounds that failed or wrote nothing are left out.',
  },
  {
    name: 'switchyard_objects',
    type: 'gauge',
    help: 'Objects held of a resource of the API server',
    labels: ['resource'],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_programming_failures_total',
    type: 'counter',
    help: 'Rounds of programming that failed and were tried again',
    labels: [],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_routes',
    type: 'gauge',
    help: 'Routes that are programmed: Service ports, each family counted',
    labels: [],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_service_ports_left_out',
    type: 'gauge',
    help: 'Counted Service ports (each family counted) left out of this answer because of the limit',
    labels: [],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_service_traffic_failures_total',
    type: 'counter',
    help: 'Answers without traffic of Services because the kernel could not be asked',
    labels: [],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_services',
    type: 'gauge',
    help: 'Services that are known',
    labels: [],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_verifications_total',
    type: 'counter',
    help: 'Comparisons of the kernel with what was programmed',
    labels: ['result'],
    source: 'Switchyard',
    meaning: '`result` is `clean`, or `repaired` when somebody else had changed something.',
  },
  {
    name: 'switchyard_watch_failures_total',
    type: 'counter',
    help: 'Troubles with listing or watching a resource of the API server',
    labels: ['resource'],
    source: 'Switchyard',
    meaning: 'One that lasts counts once.',
  },
  {
    name: 'switchyard_watch_up',
    type: 'gauge',
    help: '1 while changes of a resource arrive from the API server, 0 while they do not',
    labels: ['resource'],
    source: 'Switchyard',
    meaning: 'At 0 what is programmed stays.',
  },
] as const satisfies readonly MetricDefinition[];

const PORT_LABELS = ['namespace', 'name', 'port', 'ip_family'] as const;
const COUNTED = 'Only for Service ports that are counted, up to a limit.';
const DIRECTION =
  '`direction` is `in` for what clients sent, `out` for what endpoints answered, as the kernel handled it. ';

/** Metrics of ours with series for each Service port. */
export const TRAFFIC_METRICS = [
  {
    name: 'switchyard_service_bytes_total',
    type: 'counter',
    help: 'Bytes of connections to a Service port, from the network header on',
    labels: [...PORT_LABELS, 'direction'],
    source: 'Switchyard',
    meaning: `${DIRECTION}${COUNTED}`,
  },
  {
    name: 'switchyard_service_connections_total',
    type: 'counter',
    help: 'Connections to a Service port; for UDP and SCTP flows, as conntrack tells them apart',
    labels: PORT_LABELS,
    source: 'Switchyard',
    meaning: COUNTED,
  },
  {
    name: 'switchyard_service_packets_total',
    type: 'counter',
    help: 'Packets of connections to a Service port',
    labels: [...PORT_LABELS, 'direction'],
    source: 'Switchyard',
    meaning: `${DIRECTION}${COUNTED}`,
  },
] as const satisfies readonly MetricDefinition[];

/** Name of a metric with series for each Service port. */
export type TrafficMetricName = (typeof TRAFFIC_METRICS)[number]['name'];

/** Metrics whose names users of Node.js know. */
export const NODE_METRICS = [
  {
    name: 'nodejs_eventloop_lag_seconds',
    type: 'gauge',
    help: 'Lag of event loop in seconds.',
    labels: [],
    source: 'Node.js',
    meaning: 'Of one turn, when asked.',
  },
  {
    name: 'nodejs_external_memory_bytes',
    type: 'gauge',
    help: 'Node.js external memory size in bytes.',
    labels: [],
    source: 'Node.js',
  },
  {
    name: 'nodejs_heap_size_total_bytes',
    type: 'gauge',
    help: 'Process heap size from Node.js in bytes.',
    labels: [],
    source: 'Node.js',
  },
  {
    name: 'nodejs_heap_size_used_bytes',
    type: 'gauge',
    help: 'Process heap size used from Node.js in bytes.',
    labels: [],
    source: 'Node.js',
  },
] as const satisfies readonly MetricDefinition[];
