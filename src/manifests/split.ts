/**
 * Cuts the text of a YAML file at its document markers. `---` or `...` at the start of a line is a
 * marker wherever it stands, inside quoted and block text too (YAML 1.2.2, 9.1.2 and rule c-forbidden),
 * so the cut needs no parser. Each document is then parsed alone: an error in one cannot reach the
 * next, and a document whose text did not change need not be parsed again.
 */

/** The text of one document with the markers and directives that belong to it. */
export interface DocumentText {
  readonly text: string;
  /** Line of the file on which `text` starts, from 1. */
  readonly line: number;
}

const MARKER = /\n(---|\.\.\.)(?=[ \t\r\n]|$)/g;
/** Nothing but blank lines, comments and directives: belongs to the document behind it. */
const PREAMBLE = /^(?:[ \t]*(?:[#%][^\n]*)?\r?(?:\n|$))*$/;

/** Splits a file into its documents, in order. Documents without content may be among them. */
export function splitDocuments(text: string): readonly DocumentText[] {
  const documents: DocumentText[] = [];
  let start = 0;
  let line = 1;
  const cut = (end: number): void => {
    const part = text.slice(start, end);
    if (part === '' || (end < text.length && PREAMBLE.test(part))) return;
    documents.push({ text: part, line });
    line += countLines(part, part.length);
    start = end;
  };
  for (const match of text.matchAll(MARKER)) {
    const marker = match.index + 1;
    if (match[1] === '---') {
      cut(marker);
      continue;
    }
    const newline = text.indexOf('\n', marker);
    cut(newline < 0 ? text.length : newline + 1);
  }
  cut(text.length);
  return documents;
}

/** Number of line breaks before `offset`. */
export function countLines(text: string, offset: number): number {
  let lines = 0;
  let index = text.indexOf('\n');
  while (index >= 0 && index < offset) {
    lines++;
    index = text.indexOf('\n', index + 1);
  }
  return lines;
}
