import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatGoDuration, parseGoDuration } from '../../../../src/agent/config/go-duration.ts';

test('durations are read as Go reads them', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['+0', 0],
    ['0s', 0],
    ['-0s', 0],
    ['1h2m3s', 3_723_000],
    ['300ms', 300],
    ['15m0s', 900_000],
    ['-1s', -1000],
    ['+5m', 300_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1.s', 1000],
    ['2us', 0.002],
    ['2\u00b5s', 0.002],
    ['2\u03bcs', 0.002],
    ['7ns', 0.000007],
    ['24h0m0s', 86_400_000],
    ['1s1h', 3_601_000],
  ];
  for (const [text, ms] of cases) assert.equal(parseGoDuration(text), ms, text);
});

test('what Go refuses is refused', () => {
  const cases = [
    '',
    '5',
    '-5',
    '1.5',
    '.',
    '.s',
    '1',
    's',
    '1d',
    '1 s',
    ' 1s',
    '1s ',
    '1h-2m',
    '--1s',
  ];
  for (const text of [...cases, '1hm', '1e3s', '0x1s', '9223372037s', '3000000h', '0.0'])
    assert.equal(parseGoDuration(text), undefined, JSON.stringify(text));
});

test('durations are written as Go writes them', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [-0, '0s'],
    [1, '1ms'],
    [1.5, '1.5ms'],
    [0.002, '2\u00b5s'],
    [0.0021, '2.1\u00b5s'],
    [0.000007, '7ns'],
    [999.999999, '999.999999ms'],
    [1000, '1s'],
    [1500, '1.5s'],
    [60_000, '1m0s'],
    [90_500, '1m30.5s'],
    [900_000, '15m0s'],
    [86_400_000, '24h0m0s'],
    [3_600_000, '1h0m0s'],
    [-1000, '-1s'],
  ];
  for (const [ms, text] of cases) assert.equal(formatGoDuration(ms), text);
});

test('what is written is read as the same nanosecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 50), max: 2 ** 50 }), (ns) => {
      const ms = ns / 1e6 + 0;
      assert.equal(parseGoDuration(formatGoDuration(ms)), ms);
    }),
  );
});
