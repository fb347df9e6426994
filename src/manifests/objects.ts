/** From the text of one document to the objects in it, with everything that is wrong and where. */
import { decodeEndpointSlice } from '../core/decode/endpoint-slice.ts';
import { type Fields, describe, isFields } from '../core/decode/fields.ts';
import { decodeNode } from '../core/decode/node.ts';
import type { Problem } from '../core/decode/problem.ts';
import { decodeService } from '../core/decode/service.ts';
import type { ProxyItem } from '../core/change.ts';
import type { ObjectId } from './catalog.ts';
import { type YamlValue, readDocument } from './yaml.ts';

/** Something wrong in a document. */
interface DocumentProblem {
  /** From 1, inside the document's text. */
  readonly line: number;
  /** Path such as `spec.ports[0].nodePort`; `''` when the text itself cannot be read. */
  readonly field: string;
  readonly message: string;
  readonly object: ObjectId | undefined;
}

/** What one document says. Lines count from 1 inside the document's text. */
export interface DocumentContent {
  /** Line of the first field. */
  readonly line: number;
  readonly objects: readonly LocatedObject[];
  /** Objects the document names but describes in a way that cannot be used. */
  readonly broken: readonly ObjectId[];
  /** Something in the document cannot be read, so nobody can tell which object it is. */
  readonly unreadable: boolean;
  readonly problems: readonly DocumentProblem[];
  /** Kinds the proxy does not read, as `apiVersion kind`. */
  readonly ignored: readonly string[];
}

interface LocatedObject {
  readonly id: ObjectId;
  readonly item: ProxyItem;
  /** Where it stands in the document: `''`, or `items[3]` of a list. */
  readonly path: string;
  /** Nothing in it had to be left out. */
  readonly clean: boolean;
}

interface Collector {
  readonly document: YamlValue;
  readonly objects: LocatedObject[];
  readonly broken: ObjectId[];
  readonly problems: DocumentProblem[];
  readonly ignored: string[];
  unreadable: boolean;
}

interface Decoded {
  /** `undefined` without a problem: an object no proxy serves, such as a headless Service's slice. */
  readonly item: ProxyItem | undefined;
  readonly problems: readonly Problem[];
}

/** By `apiVersion kind`. */
const DECODERS: ReadonlyMap<string, (value: unknown) => Decoded> = new Map([
  ['v1 Service', service],
  ['v1 Node', node],
  ['discovery.k8s.io/v1 EndpointSlice', endpointSlice],
]);

/** What the items of a list are when they do not say so themselves. */
const LISTS: ReadonlyMap<string, Fields> = new Map([
  ['v1 List', {}],
  ['v1 ServiceList', { apiVersion: 'v1', kind: 'Service' }],
  ['v1 NodeList', { apiVersion: 'v1', kind: 'Node' }],
  [
    'discovery.k8s.io/v1 EndpointSliceList',
    { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' },
  ],
]);

/** Reads the text of one document. What is wrong with it is part of the result. */
export function interpretDocument(text: string): DocumentContent {
  const result = readDocument(text);
  if (!result.ok) {
    const { line, message } = result.error;
    const problem = { line, field: '', message, object: undefined };
    return { line, objects: [], broken: [], unreadable: true, problems: [problem], ignored: [] };
  }
  const found: Collector = {
    document: result.document,
    objects: [],
    broken: [],
    problems: [],
    ignored: [],
    unreadable: false,
  };
  const { value } = result.document;
  const list = isFields(value) ? LISTS.get(typeOf(value)) : undefined;
  if (list !== undefined && isFields(value)) interpretItems(found, value['items'], list);
  else if (value !== null) interpret(found, value, '');
  // Without the document: results are kept, and its tree is twenty times larger than they are.
  const { document, ...content } = found;
  return { line: document.lineOf(''), ...content };
}

function interpretItems(found: Collector, items: unknown, defaults: Fields): void {
  if (items === undefined || items === null) return;
  if (!Array.isArray(items)) {
    unreadable(found, 'items', `must be a list, not ${describe(items)}`);
    return;
  }
  for (const [index, item] of items.entries()) {
    const value: unknown = isFields(item) ? { ...defaults, ...item } : item;
    interpret(found, value, `items[${index}]`);
  }
}

/** `path` is where the value stands in its document: `''` or `items[3]`. */
function interpret(found: Collector, value: unknown, path: string): void {
  if (!isFields(value)) {
    unreadable(found, path, `must be an object, not ${describe(value)}`);
    return;
  }
  for (const field of ['apiVersion', 'kind']) {
    const content = value[field];
    if (typeof content === 'string' && content !== '') continue;
    const message =
      content === undefined ? 'is missing' : `must be a string, not ${describe(content)}`;
    unreadable(found, join(path, field), message);
    return;
  }
  const decode = DECODERS.get(typeOf(value));
  if (decode === undefined) {
    found.ignored.push(typeOf(value));
    return;
  }
  const id = identify(value);
  const { item, problems } = decode(value);
  for (const { field, message } of problems) {
    report(found, join(path, field), message, id);
  }
  const clean = problems.length === 0;
  if (id === undefined) found.unreadable ||= !clean;
  else if (item !== undefined) found.objects.push({ id, item, path, clean });
  else if (!clean) found.broken.push(id);
}

function service(value: unknown): Decoded {
  const { object, problems } = decodeService(value);
  return { item: object && { kind: 'Service', object }, problems };
}

function endpointSlice(value: unknown): Decoded {
  const { object, problems } = decodeEndpointSlice(value);
  return { item: object && { kind: 'EndpointSlice', object }, problems };
}

function node(value: unknown): Decoded {
  const { object, problems } = decodeNode(value);
  return { item: object && { kind: 'Node', object }, problems };
}

/** Kind, namespace and name, as far as the object has them in the right type. */
function identify(value: Fields): ObjectId | undefined {
  const { kind, metadata } = value;
  if (typeof kind !== 'string' || !isFields(metadata)) return undefined;
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '') return undefined;
  if (kind === 'Node') return `Node ${name}`;
  // As the decoders have it: a namespace that is no string counts as none.
  const own = typeof namespace === 'string' && namespace !== '' ? namespace : 'default';
  return `${kind} ${own}/${name}`;
}

function unreadable(found: Collector, field: string, message: string): void {
  found.unreadable = true;
  report(found, field, message, undefined);
}

function report(
  found: Collector,
  field: string,
  message: string,
  object: ObjectId | undefined,
): void {
  found.problems.push({ line: found.document.lineOf(field), field, message, object });
}

function typeOf(value: Fields): string {
  return `${String(value['apiVersion'])} ${String(value['kind'])}`;
}

function join(path: string, field: string): string {
  return path === '' ? field : field === '' ? path : `${path}.${field}`;
}
