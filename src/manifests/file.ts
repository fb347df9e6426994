/** From the bytes of a file to its content, reading again only the documents whose text changed. */
import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import type { ProxyItem } from '../core/change.ts';
import type { FileContent, ObjectId } from './catalog.ts';
import { type DocumentContent, interpretDocument } from './objects.ts';
import { countLines, splitDocuments } from './split.ts';

/** Something wrong in a file. */
interface FileProblem {
  /** From 1; `undefined` when it is about the file as a whole. */
  readonly line: number | undefined;
  readonly field: string;
  readonly message: string;
  readonly object: ObjectId | undefined;
  /** Equal for the same problem in the same text, wherever in the file that text has moved. */
  readonly key: string;
}

/** What a file says, and what is needed to read its next version cheaply. */
export interface ParsedFile extends FileContent {
  readonly problems: readonly FileProblem[];
  /** Kinds the proxy does not read, as `apiVersion kind`. */
  readonly ignored: ReadonlySet<string>;
  /** By hash of the document's text. */
  readonly documents: ReadonlyMap<string, DocumentContent>;
}

/** Larger files are refused: reading one would stop the process for minutes. */
export const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** Leaves a byte order mark out and puts U+FFFD for what is no UTF-8. */
const decoder = new TextDecoder();

/** Lets others run after this many milliseconds of parsing. */
const SLICE_MS = 8;

/** An empty or absent file. */
export const EMPTY_FILE: ParsedFile = {
  objects: new Map(),
  doubtful: new Set(),
  broken: new Set(),
  unreadable: false,
  problems: [],
  ignored: new Set(),
  documents: new Map(),
};

/** A file that cannot be read at all: everything it said before may still be meant. */
export function unusableFile(message: string, line?: number): ParsedFile {
  const problem = { line, field: '', message, object: undefined, key: message };
  return {
    ...EMPTY_FILE,
    unreadable: true,
    problems: [problem],
  };
}

/**
 * Reads a file's bytes. Documents that `previous` knows are not parsed again; between documents
 * `breathe` is awaited now and then, so that a large file does not stop everything else.
 */
export async function parseFile(
  bytes: Uint8Array,
  previous: ParsedFile,
  breathe: () => Promise<void>,
): Promise<ParsedFile> {
  const fault = findForeignBytes(bytes);
  if (fault !== undefined) return fault;

  const objects = new Map<ObjectId, ProxyItem>();
  const doubtful = new Set<ObjectId>();
  const broken = new Set<ObjectId>();
  const problems: FileProblem[] = [];
  const ignored = new Set<string>();
  const documents = new Map<string, DocumentContent>();
  let unreadable = false;
  let sliceEnd = performance.now() + SLICE_MS;
  for (const document of splitDocuments(bytes)) {
    if (performance.now() > sliceEnd) {
      await breathe();
      sliceEnd = performance.now() + SLICE_MS;
    }
    const digest = hash('sha1', document.bytes, 'base64');
    const content =
      documents.get(digest) ??
      previous.documents.get(digest) ??
      interpretDocument(decoder.decode(document.bytes));
    documents.set(digest, content);
    const offset = document.line - 1;
    for (const problem of content.problems) {
      const key = `${digest} ${problem.field} ${problem.message}`;
      problems.push({ ...problem, line: problem.line + offset, key });
    }
    for (const { id, item, path, clean } of content.objects) {
      if (objects.has(id)) {
        problems.push(duplicate(id, content.line + offset, path));
        continue;
      }
      objects.set(id, item);
      if (!clean) doubtful.add(id);
    }
    for (const id of content.broken) broken.add(id);
    for (const type of content.ignored) ignored.add(type);
    unreadable ||= content.unreadable;
  }
  return { objects, doubtful, broken, unreadable, problems, ignored, documents };
}

function duplicate(id: ObjectId, line: number, field: string): FileProblem {
  const message = `${id} is already in this file; the first one is used`;
  return { line, field, message, object: id, key: message };
}

function findForeignBytes(bytes: Uint8Array): ParsedFile | undefined {
  if (bytes.includes(0)) {
    const text = decoder.decode(bytes);
    const line = 1 + countLines(text, text.indexOf('\0'));
    return unusableFile('not a text file (it holds a zero byte)', line);
  }
  if (isUtf8(bytes)) return undefined;
  const text = decoder.decode(bytes);
  return unusableFile('not UTF-8 text', 1 + countLines(text, text.indexOf('\uFFFD')));
}
