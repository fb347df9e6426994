/**
 * Cuts a YAML file at its document markers. `---` or `...` at the start of a line is a marker wherever
 * it stands, inside quoted and block text too (YAML 1.2.2, 9.1.2 and rule c-forbidden), so the cut needs
 * no parser. Each document is then parsed alone: an error in one cannot reach the next, and a document
 * that did not change need not be parsed again.
 */

/** The UTF-8 text of one document with the markers and directives that belong to it. */
export interface DocumentBytes {
  readonly bytes: Buffer;
  /** Line of the file on which it begins, from 1. */
  readonly line: number;
}

const NEWLINE = 0x0a;
/** What may follow a marker: space, tab, line breaks, or the end of the file. */
const AFTER_MARKER: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0d, 0x0a, undefined]);
/** Nothing but blank lines, comments and directives: belongs to the document behind it. */
const PREAMBLE = /^(?:[ \t]*(?:[#%][^\n]*)?\r?(?:\n|$))*$/;
/** Longer beginnings of a file hold more than directives. */
const MAX_PREAMBLE = 4096;

/** Splits a file into its documents, in order. Documents without content may be among them. */
export function splitDocuments(file: Uint8Array): readonly DocumentBytes[] {
  // Slices of a Buffer share its memory; a string would have to be decoded as a whole.
  const buffer = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const documents: DocumentBytes[] = [];
  let start = 0;
  let line = 1;
  const cut = (end: number): void => {
    const bytes = buffer.subarray(start, end);
    if (end === start || (end < buffer.length && isPreamble(bytes))) return;
    documents.push({ bytes, line });
    line += countNewlines(bytes);
    start = end;
  };
  for (const marker of markers(buffer)) {
    if (buffer[marker] === 0x2d) {
      cut(marker);
      continue;
    }
    const newline = buffer.indexOf(NEWLINE, marker);
    cut(newline < 0 ? buffer.length : newline + 1);
  }
  cut(buffer.length);
  return documents;
}

/** Offsets of `---` and `...` at the start of a line, except at the start of the file, in order. */
function* markers(buffer: Buffer): Generator<number, void, undefined> {
  let dashes = nextMarker(buffer, '\n---', 0);
  let dots = nextMarker(buffer, '\n...', 0);
  while (dashes < buffer.length || dots < buffer.length) {
    if (dashes < dots) {
      yield dashes;
      dashes = nextMarker(buffer, '\n---', dashes);
    } else {
      yield dots;
      dots = nextMarker(buffer, '\n...', dots);
    }
  }
}

/** Offset of the next marker from `from` on; the length of the buffer when there is none. */
function nextMarker(buffer: Buffer, line: string, from: number): number {
  for (let at = buffer.indexOf(line, from); at >= 0; at = buffer.indexOf(line, at + 1)) {
    if (AFTER_MARKER.has(buffer[at + line.length])) return at + 1;
  }
  return buffer.length;
}

function isPreamble(bytes: Buffer): boolean {
  return bytes.length <= MAX_PREAMBLE && PREAMBLE.test(bytes.toString());
}

/** Number of line breaks in these bytes. */
function countNewlines(bytes: Uint8Array): number {
  let lines = 0;
  // An iterator would take ten times as long.
  for (let index = 0; index < bytes.length; index++) if (bytes[index] === NEWLINE) lines++;
  return lines;
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
