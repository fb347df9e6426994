/** What the figures have to be, and whether they are. */
import type { ConnectResult, PlaneResult, Results } from './results.ts';

export interface Target {
  readonly what: string;
  readonly limit: number;
  readonly unit: '' | ' ms' | ' MB';
  /** `undefined`: not part of this run. */
  readonly measured: number | undefined;
  readonly met: boolean | undefined;
}

/** All targets. */
export function judge({ plane, connect }: Pick<Results, 'plane' | 'connect'>): readonly Target[] {
  const at = (services: number): PlaneResult | undefined =>
    plane.find((result) => result.services === services);
  const small = at(1000);
  const middle = at(10_000);
  const large = at(50_000);
  return [
    target('full load at 10,000 Services', 1500, ' ms', middle?.load.ms.p50),
    target('one endpoint changed at 10,000, p50', 1, ' ms', middle?.endpointChange.p50),
    target('one endpoint changed at 10,000, p99', 5, ' ms', middle?.endpointChange.p99),
    target(
      'one endpoint changed, p50: 50,000 / 1,000',
      1.5,
      '',
      ratio(large?.endpointChange.p50, small?.endpointChange.p50),
    ),
    target(
      'connect, p50: last of 10,000 / last of 10',
      1.1,
      '',
      ratio(lastOf(connect, 10_000), lastOf(connect, 10)),
    ),
    target('peak RSS at 10,000', 250, ' MB', middle && peakRss(middle)),
  ];
}

/** Largest RSS that a process of this size ever had, in MB. */
export function peakRss({ memory }: PlaneResult): number {
  return Math.max(memory.afterChanges.peakRss, memory.afterAdoption.peakRss);
}

/** A figure in proportion to another one. */
export function ratio(value: number | undefined, to: number | undefined): number | undefined {
  return value === undefined || to === undefined ? undefined : value / to;
}

/** A figure and its limit. */
export function target(
  what: string,
  limit: number,
  unit: Target['unit'],
  measured: number | undefined,
): Target {
  return {
    what,
    limit,
    unit,
    measured,
    met: measured === undefined ? undefined : measured <= limit,
  };
}

function lastOf(connect: readonly ConnectResult[], services: number): number | undefined {
  return connect.find(
    (result) =>
      result.rules === 'switchyard' && result.services === services && result.to === 'last Service',
  )?.microseconds.p50;
}
