/**
 * IP addresses and CIDRs as values. Text is read as strictly as Kubernetes reads it and always kept in
 * its one canonical form, so two addresses are the same exactly when their strings are.
 */

/** IP families, spelled as in `spec.ipFamilies`. */
export type Family = 'IPv4' | 'IPv6';

declare const addressBrand: unique symbol;

/**
 * An IP address in canonical text: dotted quad, or RFC 5952 for IPv6. Made by {@link parseAddress} and
 * {@link unpackAddress} only.
 */
export type Address = string & { readonly [addressBrand]: true };

/** An address range. Bits of `address` behind the prefix are 0. */
export interface Cidr {
  readonly family: Family;
  readonly address: Address;
  /** Number of leading bits that count: 0 to 32, or 0 to 128. */
  readonly prefix: number;
}

const DOT = 0x2e;
const COLON = 0x3a;

// Buffers of the functions below; none of them calls back into code that could use them again.
const bytesA = new Uint8Array(16);
const bytesB = new Uint8Array(16);

/**
 * Reads an address. Refused (`undefined`): leading zeros, fewer than four parts, zones (`fe80::1%eth0`),
 * surrounding space, and IPv4-mapped IPv6 (`::ffff:1.2.3.4`, in any spelling), which would name an IPv4
 * host by a text of the other family.
 */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(':')) return parseIPv4(text, 0, bytesA, 0) ? brand(text) : undefined;
  if (!parseIPv6(text, bytesA, 0) || isMapped(bytesA)) return undefined;
  return brand(formatIPv6(bytesA, 0));
}

/** Family of an address. */
export function familyOf(address: Address): Family {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

/** Bytes of an address on the wire: 4 or 16. */
export function addressLength(family: Family): 4 | 16 {
  return family === 'IPv4' ? 4 : 16;
}

/**
 * Writes an address into `into` from index `at` in network order and returns the number of bytes
 * written, 4 or 16. There must be room for them.
 */
export function packAddress(address: Address, into: Uint8Array, at: number): 4 | 16 {
  if (parseIPv4(address, 0, into, at)) return 4;
  parseIPv6(address, into, at);
  return 16;
}

/** Reads the 4 or 16 bytes from index `at`. The opposite of {@link packAddress}. */
export function unpackAddress(bytes: Uint8Array, at: number, family: Family): Address {
  return brand(family === 'IPv4' ? formatIPv4(bytes, at) : formatIPv6(bytes, at));
}

/** Reads `address/prefix`. Host bits are cleared; the address rules are those of {@link parseAddress}. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === undefined || !/^(?:0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const family = familyOf(address);
  const length = addressLength(family);
  const prefix = Number(digits);
  if (prefix > length * 8) return undefined;
  packAddress(address, bytesA, 0);
  for (let index = 0; index < length; index++)
    bytesA[index] = byteAt(bytesA, index) & mask(prefix, index);
  return { family, address: unpackAddress(bytesA, 0, family), prefix };
}

/** `address/prefix`. */
export function formatCidr(cidr: Cidr): string {
  return `${cidr.address}/${cidr.prefix}`;
}

/** True when the range covers the address; false for an address of the other family. */
export function cidrContains(cidr: Cidr, address: Address): boolean {
  if (familyOf(address) !== cidr.family) return false;
  const length = packAddress(address, bytesA, 0);
  packAddress(cidr.address, bytesB, 0);
  for (let index = 0; index < length; index++) {
    if ((byteAt(bytesA, index) & mask(cidr.prefix, index)) !== byteAt(bytesB, index)) return false;
  }
  return true;
}

/** `127.0.0.0/8` or `::1`. */
export function isLoopback(address: Address): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** Unicast link-local: `169.254.0.0/16` or `fe80::/10`. */
export function isLinkLocal(address: Address): boolean {
  return address.startsWith('169.254.') || /^fe[89ab][0-9a-f]:/.test(address);
}

/** `0.0.0.0` or `::`. */
export function isUnspecified(address: Address): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** `224.0.0.0/4` or `ff00::/8`. */
export function isMulticast(address: Address): boolean {
  return /^(?:22[4-9]|23\d)\./.test(address) || /^ff[0-9a-f]{2}:/.test(address);
}

/** `1.2.3.4:80` or `[fd00::1]:80`. */
export function hostPort(address: Address, port: number): string {
  return familyOf(address) === 'IPv4' ? `${address}:${port}` : `[${address}]:${port}`;
}

function brand(text: string): Address {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a brand has no other constructor; every caller holds canonical text
  return text as Address;
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}

/** The part of a prefix that falls on byte `index`. */
function mask(prefix: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefix - index * 8));
  return (0xff << (8 - bits)) & 0xff;
}

/** Inside `::ffff:0:0/96`. */
function isMapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** Reads a dotted quad that starts at `from` and ends with the text. */
function parseIPv4(text: string, from: number, into: Uint8Array, at: number): boolean {
  let index = from;
  for (let part = 0; part < 4; part++) {
    const start = index;
    let value = 0;
    for (; index < text.length; index++) {
      const digit = text.charCodeAt(index) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const digits = index - start;
    if (digits === 0 || digits > 3 || value > 255) return false;
    if (digits > 1 && text.charCodeAt(start) === 0x30) return false;
    into[at + part] = value;
    if (part < 3 && text.charCodeAt(index++) !== DOT) return false;
  }
  return index === text.length;
}

/** Value of a hexadecimal digit, -1 for any other character. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Reads IPv6 text (RFC 4291, no zone), with `::` and a dotted quad at the end allowed. */
function parseIPv6(text: string, into: Uint8Array, at: number): boolean {
  const length = text.length;
  const end = at + 16;
  let position = at;
  let gap = -1;
  let index = 0;
  if (text.startsWith('::')) {
    gap = position;
    index = 2;
  }
  while (index < length) {
    const start = index;
    let value = 0;
    for (; index < length; index++) {
      const digit = hexDigit(text.charCodeAt(index));
      if (digit < 0) break;
      value = value * 16 + digit;
    }
    if (index === start || index - start > 4) return false;
    if (index < length && text.charCodeAt(index) === DOT) {
      if (position + 4 > end || !parseIPv4(text, start, into, position)) return false;
      position += 4;
      break;
    }
    if (position === end) return false;
    into[position++] = value >>> 8;
    into[position++] = value & 0xff;
    if (index === length) break;
    if (text.charCodeAt(index++) !== COLON || index === length) return false;
    if (text.charCodeAt(index) === COLON) {
      if (gap >= 0) return false;
      gap = position;
      index++;
    }
  }
  if (gap < 0) return position === end;
  if (position === end) return false;
  const tail = end - (position - gap);
  into.copyWithin(tail, gap, position);
  into.fill(0, gap, tail);
  return true;
}

function formatIPv4(bytes: Uint8Array, at: number): string {
  return `${byteAt(bytes, at)}.${byteAt(bytes, at + 1)}.${byteAt(bytes, at + 2)}.${byteAt(bytes, at + 3)}`;
}

/** RFC 5952: lower case, no leading zeros, the first of the longest runs of two or more zero groups as `::`. */
function formatIPv6(bytes: Uint8Array, at: number): string {
  let bestStart = -1;
  let bestLength = 1;
  let runLength = 0;
  for (let group = 0; group < 8; group++) {
    runLength = groupAt(bytes, at, group) === 0 ? runLength + 1 : 0;
    if (runLength > bestLength) {
      bestLength = runLength;
      bestStart = group - runLength + 1;
    }
  }
  let text = '';
  for (let group = 0; group < 8; group++) {
    if (group === bestStart) {
      text += '::';
      group += bestLength - 1;
      continue;
    }
    if (text !== '' && !text.endsWith(':')) text += ':';
    text += groupAt(bytes, at, group).toString(16);
  }
  return text;
}

function groupAt(bytes: Uint8Array, at: number, group: number): number {
  return (byteAt(bytes, at + group * 2) << 8) | byteAt(bytes, at + group * 2 + 1);
}
