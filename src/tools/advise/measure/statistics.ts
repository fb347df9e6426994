/** What is kept of a series of measurements. */

/** Percentiles of a series. */
export interface Summary {
  readonly samples: number;
  readonly min: number;
  readonly p25: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Percentiles by nearest rank: every figure was measured. Throws a RangeError for no samples. */
export function summarise(samples: readonly number[]): Summary {
  const sorted = Float64Array.from(samples).toSorted();
  const at = (share: number): number => {
    const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
    if (value === undefined) throw new RangeError('nothing was measured');
    return value;
  };
  return {
    samples: sorted.length,
    min: at(0),
    p25: at(0.25),
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
  };
}
