/** The difference of two texts in the unified format of diff(1). */

interface Edit {
  readonly kind: ' ' | '-' | '+';
  readonly line: string;
}

/** Lines around a difference that are shown. */
const CONTEXT = 3;

/** Lines of the difference, without the names of files; none when the texts are the same. Meant for short texts. */
export function unifiedDiff(before: string, after: string): readonly string[] {
  const edits = editsOf(linesOf(before), linesOf(after));
  const lines: string[] = [];
  for (const [start, end] of hunks(edits)) {
    const within = edits.slice(start, end);
    const at = (kind: '-' | '+'): string => {
      const begin = edits.slice(0, start).filter((edit) => edit.kind !== other(kind)).length;
      const length = within.filter((edit) => edit.kind !== other(kind)).length;
      return `${kind}${length === 0 ? begin : begin + 1},${length}`;
    };
    lines.push(`@@ ${at('-')} ${at('+')} @@`);
    for (const { kind, line } of within) lines.push(`${kind}${line}`);
  }
  return lines;
}

function other(kind: '-' | '+'): '-' | '+' {
  return kind === '-' ? '+' : '-';
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

/** The longest common subsequence stays; what is removed comes before what is added. */
function editsOf(before: readonly string[], after: readonly string[]): readonly Edit[] {
  // common[i][j]: length of the longest one of before[i…] and after[j…].
  const common = Array.from({ length: before.length + 1 }, () =>
    Array.from({ length: after.length + 1 }, () => 0),
  );
  const at = (row: number, column: number): number => common[row]?.[column] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      const same = before[i] === after[j];
      const best = same ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
      common[i]?.splice(j, 1, best);
    }
  }
  const edits: Edit[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]];
    if (old !== undefined && old === fresh) {
      edits.push({ kind: ' ', line: old });
      i++;
      j++;
    } else if (old !== undefined && (fresh === undefined || at(i + 1, j) >= at(i, j + 1))) {
      edits.push({ kind: '-', line: old });
      i++;
    } else {
      edits.push({ kind: '+', line: fresh ?? '' });
      j++;
    }
  }
  return edits;
}

/** Ranges of edits to show: differences with their context, joined where they meet. */
function hunks(edits: readonly Edit[]): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const [index, { kind }] of edits.entries()) {
    if (kind === ' ') continue;
    const end = Math.min(edits.length, index + 1 + CONTEXT);
    const last = ranges.at(-1);
    if (last !== undefined && index - CONTEXT <= last[1]) last[1] = end;
    else ranges.push([Math.max(0, index - CONTEXT), end]);
  }
  return ranges;
}
