/** Versions of kernels and programs. */

/** A version of which the first numbers count. */
export interface Version {
  /** As it was found: `6.1.0-28-amd64`. */
  readonly text: string;
  readonly numbers: readonly number[];
}

/** Finds the first `1.2` or `1.2.3` in a text; `undefined` when there is none. */
export function findVersion(text: string): Version | undefined {
  const match = /\d+(?:\.\d+)+\S*/.exec(text);
  if (match === null) return undefined;
  const [digits = ''] = /^[\d.]+/.exec(match[0]) ?? [];
  const numbers = digits.split('.').filter((part) => part !== '');
  return { text: match[0], numbers: numbers.map(Number) };
}

/** True when a version is older than `5.13` or the like. */
export function isOlder({ numbers }: Version, than: string): boolean {
  const floor = than.split('.').map(Number);
  for (const [index, wanted] of floor.entries()) {
    const number = numbers[index] ?? 0;
    if (number !== wanted) return number < wanted;
  }
  return false;
}
