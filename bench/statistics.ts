/** What the bench and `switchyard advise --measure` keep of a series, and the clock that all processes share. */
export { type Summary, summarise } from '../src/tools/advise/measure/statistics.ts';

/** CLOCK_MONOTONIC, which is the same in all processes, in milliseconds. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
