/**
 * Reads one YAML document as the tools of Kubernetes do: YAML 1.1 (so `yes` and `0644` mean what they
 * mean there), duplicate keys refused, aliases bounded, timestamps left as text. JSON is read by the
 * engine's own parser, which is a hundred times faster.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import { GO_YAML } from './go-yaml.ts';
import { countLines } from './split.ts';

/** The value of a document, and where its fields stand. */
export interface YamlValue {
  readonly value: unknown;
  /**
   * Line (from 1, inside the document's text) of a field such as `spec.ports[0].port`, or of the nearest
   * field around it; of the first field for `''`.
   */
  lineOf(field: string): number;
}

/** What is wrong with the text of a document. */
interface YamlError {
  /** From 1, inside the document's text. */
  readonly line: number;
  readonly message: string;
}

/** A document as a plain value, or why it cannot be read. */
export type YamlResult =
  | { readonly ok: true; readonly document: YamlValue }
  | { readonly ok: false; readonly error: YamlError };

/** An alias may be used this often; nested aliases count by what they expand to ("billion laughs"). */
const MAX_ALIASES = 1000;

const TOO_DEEP = 'nested too deeply';

/** Reads the text of one document. A document without content has the value `null`. */
export function readDocument(text: string): YamlResult {
  const json = readJson(text);
  if (json !== undefined) return { ok: true, document: json };
  try {
    return readYaml(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { ok: false, error: { line: 1, message: TOO_DEEP } };
  }
}

function readYaml(text: string): YamlResult {
  const document = parse(text);
  const failure = document.errors[0];
  if (failure?.code === 'RESOURCE_EXHAUSTION') return fail(text, 0, TOO_DEEP);
  if (failure !== undefined) return fail(text, failure.pos[0], failure.message);
  const fault = findFault(document);
  if (fault !== undefined) return fail(text, fault.offset, fault.message);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    return fail(text, 0, `aliases: ${error.message}`);
  }
  return {
    ok: true,
    document: { value, lineOf: (field) => 1 + countLines(text, offsetOf(document, field)) },
  };
}

function parse(text: string): Document.Parsed {
  return parseDocument(text, GO_YAML);
}

function fail(text: string, offset: number, message: string): YamlResult {
  // What is missing at the end is missing on the last line that has something.
  const line = 1 + countLines(text, Math.min(offset, text.trimEnd().length));
  return { ok: false, error: { line, message } };
}

/** Reads a document that is JSON; `undefined` when it is not, or has a key twice (YAML then says where). */
function readJson(text: string): YamlValue | undefined {
  const body = text.replace(/^---[ \t\r]*\n/, '').trim();
  if (!body.startsWith('{')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (countKeys(value) !== countKeysInText(body)) return undefined;
  return {
    value,
    lineOf: (field) =>
      1 + countLines(text, field === '' ? text.indexOf('{') : offsetOf(parse(text), field)),
  };
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const children: readonly unknown[] = Object.values(value);
  let count = Array.isArray(value) ? 0 : children.length;
  for (const child of children) count += countKeys(child);
  return count;
}

/** Strings followed by a colon. In valid JSON only keys are. */
function countKeysInText(json: string): number {
  let count = 0;
  for (const match of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g)) {
    if (match[1] !== undefined) count++;
  }
  return count;
}

interface Fault {
  readonly offset: number;
  readonly message: string;
}

/** Looks for what the parser does not: keys that are there twice, and aliases of nothing. */
function findFault(document: Document.Parsed): Fault | undefined {
  let fault: Fault | undefined;
  const anchors = new Set<string>();
  visit(document, (_key, node) => {
    if (isAlias(node) && !anchors.has(node.source)) {
      const message = `*${node.source} stands for nothing: there is no &${node.source} before it`;
      fault = { offset: node.range?.[0] ?? 0, message };
    } else if (isMap(node)) {
      fault = duplicateKey(node.items);
    }
    if (fault !== undefined) return visit.BREAK;
    if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined)
      anchors.add(node.anchor);
    return undefined;
  });
  return fault;
}

function duplicateKey(items: readonly { readonly key: unknown }[]): Fault | undefined {
  const seen = new Set<unknown>();
  for (const { key } of items) {
    if (!isScalar(key)) continue;
    if (seen.has(key.value))
      return {
        offset: key.range?.[0] ?? 0,
        message: `the key ${String(key.value)} is there twice`,
      };
    seen.add(key.value);
  }
  return undefined;
}

/** Follows a field path as far as the document has it. */
function offsetOf(document: Document.Parsed, field: string): number {
  let node: unknown = document.contents;
  let rest = field;
  let offset = document.contents?.range[0] ?? 0;
  for (;;) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = longestKey(node.items, rest);
      if (pair === undefined) return offset;
      offset = pair.offset;
      node = pair.value;
      rest = rest.slice(pair.length).replace(/^\./, '');
    } else if (isSeq(node)) {
      const index = /^\[(\d+)\]\.?/.exec(rest);
      if (index === null) return offset;
      node = node.items[Number(index[1])];
      if (!isMap(node) && !isSeq(node) && !isScalar(node) && !isAlias(node)) return offset;
      offset = node.range?.[0] ?? offset;
      rest = rest.slice(index[0].length);
    } else {
      return offset;
    }
  }
}

/** The pair whose key begins the path. Keys may hold dots (labels), so the longest one counts. */
function longestKey(
  items: readonly { readonly key: unknown; readonly value: unknown }[],
  path: string,
): { readonly offset: number; readonly length: number; readonly value: unknown } | undefined {
  let best: { offset: number; length: number; value: unknown } | undefined;
  for (const { key, value } of items) {
    if (!isScalar(key)) continue;
    const name = String(key.value);
    const after = path[name.length];
    if (!path.startsWith(name) || !(after === undefined || after === '.' || after === '['))
      continue;
    if (best === undefined || name.length > best.length)
      best = { offset: key.range?.[0] ?? 0, length: name.length, value };
  }
  return best;
}
