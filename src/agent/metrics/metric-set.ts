/** The metrics of one mode, made from their definitions. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type MetricName, registeredMetrics } from './definitions.ts';
import type { MetricDefinition, MetricsMode } from './definition.ts';

type Metric = Counter | Gauge | Histogram;

/** Holds metrics in a registry of its own. Asking for one that the mode does not have is a fault of the caller. */
export class MetricSet {
  readonly #registry: Registry;
  readonly #metrics = new Map<string, Metric>();
  /** Those of earlier modes included. */
  readonly #all: ReadonlyMap<string, Metric>;

  /** @param before Of the mode before: what both have goes on, and what only that one has keeps its last values. */
  constructor(mode: MetricsMode, before?: MetricSet) {
    this.#registry = before === undefined ? new Registry() : before.#registry;
    const known = before === undefined ? new Map<string, Metric>() : before.#all;
    for (const definition of registeredMetrics(mode)) {
      const { name } = definition;
      const metric = known.get(name) ?? register(definition, this.#registry);
      this.#metrics.set(name, metric);
    }
    this.#all = new Map([...known, ...this.#metrics]);
  }

  /** The mode has this metric. */
  has(name: MetricName): boolean {
    return this.#metrics.has(name);
  }

  /** A counter of this mode. */
  counter(name: MetricName<'counter'>): Counter {
    const metric = this.#metrics.get(name);
    if (metric instanceof Counter) return metric;
    throw new TypeError(`This mode has no counter ${name}`);
  }

  /** A gauge of this mode. */
  gauge(name: MetricName<'gauge'>): Gauge {
    const metric = this.#metrics.get(name);
    if (metric instanceof Gauge) return metric;
    throw new TypeError(`This mode has no gauge ${name}`);
  }

  /** A histogram of this mode. */
  histogram(name: MetricName<'histogram'>): Histogram {
    const metric = this.#metrics.get(name);
    if (metric instanceof Histogram) return metric;
    throw new TypeError(`This mode has no histogram ${name}`);
  }

  /** All values, in Prometheus' text format 0.0.4. */
  async text(): Promise<string> {
    return this.#registry.metrics();
  }
}

function register(definition: MetricDefinition, registry: Registry): Metric {
  const { name, help, type, labels, buckets } = definition;
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (type === 'counter') return new Counter(options);
  if (type === 'gauge') return new Gauge(options);
  return new Histogram({ ...options, buckets: [...(buckets?.bounds ?? [])] });
}
