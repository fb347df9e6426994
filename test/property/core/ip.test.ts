import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addressLength,
  cidrContains,
  familyOf,
  formatCidr,
  packAddress,
  parseAddress,
  parseCidr,
  unpackAddress,
} from '../../../src/core/ip.ts';

const RUNS = { numRuns: 2000 };

/** Text that is nearly an address: what a parser that is too kind would take. */
const almostAddress = fc.oneof(
  fc.ipV4(),
  fc.ipV4Extended(),
  fc.ipV6(),
  fc.ipV4().map((text) => `::ffff:${text}`),
  fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcF:.')), maxLength: 40 }),
  fc
    .array(fc.constantFrom('0', '1', '01', 'ffff', '12345', '1.2.3.4', ''), { maxLength: 10 })
    .map((parts) => parts.join(':')),
);

const bytesOf = (length: 4 | 16): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    fc.uint8Array({ minLength: length, maxLength: length }),
    // Runs of zeros are what the canonical form of IPv6 is about.
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: length, maxLength: length })
      .map((bytes) => Uint8Array.from(bytes)),
  );

/** URL parsing writes every spelling of an IPv4-mapped address alike. */
const isMapped = (text: string): boolean =>
  isIP(text) === 6 && /^\[::ffff:[^:]+:[^:]+\]$/.test(new URL(`http://[${text}]/`).hostname);

test('exactly what Node.js takes for an address is read, but for zones and IPv4-mapped ones', () => {
  fc.assert(
    fc.property(almostAddress, (text) => {
      const address = parseAddress(text);
      const read = address === undefined ? 0 : familyOf(address) === 'IPv4' ? 4 : 6;
      assert.equal(read, isMapped(text) ? 0 : isIP(text));
    }),
    RUNS,
  );
});

test('canonical text is read as itself, and is the one URL parsing gives', () => {
  fc.assert(
    fc.property(almostAddress, (text) => {
      const address = parseAddress(text);
      if (address === undefined) return;
      assert.equal(parseAddress(address), address);
      const host = familyOf(address) === 'IPv4' ? address : `[${address}]`;
      assert.equal(new URL(`http://${host}/`).hostname, host);
    }),
    RUNS,
  );
});

test('unpacking and packing are opposites, at any place of a buffer', () => {
  const family = fc.constantFrom('IPv4' as const, 'IPv6' as const);
  const packed = family.chain((name) =>
    fc.record({ name: fc.constant(name), bytes: bytesOf(addressLength(name)), at: fc.nat(9) }),
  );
  fc.assert(
    fc.property(packed, ({ name, bytes, at }) => {
      const from = new Uint8Array(at + bytes.length);
      from.set(bytes, at);
      const address = unpackAddress(from, at, name);
      const into = new Uint8Array(at + bytes.length + 3).fill(0xaa);
      assert.equal(packAddress(address, into, at), bytes.length);
      assert.deepEqual(into.subarray(at, at + bytes.length), bytes);
      assert.ok(into.subarray(0, at).every((byte) => byte === 0xaa));
      assert.ok(into.subarray(at + bytes.length).every((byte) => byte === 0xaa));
    }),
    RUNS,
  );
});

test('a CIDR contains an address exactly when clearing its host bits gives the same CIDR', () => {
  const pair = fc.oneof(fc.tuple(fc.ipV4(), fc.ipV4()), fc.tuple(fc.ipV6(), fc.ipV6()));
  fc.assert(
    fc.property(pair, fc.nat(128), ([rangeText, text], bits) => {
      const address = parseAddress(text);
      const range = parseCidr(`${rangeText}/${bits}`);
      if (address === undefined || range === undefined) return;
      const other = parseCidr(`${address}/${bits}`);
      assert.ok(other);
      assert.equal(cidrContains(range, address), formatCidr(other) === formatCidr(range));
      assert.ok(cidrContains(other, address));
      assert.ok(cidrContains(range, range.address));
    }),
    RUNS,
  );
});
