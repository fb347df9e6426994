import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isLeaf } from '../../../../src/tools/advise/advise.ts';
import { mermaid } from '../../../../src/tools/advise/mermaid.ts';
import { NOTES } from '../../../../src/tools/advise/notes.ts';
import type { NodeId } from '../../../../src/tools/advise/question.ts';
import { LEAVES, QUESTIONS, ROOT } from '../../../../src/tools/advise/tree.ts';
import { renderChoosingDocs } from '../../../../tools/docs/choosing-a-mode.ts';

/** Everything that can be reached from a node; fails where a question comes twice on one way. */
function reach(id: NodeId, before: readonly NodeId[], found: Set<NodeId>): ReadonlySet<NodeId> {
  assert.ok(!before.includes(id), `${[...before, id].join(' > ')} goes round`);
  found.add(id);
  if (isLeaf(id)) return found;
  const { yes, no } = QUESTIONS[id];
  assert.notEqual(yes, no, `${id} decides nothing`);
  for (const next of [yes, no]) reach(next, [...before, id], found);
  return found;
}

describe('the decision tree', () => {
  it('reaches every question and every answer, and never goes round', () => {
    const reached = reach(ROOT, [], new Set());
    const all = [...Object.keys(QUESTIONS), ...Object.keys(LEAVES)];
    assert.deepEqual([...reached].toSorted(), all.toSorted());
  });

  it('has a source with a month for everything it claims', () => {
    for (const { text, sources } of [...Object.values(QUESTIONS), ...NOTES]) {
      assert.ok(sources.length > 0, text);
      for (const { date } of sources) assert.match(date, /^20\d\d-(?:0[1-9]|1[0-2])$/);
    }
  });

  it('is drawn with every question, both of its ways, and every answer', () => {
    const lines = mermaid().split('\n');
    assert.equal(lines[0], 'flowchart TD');
    for (const [id, { text, yes, no }] of Object.entries(QUESTIONS)) {
      assert.ok(lines.includes(`  ${id}{"${text}"}`));
      assert.ok(lines.includes(`  ${id} -- yes --> ${yes}`));
      assert.ok(lines.includes(`  ${id} -- no --> ${no}`));
    }
    for (const [id, { text }] of Object.entries(LEAVES)) {
      assert.ok(lines.includes(`  ${id}(["${text}"])`));
    }
    assert.equal(lines.length, 1 + 3 * Object.keys(QUESTIONS).length + Object.keys(LEAVES).length);
  });

  it('is what docs/choosing-a-mode.md says', () => {
    const file = join(import.meta.dirname, '../../../../docs/choosing-a-mode.md');
    assert.equal(readFileSync(file, 'utf8'), renderChoosingDocs());
  });
});
