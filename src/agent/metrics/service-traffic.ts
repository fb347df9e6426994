/**
 * Traffic of Services, asked from the kernel when somebody asks us. These series can be thousands: they are written here,
 * in a tenth of the time that the registry takes.
 */
import type { Counter, Gauge } from 'prom-client';
import type { ServiceCounters } from '../../planes/plane.ts';
import { labelsText } from './exposition.ts';
import { type TrafficMetricName, TRAFFIC_METRICS } from './switchyard-definitions.ts';

/** Where traffic is read, and how much of it is told. */
export interface TrafficOptions {
  readonly read: () => Promise<readonly ServiceCounters[]>;
  /** Most Service ports (each family counted) in an answer; each has five series. */
  readonly maxPorts: number;
}

/** A Service port and its labels, escaped. */
interface Told {
  readonly counters: ServiceCounters;
  readonly labels: string;
}

/** Samples of one Service port in a metric: labels besides its own, and the value. */
type Samples = (counters: ServiceCounters) => readonly (readonly [labels: string, value: number])[];

const SAMPLES: Readonly<Record<TrafficMetricName, Samples>> = {
  switchyard_service_connections_total: ({ connections }) => [['', connections]],
  switchyard_service_packets_total: ({ packetsIn, packetsOut }) => [
    [',direction="in"', packetsIn],
    [',direction="out"', packetsOut],
  ],
  switchyard_service_bytes_total: ({ bytesIn, bytesOut }) => [
    [',direction="in"', bytesIn],
    [',direction="out"', bytesOut],
  ],
};

/** Writes the series of Services. One that was told once stays in the answers as long as it is counted. */
export class ServiceTraffic {
  readonly #options: TrafficOptions;
  readonly #failures: Counter;
  readonly #leftOut: Gauge;
  /** Labels of what the last answer told, by identity. */
  #labels: ReadonlyMap<string, string> = new Map();
  #reading: Promise<string> | undefined;

  constructor(options: TrafficOptions, failures: Counter, leftOut: Gauge) {
    this.#options = options;
    this.#failures = failures;
    this.#leftOut = leftOut;
  }

  /**
   * Reads the traffic, in Prometheus' text format; those who ask at the same time share one reading.
   * Has no series when it cannot be read.
   */
  async text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<string> {
    try {
      return write(this.#choose(await this.#options.read()));
    } catch {
      this.#failures.inc();
      return write([]);
    }
  }

  /** Those that were told before come first: a series that comes and goes is of no use. */
  #choose(all: readonly ServiceCounters[]): readonly Told[] {
    const old: Told[] = [];
    const others: ServiceCounters[] = [];
    for (const counters of all) {
      const labels = this.#labels.get(identityOf(counters));
      if (labels === undefined) others.push(counters);
      else old.push({ counters, labels });
    }
    const { maxPorts } = this.#options;
    const added = others
      .slice(0, maxPorts - old.length)
      .map((counters) => ({ counters, labels: labelsOf(counters) }));
    const told = [...old, ...added];
    this.#labels = new Map(told.map(({ counters, labels }) => [identityOf(counters), labels]));
    this.#leftOut.set(all.length - told.length);
    return told;
  }
}

function write(told: readonly Told[]): string {
  const lines: string[] = [];
  for (const { name, help, type } of TRAFFIC_METRICS) {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const { counters, labels } of told) {
      for (const [more, value] of SAMPLES[name](counters)) {
        lines.push(`${name}{${labels}${more}} ${value}`);
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

function identityOf({ namespace, name, port, family }: ServiceCounters): string {
  return `${namespace}/${name}:${port} ${family}`;
}

function labelsOf({ namespace, name, port, family }: ServiceCounters): string {
  return labelsText({ namespace, name, port, ip_family: family });
}
