/** Sets of addresses, however they are written: as prefixes that may overlap, as halves, as first and last address. */
import { addressLength, packAddress, parseAddress, parseCidr } from '../../core/ip.ts';

interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** True when two lists cover the same addresses. Each text is `address/prefix`, `address` or `first-last`. */
export function coverSame(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(merge(one)) === JSON.stringify(merge(other));
}

/** Ranges that neither overlap nor touch, in order. */
function merge(texts: readonly string[]): readonly string[] {
  const ranges = texts.map(readRange).toSorted((a, b) => (a.first < b.first ? -1 : 1));
  const merged: Range[] = [];
  for (const range of ranges) {
    const before = merged.at(-1);
    if (before === undefined || range.first > before.last + 1n) merged.push(range);
    else if (range.last > before.last) {
      merged.splice(-1, 1, { first: before.first, last: range.last });
    }
  }
  return merged.map(({ first, last }) => `${first}-${last}`);
}

function readRange(text: string): Range {
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    const [first = '', last = first] = text.split('-');
    return { first: readNumber(first), last: readNumber(last) };
  }
  const first = readNumber(cidr.address);
  const hostBits = addressLength(cidr.family) * 8 - cidr.prefix;
  return { first, last: first + (1n << BigInt(hostBits)) - 1n };
}

/** IPv6 addresses lie above all of IPv4. */
function readNumber(text: string): bigint {
  const address = parseAddress(text);
  if (address === undefined) return -1n;
  const bytes = Buffer.alloc(16);
  const length = packAddress(address, bytes, 0);
  const value = BigInt(`0x${bytes.toString('hex', 0, length)}`);
  return length === 16 ? value + (1n << 32n) : value;
}
