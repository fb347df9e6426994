/**
 * What IPVS counts, asked from the kernel when somebody asks us. As with the traffic of Services, the many series are
 * written here and not by the registry.
 */
import { hostPort } from '../../core/ip.ts';
import { type ObjectKey, splitKey } from '../../core/model.ts';
import type { RealServerInfo, ServerStats, VirtualAddress } from '../../kernel/ipvs/servers.ts';
import { labelsText } from './exposition.ts';
import { IPVS_SERVER_METRICS, type IpvsServerMetricName } from './ipvs-definitions.ts';
import type { MetricSet } from './metric-set.ts';

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

/** A virtual server and its labels, escaped. */
interface Told {
  readonly server: IpvsServer;
  readonly labels: string;
}

/** Samples of one virtual server in a metric: labels besides its own, and the value. */
type Samples = (server: IpvsServer) => readonly (readonly [labels: string, value: number])[];

const SAMPLES: Readonly<Record<IpvsServerMetricName, Samples>> = {
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

/** Writes the metrics of the ipvs mode. A server that was told once stays in the answers as long as it is there. */
export class IpvsMetrics {
  readonly #options: IpvsMetricsOptions;
  readonly #set: MetricSet;
  /** Services that have a series of their own among the scheduler errors. */
  readonly #refused = new Set<ObjectKey>();
  /** Identities of what the last answer told. */
  #told: ReadonlySet<string> = new Set();
  #reading: Promise<string> | undefined;

  /** @param set Of the mode ipvs. */
  constructor(options: IpvsMetricsOptions, set: MetricSet) {
    this.#options = options;
    this.#set = set;
  }

  /** A Service was programmed without the scheduler it asks for, which the kernel lacks. */
  schedulerMissing(service: ObjectKey): void {
    if (this.#refused.size < this.#options.maxServers) this.#refused.add(service);
    const labels = this.#refused.has(service) ? splitKey(service) : { namespace: '', name: '' };
    this.#set.counter('ipvs_scheduler_errors_total').inc({ ...labels });
  }

  /**
   * Reads IPVS, and tells of its servers in Prometheus' text format; those who ask at the same time share one reading.
   * Tells of none when it cannot be read. To be awaited before the text of the registry, which has what is told of IPVS
   * as a whole.
   */
  async text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<string> {
    try {
      const { connectionTableSize, servers } = await this.#options.read();
      this.#set.gauge('ipvs_connection_table_size').set(connectionTableSize);
      return write(this.#choose(servers));
    } catch {
      this.#set.counter('switchyard_ipvs_failures_total').inc();
      return write([]);
    }
  }

  /** Those that were told before come first: a series that comes and goes is of no use. */
  #choose(servers: readonly IpvsServer[]): readonly Told[] {
    const all = servers.map((server) => ({ server, labels: labelsOf(server) }));
    const [old, others] = [true, false].map((wanted) =>
      all.filter(({ labels }) => this.#told.has(labels) === wanted),
    );
    const told: Told[] = [];
    let room = this.#options.maxServers;
    for (const candidate of [...(old ?? []), ...(others ?? [])]) {
      const size = 1 + candidate.server.realServers.length;
      if (size > room) continue;
      room -= size;
      told.push(candidate);
    }
    this.#told = new Set(told.map(({ labels }) => labels));
    this.#set.gauge('switchyard_ipvs_servers_left_out').set(all.length - told.length);
    return told;
  }
}

function write(told: readonly Told[]): string {
  const lines: string[] = [];
  for (const { name, help, type } of IPVS_SERVER_METRICS) {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const { server, labels } of told) {
      for (const [more, value] of SAMPLES[name](server)) {
        lines.push(`${name}{${labels}${more}} ${value}`);
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

function labelsOf({ namespace, name, port, virtual }: IpvsServer): string {
  const { protocol, address } = virtual;
  const server = hostPort(address, virtual.port);
  return labelsText({ namespace, name, port, protocol, virtual_server: server });
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
