/** Metrics of the ipvs mode: what IPVS counts, with the names of Services. */
import type { MetricDefinition } from './definition.ts';

const SERVER_LABELS = ['namespace', 'name', 'port', 'protocol', 'virtual_server'] as const;
const OF_SERVERS =
  'One series for each virtual server of a Service, `virtual_server` is its address and port. Only as many servers as the limit allows.';

/** The metrics that the virtual and real servers of Services have. */
export const IPVS_SERVER_METRICS = [
  {
    name: 'ipvs_connections_active',
    type: 'gauge',
    help: 'Established connections of a virtual server',
    labels: SERVER_LABELS,
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning: OF_SERVERS,
  },
  {
    name: 'ipvs_connections_inactive',
    type: 'gauge',
    help: 'Other connections of a virtual server: opening, closing, and all of UDP',
    labels: SERVER_LABELS,
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning: OF_SERVERS,
  },
  {
    name: 'ipvs_connections_total',
    type: 'counter',
    help: 'Connections to a virtual server',
    labels: SERVER_LABELS,
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning: OF_SERVERS,
  },
  {
    name: 'ipvs_incoming_bytes_total',
    type: 'counter',
    help: 'Bytes that clients sent to a virtual server',
    labels: SERVER_LABELS,
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning: OF_SERVERS,
  },
  {
    name: 'ipvs_incoming_packets_total',
    type: 'counter',
    help: 'Packets that clients sent to a virtual server',
    labels: SERVER_LABELS,
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning: OF_SERVERS,
  },
  {
    name: 'ipvs_outgoing_bytes_total',
    type: 'counter',
    help: 'Bytes that a virtual server answered',
    labels: SERVER_LABELS,
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning: OF_SERVERS,
  },
  {
    name: 'ipvs_outgoing_packets_total',
    type: 'counter',
    help: 'Packets that a virtual server answered',
    labels: SERVER_LABELS,
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning: OF_SERVERS,
  },
  {
    name: 'ipvs_real_server_weight',
    type: 'gauge',
    help: 'Weight of a real server',
    labels: [...SERVER_LABELS, 'real_server'],
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning:
      '0 while it drains. `real_server` is its address and port, the other labels those of its virtual server.',
  },
] as const satisfies readonly MetricDefinition[];

/** The metrics of the ipvs mode that the registry holds. */
export const IPVS_METRICS = [
  {
    name: 'ipvs_connection_table_size',
    type: 'gauge',
    help: 'Buckets of the connection table of IPVS',
    labels: [],
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning:
      'No limit of connections. 2 to the power of `conn_tab_bits`, a parameter of the module ip_vs.',
  },
  {
    name: 'ipvs_scheduler_errors_total',
    type: 'counter',
    help: 'Times that a Service was programmed without the scheduler it asks for, which the kernel lacks',
    labels: ['namespace', 'name'],
    modes: ['ipvs'],
    source: 'Switchyard',
    meaning: 'Services beyond the limit count together, without names.',
  },
  {
    name: 'switchyard_ipvs_failures_total',
    type: 'counter',
    help: 'Answers without metrics of servers because IPVS could not be asked',
    labels: [],
    modes: ['ipvs'],
    source: 'Switchyard',
  },
  {
    name: 'switchyard_ipvs_servers_left_out',
    type: 'gauge',
    help: 'Virtual servers of Services left out of this answer because of the limit',
    labels: [],
    modes: ['ipvs'],
    source: 'Switchyard',
  },
] as const satisfies readonly MetricDefinition[];

/** Name of a metric that servers have. */
export type IpvsServerMetricName = (typeof IPVS_SERVER_METRICS)[number]['name'];
