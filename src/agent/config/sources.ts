/** Reads settings from where users write them: flags and files. */
import { DOCUMENT_KINDS, type DocumentKind, type FieldTree } from './document-kinds.ts';
import { type Fault, mustBe } from './fault.ts';
import { type Draft, KEYS, type Key, OPTIONS, put } from './options.ts';
import type { ConfigDocument } from './read-documents.ts';
import { isRecord } from './value-types.ts';

/** Settings that one source has. */
export interface Reading {
  readonly values: Draft;
  /** How the source calls each of them: `--proxy-mode`, or `mode`. */
  readonly names: Map<Key, string>;
  readonly faults: Fault[];
  /** Fields that no document of this kind has, and fields that are there twice. */
  readonly unknown: string[];
}

/** Nothing read yet. */
function emptyReading(): Reading {
  return { values: {}, names: new Map(), faults: [], unknown: [] };
}

/** Reads flags: texts by the name of the flag without dashes. */
export function readFlags(flags: ReadonlyMap<string, string>): Reading {
  const reading = emptyReading();
  for (const [flag, text] of flags) {
    const keys = KEYS.filter((key) => [OPTIONS[key].flag, OPTIONS[key].sharesFlag].includes(flag));
    if (keys.length === 0) reading.faults.push({ keys: [], message: `there is no flag --${flag}` });
    for (const key of keys) readFlag(key, `--${flag}`, text, reading);
  }
  return reading;
}

function readFlag(key: Key, name: string, text: string, into: Reading): void {
  const { type, zeroIsDefault } = OPTIONS[key];
  into.names.set(key, name);
  // kube-proxy has no way to say "no address" either.
  if (text === '' && type.zero === '' && zeroIsDefault) return;
  const value = type.parse(text);
  if (value === undefined)
    into.faults.push({ keys: [key], message: mustBe(name, type.expected, text) });
  else put(into.values, key, value);
}

/** Reads the documents of a file, at most one of each kind. */
export function readFields(documents: readonly ConfigDocument[]): Reading {
  const reading = emptyReading();
  const seen = new Set<DocumentKind>();
  for (const { value, duplicates } of documents) {
    const kind = kindOf(value);
    if (kind === undefined || !isRecord(value)) {
      reading.faults.push({ keys: [], message: unknownKind(value) });
      continue;
    }
    if (seen.has(kind))
      reading.faults.push({ keys: [], message: `there are two documents of kind ${kind.kind}` });
    seen.add(kind);
    readObject(kind, { value, fields: kind.fields, path: '' }, reading);
    for (const path of duplicates)
      reportField(kind, path, `${path} is there twice in ${kind.kind}`, reading);
  }
  if (documents.length === 0)
    reading.faults.push({ keys: [], message: `it is empty; it must have ${KIND_NAMES}` });
  return reading;
}

const KIND_NAMES = DOCUMENT_KINDS.map(
  ({ apiVersion, kind }) => `apiVersion: ${apiVersion} and kind: ${kind}`,
).join(', or ');

function kindOf(value: unknown): DocumentKind | undefined {
  if (!isRecord(value)) return undefined;
  return DOCUMENT_KINDS.find(
    ({ apiVersion, kind }) => value['apiVersion'] === apiVersion && value['kind'] === kind,
  );
}

function unknownKind(value: unknown): string {
  if (!isRecord(value)) return mustBe('a document', 'an object with apiVersion and kind', value);
  const says = (name: string): string =>
    Object.hasOwn(value, name) ? JSON.stringify(value[name]) : 'nothing';
  return `a document has apiVersion ${says('apiVersion')} and kind ${says('kind')}; it must have ${KIND_NAMES}`;
}

interface Place {
  readonly value: Readonly<Record<string, unknown>>;
  readonly fields: FieldTree;
  /** Path with a dot at its end, or nothing. */
  readonly path: string;
}

function readObject(kind: DocumentKind, { value, fields, path }: Place, into: Reading): void {
  for (const [name, child] of Object.entries(value)) {
    if (path === '' && (name === 'apiVersion' || name === 'kind')) continue;
    const field = fields.get(name);
    const place = path + name;
    if (field === undefined) reportUnknown(kind, place, fields, into);
    // In Go, null is the same as saying nothing.
    else if (child === null) continue;
    else if (typeof field === 'string') readField(field, place, child, into);
    else if (isRecord(child))
      readObject(kind, { value: child, fields: field, path: `${place}.` }, into);
    else into.faults.push({ keys: [], message: mustBe(place, 'an object', child) });
  }
}

function reportUnknown(kind: DocumentKind, place: string, known: FieldTree, into: Reading): void {
  const message = `there is no field ${place} in ${kind.kind}, only ${[...known.keys()].join(', ')}`;
  reportField(kind, place, message, into);
}

/** What is wrong with the fields themselves is tolerated where kube-proxy does. */
function reportField(kind: DocumentKind, place: string, message: string, into: Reading): void {
  if (kind.strict) into.faults.push({ keys: [], message });
  else into.unknown.push(place);
}

function readField(key: Key, name: string, raw: unknown, into: Reading): void {
  const { type, zeroIsDefault } = OPTIONS[key];
  into.names.set(key, name);
  const value = type.decode(raw);
  if (value === undefined)
    into.faults.push({ keys: [key], message: mustBe(name, type.expected, raw) });
  else if (!(zeroIsDefault && value === type.zero)) put(into.values, key, value);
}
