/** Series with fixed labels: kept, because to find one costs more than to use it, and at 0 from the start. */
import type { Counter, Histogram } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

/** Counts with the same labels each time. */
export type Count = Counter.Internal;

/** Observes with the same labels each time. */
export type Observe = Histogram.Internal<string>;

/** The series of a counter with these labels. */
export function counterOf(counter: Counter, labels: Labels): Count {
  const series = counter.labels(labels);
  series.inc(0);
  return series;
}

/** The series of a histogram with these labels. */
export function histogramOf(histogram: Histogram, labels: Labels): Observe {
  histogram.zero(labels);
  return histogram.labels(labels);
}
