/** Durations in the spelling of Go (package time: ParseDuration, Duration.String): `1h2m3s`, `300ms`. */

const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  // Go accepts both the micro sign and the Greek letter.
  '\u00b5s': 1000n,
  '\u03bcs': 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const PART = /(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
/** A Go duration is a 64-bit number of nanoseconds. */
const LIMIT = 2n ** 63n;
const NS_PER_MS = 1_000_000;

/** Reads a duration into milliseconds. `undefined`: not one, such as a number without unit other than 0. */
export function parseGoDuration(text: string): number | undefined {
  const negative = text.startsWith('-');
  const body = text.replace(/^[+-]/, '');
  if (body === '0') return 0;
  if (body === '') return undefined;
  let sum = 0n;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const match = PART.exec(body);
    if (match === null) return undefined;
    const [, whole = '', fraction = '', name = ''] = match;
    const unit = NANOSECONDS[name];
    if (unit === undefined || whole + fraction === '') return undefined;
    sum += BigInt(whole) * unit + (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
  }
  if (sum >= LIMIT) return undefined;
  const ms = Number(sum) / NS_PER_MS;
  return negative && ms !== 0 ? -ms : ms;
}

/** Writes milliseconds as Go does: `15m0s`, `24h0m0s`, `1.5s`, `300ms`, `0s`. */
export function formatGoDuration(ms: number): string {
  const ns = BigInt(Math.round(Math.abs(ms) * NS_PER_MS));
  const sign = ms < 0 && ns !== 0n ? '-' : '';
  return sign + (ns < 1_000_000_000n ? formatShort(ns) : formatLong(ns));
}

/** Less than a second: one unit. */
function formatShort(ns: bigint): string {
  if (ns === 0n) return '0s';
  if (ns < 1000n) return `${ns}ns`;
  if (ns < 1_000_000n) return `${decimal(ns, 3)}\u00b5s`;
  return `${decimal(ns, 6)}ms`;
}

function formatLong(ns: bigint): string {
  const minutes = ns / 60_000_000_000n;
  const seconds = `${decimal(ns % 60_000_000_000n, 9)}s`;
  if (minutes === 0n) return seconds;
  if (minutes < 60n) return `${minutes}m${seconds}`;
  return `${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

/** `value / 10^places`, without zeros at the end. */
function decimal(value: bigint, places: number): string {
  const digits = value.toString().padStart(places + 1, '0');
  const fraction = digits.slice(-places).replace(/0+$/, '');
  return digits.slice(0, -places) + (fraction === '' ? '' : `.${fraction}`);
}
