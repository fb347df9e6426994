/** Since Kubernetes 1.35 versions are specified to be decimal numbers that can be compared (KEP-5504). */
const DECIMAL = /^[1-9]\d*$/;

/** True when `version` is a number lower than the number `than`; false when one of them is none. */
export function isOlder(version: string, than: string): boolean {
  if (!DECIMAL.test(version) || !DECIMAL.test(than)) return false;
  return version.length === than.length ? version < than : version.length < than.length;
}
