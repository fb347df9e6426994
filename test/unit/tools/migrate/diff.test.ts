import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { unifiedDiff } from '../../../../src/tools/migrate/diff.ts';

const LINES = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 14 });
const toText = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

describe('a difference', () => {
  it('is empty for the same text', () => {
    assert.deepEqual(unifiedDiff('a\nb\n', 'a\nb\n'), []);
    assert.deepEqual(unifiedDiff('', ''), []);
  });

  it('shows three lines around, and joins what meets', () => {
    const before = '1\n2\n3\n4\n5\n6\n7\n8\n9\n';
    assert.deepEqual(unifiedDiff(before, before.replace('5', 'five')), [
      '@@ -2,7 +2,7 @@',
      ' 2',
      ' 3',
      ' 4',
      '-5',
      '+five',
      ' 6',
      ' 7',
      ' 8',
    ]);
  });

  it('says, with right line numbers, how the new text is made of the old one', () => {
    fc.assert(
      fc.property(LINES, LINES, (before, after) => {
        const diff = unifiedDiff(toText(before), toText(after));
        assert.deepEqual(applied(before, diff), after);
        assert.equal(diff.length === 0, toText(before) === toText(after));
      }),
    );
  });
});

/** What patch(1) would make of the lines; fails where they are not what the difference says. */
function applied(before: readonly string[], diff: readonly string[]): readonly string[] {
  const result: string[] = [];
  let next = 0;
  for (const line of diff) {
    const [, from, length, to] = /^@@ -(\d+),(\d+) \+(\d+),\d+ @@$/.exec(line) ?? [];
    if (from !== undefined) {
      const start = length === '0' ? Number(from) : Number(from) - 1;
      result.push(...before.slice(next, start));
      next = start;
      assert.ok([result.length, result.length + 1].includes(Number(to)), line);
      continue;
    }
    const text = line.slice(1);
    if (!line.startsWith('+')) assert.equal(before[next++], text);
    if (!line.startsWith('-')) result.push(text);
  }
  return [...result, ...before.slice(next)];
}
