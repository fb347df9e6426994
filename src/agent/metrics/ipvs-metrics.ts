/** What IPVS counts, told as many series. */
import { hostPort } from '../../core/ip.ts';
import { type ObjectKey, splitKey } from '../../core/model.ts';
import type { RealServerInfo, ServerStats, VirtualAddress } from '../../kernel/ipvs/servers.ts';
import { labelsText } from './exposition.ts';
import { IPVS_SERVER_METRICS, type IpvsServerMetricName } from './ipvs-definitions.ts';
import type { MetricSet } from './metric-set.ts';
import { type Samples, ToldSeries } from './told-series.ts';

/** A virtual server of a Service. */
export interface IpvsServer {
  readonly namespace: string;
  /** Of the Service. */
  readonly name: string;
  /** Name of the Service port, empty when it has none. */
  readonly port: string;
  readonly virtual: VirtualAddress;
  readonly stats: ServerStats;
  readonly realServers: readonly RealServerInfo[];
}

/** What IPVS holds at one moment. */
export interface IpvsSnapshot {
  /** Buckets. */
  readonly connectionTableSize: number;
  /** Those that are no Service's are not told. */
  readonly servers: readonly IpvsServer[];
}

/** What {@link IpvsMetrics} have to know. */
export interface IpvsMetricsOptions {
  /** Reads all of IPVS once. */
  readonly read: () => Promise<IpvsSnapshot>;
  /** Most virtual and real servers in an answer: a virtual one has seven series, a real one has one. */
  readonly maxServers: number;
}

const SAMPLES: Readonly<Record<IpvsServerMetricName, Samples<IpvsServer>>> = {
  ipvs_connections_active: ({ realServers }) => [
    ['', sum(realServers, ({ activeConnections }) => activeConnections)],
  ],
  ipvs_connections_inactive: ({ realServers }) => [
    ['', sum(realServers, ({ inactiveConnections }) => inactiveConnections)],
  ],
  ipvs_connections_total: ({ stats }) => [['', stats.connections]],
  ipvs_incoming_bytes_total: ({ stats }) => [['', stats.inBytes]],
  ipvs_incoming_packets_total: ({ stats }) => [['', stats.inPackets]],
  ipvs_outgoing_bytes_total: ({ stats }) => [['', stats.outBytes]],
  ipvs_outgoing_packets_total: ({ stats }) => [['', stats.outPackets]],
  ipvs_real_server_weight: ({ realServers }) =>
    realServers.map(({ address, port, weight }) => [
      `,real_server="${hostPort(address, port)}"`,
      weight,
    ]),
};

/** Writes the metrics of the ipvs mode. */
export class IpvsMetrics {
  readonly #maxServers: number;
  readonly #set: MetricSet;
  readonly #servers: ToldSeries<IpvsServer, IpvsServerMetricName>;
  /** Services that have a series of their own among the scheduler errors. */
  readonly #refused = new Set<ObjectKey>();

  /** @param set Of the mode ipvs. */
  constructor({ read, maxServers }: IpvsMetricsOptions, set: MetricSet) {
    this.#maxServers = maxServers;
    this.#set = set;
    this.#servers = new ToldSeries({
      read: async () => {
        const { connectionTableSize, servers } = await read();
        set.gauge('ipvs_connection_table_size').set(connectionTableSize);
        return servers;
      },
      metrics: IPVS_SERVER_METRICS,
      samples: SAMPLES,
      labelsOf,
      sizeOf: ({ realServers }) => 1 + realServers.length,
      room: maxServers,
      failures: set.counter('switchyard_ipvs_failures_total'),
      leftOut: set.gauge('switchyard_ipvs_servers_left_out'),
    });
  }

  /** A Service was programmed without the scheduler it asks for, which the kernel lacks. */
  schedulerMissing(service: ObjectKey): void {
    if (this.#refused.size < this.#maxServers) this.#refused.add(service);
    const labels = this.#refused.has(service) ? splitKey(service) : { namespace: '', name: '' };
    this.#set.counter('ipvs_scheduler_errors_total').inc({ ...labels });
  }

  /**
   * Tells of the servers in Prometheus' text format (see ToldSeries). To be awaited before the text of the registry,
   * which has what is told of IPVS as a whole.
   */
  async text(): Promise<string> {
    return this.#servers.text();
  }
}

function labelsOf({ namespace, name, port, virtual }: IpvsServer): string {
  const { protocol, address } = virtual;
  const server = hostPort(address, virtual.port);
  return labelsText({ namespace, name, port, protocol, virtual_server: server });
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
