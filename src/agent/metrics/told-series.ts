/**
 * Series of many items (Services, virtual servers), asked from the kernel when somebody asks us. They can be thousands:
 * they are written here, in a tenth of the time that the registry takes.
 */
import type { Counter, Gauge } from 'prom-client';
import type { MetricDefinition } from './definition.ts';

/** Samples of one item in a metric: labels besides its own, and the value. */
export type Samples<Item> = (
  item: Item,
) => readonly (readonly [moreLabels: string, value: number])[];

/** What is told of the items, and how much of it. */
export interface ToldSeriesOptions<Item, Name extends string> {
  /** Reads all items. */
  readonly read: () => Promise<readonly Item[]>;
  readonly metrics: readonly (MetricDefinition & { readonly name: Name })[];
  readonly samples: Readonly<Record<Name, Samples<Item>>>;
  /** Labels of an item, escaped; they identify it. */
  readonly labelsOf: (item: Item) => string;
  /** What an item takes of the room. */
  readonly sizeOf: (item: Item) => number;
  /** Room there is in an answer. */
  readonly room: number;
  /** Readings that failed. */
  readonly failures: Counter;
  /** Items that found no room in the last answer. */
  readonly leftOut: Gauge;
}

/** An item and its labels. */
interface Told<Item> {
  readonly item: Item;
  readonly labels: string;
}

/** Writes the series. An item that was told once stays in the answers as long as it is there. */
export class ToldSeries<Item, Name extends string> {
  readonly #options: ToldSeriesOptions<Item, Name>;
  /** Labels of what the last answer told. */
  #told: ReadonlySet<string> = new Set();
  #reading: Promise<string> | undefined;

  constructor(options: ToldSeriesOptions<Item, Name>) {
    this.#options = options;
  }

  /**
   * Reads the items and tells of them in Prometheus' text format; those who ask at the same time share one reading.
   * Has no series when they cannot be read.
   */
  async text(): Promise<string> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<string> {
    const { read, failures } = this.#options;
    try {
      return this.#write(this.#choose(await read()));
    } catch {
      failures.inc();
      return this.#write([]);
    }
  }

  /** Those that were told before come first: a series that comes and goes is of no use. */
  #choose(items: readonly Item[]): readonly Told<Item>[] {
    const { labelsOf, sizeOf, leftOut } = this.#options;
    const all = items.map((item) => ({ item, labels: labelsOf(item) }));
    const wasTold = ({ labels }: Told<Item>): boolean => this.#told.has(labels);
    const told: Told<Item>[] = [];
    let { room } = this.#options;
    for (const candidate of [...all.filter(wasTold), ...all.filter((each) => !wasTold(each))]) {
      const size = sizeOf(candidate.item);
      if (size > room) continue;
      room -= size;
      told.push(candidate);
    }
    this.#told = new Set(told.map(({ labels }) => labels));
    leftOut.set(all.length - told.length);
    return told;
  }

  #write(told: readonly Told<Item>[]): string {
    const lines: string[] = [];
    for (const { name, help, type } of this.#options.metrics) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const { item, labels } of told) {
        for (const [more, value] of this.#options.samples[name](item)) {
          lines.push(`${name}{${labels}${more}} ${value}`);
        }
      }
    }
    return `${lines.join('\n')}\n`;
  }
}
