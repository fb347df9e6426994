/**
 * Milliseconds on the kernel's monotonic clock, which all processes of a machine share: moments taken in the demo
 * and in its shopper can be subtracted from each other.
 */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
