/** Moments in the spellings of Go, which the answers of Kubernetes components have. */

/** Go's zero time: what a component says of something that never happened. */
export const NEVER = '0001-01-01T00:00:00Z';

/**
 * `2026-11-22T01:23:45.67+01:00`: RFC 3339, the fraction without zeros at its end (Go: RFC3339Nano).
 * `ms` counts from 1970, `zoneMinutes` is what local time is ahead of UTC.
 */
export function rfc3339Nano(ms: number, zoneMinutes: number): string {
  const local = new Date(ms + zoneMinutes * 60_000).toISOString();
  const fraction = local.slice(19, 23).replace(/\.?0+$/, '');
  return `${local.slice(0, 19)}${fraction}${zone(zoneMinutes)}`;
}

/** `2026-11-22T00:23:45Z`, as API objects are dated (metav1.Time). */
export function rfc3339(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** `Sun Nov 22 00:23:45 UTC 2026` (Go: UnixDate). */
export function unixDate(ms: number): string {
  const utc = new Date(ms).toUTCString();
  const day = utc.slice(5, 7).replace(/^0/, ' ');
  return `${utc.slice(0, 3)} ${utc.slice(8, 11)} ${day} ${utc.slice(17, 25)} UTC ${utc.slice(12, 16)}`;
}

/** Minutes that local time is ahead of UTC at a moment. */
export function localZoneMinutes(ms: number): number {
  return -new Date(ms).getTimezoneOffset();
}

function zone(minutes: number): string {
  if (minutes === 0) return 'Z';
  const ahead = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(ahead / 60)}:${two(ahead % 60)}`;
}

/** The whole part, in two digits. */
function two(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}
