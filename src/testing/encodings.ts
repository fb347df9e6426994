/** Bytes of objects, lists and watch events in both content types. An object's own bytes are made once a version. */
import type { JsonObject } from './json.ts';
import { encodeMessage } from './protobuf/encode.ts';
import { fieldHeader, unknown, watchFrame } from './protobuf/envelope.ts';
import { LIST_META, STATUS } from './protobuf/meta.ts';
import type { Resource } from './resources.ts';
import type { Version } from './version.ts';

export type Media = 'json' | 'protobuf';

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

/** Annotation of the bookmark that ends the initial events of a watch-list (KEP-3157). */
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

const STATUS_TYPE = { apiVersion: 'v1', kind: 'Status' };
const COMMA = Buffer.from(',');
/** Numbers of the two fields that the lists of all kinds have. */
const LIST_META_FIELD = 1;
const ITEMS_FIELD = 2;

function jsonOf(version: Version): Buffer {
  return (version.json ??= Buffer.from(JSON.stringify(version.object)));
}

function protobufOf({ message }: Resource, version: Version): Buffer {
  return (version.protobuf ??= encodeMessage(message, version.object));
}

/** Makes a version's own bytes now and not when they are first asked for. */
export function encodeAhead(media: Media, resource: Resource, version: Version): void {
  if (media === 'json') jsonOf(version);
  else protobufOf(resource, version);
}

/** `{"kind":…,"apiVersion":…,` in front of an object's other fields. */
function typed({ kind, apiVersion }: Resource, json: Buffer): readonly Buffer[] {
  const front = `{"kind":"${kind}","apiVersion":"${apiVersion}",`;
  return [Buffer.from(front), json.subarray(1)];
}

/** Body of an answer that is one object. */
export function objectBody(media: Media, resource: Resource, version: Version): Buffer {
  if (media === 'protobuf') return unknown(resource, [protobufOf(resource, version)]);
  return Buffer.concat([...typed(resource, jsonOf(version)), Buffer.from('\n')]);
}

/** Body of an answer that is a list. */
export function listBody(
  media: Media,
  resource: Resource,
  metadata: JsonObject,
  versions: readonly Version[],
): Buffer {
  const type = { apiVersion: resource.apiVersion, kind: `${resource.kind}List` };
  const pieces: Buffer[] = [];
  if (media === 'protobuf') {
    const meta = encodeMessage(LIST_META, metadata);
    pieces.push(fieldHeader(LIST_META_FIELD, meta.length), meta);
    for (const version of versions) {
      const bytes = protobufOf(resource, version);
      pieces.push(fieldHeader(ITEMS_FIELD, bytes.length), bytes);
    }
    return unknown(type, pieces);
  }
  const front = JSON.stringify({ kind: type.kind, apiVersion: type.apiVersion, metadata });
  pieces.push(Buffer.from(`${front.slice(0, -1)},"items":[`));
  for (const [index, version] of versions.entries()) {
    if (index > 0) pieces.push(COMMA);
    pieces.push(jsonOf(version));
  }
  pieces.push(Buffer.from(']}\n'));
  return Buffer.concat(pieces);
}

/** Body of an answer that is a Status. */
export function statusBody(media: Media, status: JsonObject): Buffer {
  if (media === 'protobuf') return unknown(STATUS_TYPE, [encodeMessage(STATUS, status)]);
  return Buffer.from(`${JSON.stringify(status)}\n`);
}

/** One event of a watch, with the line feed or the length that separates it from the next. */
export function eventFrame(
  media: Media,
  resource: Resource,
  type: EventType,
  version: Version,
): Buffer {
  if (media === 'protobuf') return watchFrame(type, resource, protobufOf(resource, version));
  return Buffer.concat([
    Buffer.from(`{"type":"${type}","object":`),
    ...typed(resource, jsonOf(version)),
    Buffer.from('}\n'),
  ]);
}

/** A bookmark: an empty object of the kind, with a resource version. */
export function bookmarkFrame(
  media: Media,
  resource: Resource,
  revision: number,
  initialEventsEnd: boolean,
): Buffer {
  const resourceVersion = String(revision);
  const annotations = { [INITIAL_EVENTS_END]: 'true' };
  const metadata = initialEventsEnd ? { resourceVersion, annotations } : { resourceVersion };
  const object: JsonObject = { metadata, ...resource.zero };
  if (media === 'protobuf') {
    return watchFrame('BOOKMARK', resource, encodeMessage(resource.message, object));
  }
  const { kind, apiVersion } = resource;
  const event = { type: 'BOOKMARK', object: { kind, apiVersion, ...object } };
  return Buffer.from(`${JSON.stringify(event)}\n`);
}

/** An error inside a watch that was answered with 200 already. */
export function errorFrame(media: Media, status: JsonObject): Buffer {
  if (media === 'protobuf') return watchFrame('ERROR', STATUS_TYPE, encodeMessage(STATUS, status));
  return Buffer.from(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
}
