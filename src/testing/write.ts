/** POST, PUT, PATCH and DELETE of single objects, and the objects tests put in. */
import { randomBytes } from 'node:crypto';
import { withDefaults } from './defaults.ts';
import { type Json, type JsonObject, isObject, objectIn, parseObject, textIn } from './json.ts';
import { CONTENT_TYPES, MEDIA_TYPES } from './negotiation.ts';
import { decodeMessage } from './protobuf/decode.ts';
import { unwrap } from './protobuf/envelope.ts';
import type { Target } from './request.ts';
import { SERVICES, type Resource } from './resources.ts';
import { badRequest, invalid, notFound, unsupportedMediaType } from './status.ts';
import type { Store } from './store.ts';
import { type Version, keyOf } from './version.ts';

/** A request's body. */
export interface Body {
  /** The header Content-Type without parameters. */
  readonly type: string;
  readonly bytes: Buffer;
}

const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json';

/** Carries out a POST. Throws a 400, 409, 415 or 422 Status. */
export function create(store: Store, target: Target, body: Body): Version {
  const { resource } = target;
  const object = named(placed(target, decodeBody(resource, body)));
  if (textIn(objectIn(object, 'metadata'), 'name') === '') {
    const message = 'Required value: name or generateName is required';
    const cause = { type: 'FieldValueRequired', field: 'metadata.name', message } as const;
    throw invalid(resource, '', [cause]);
  }
  return store.create(resource, admitted(store, resource, object));
}

/** Fills in what a real server fills in. `previous` is the object as it was, if there was one. */
export function admitted(
  store: Store,
  resource: Resource,
  object: JsonObject,
  previous?: Version,
): JsonObject {
  return withDefaults(resource, object, previous?.object, () => freeClusterIp(store));
}

/** Carries out a PUT. Throws a 400, 404, 409 or 415 Status. */
export function update(store: Store, target: Target, body: Body): Version {
  return replace(store, target, placed(target, decodeBody(target.resource, body)));
}

/**
 * Carries out a PATCH: merge patches (RFC 7386), and strategic merge patches as long as they change no list of objects, for which
 * the two are the same. Throws a 400, 404, 409 or 415 Status.
 */
export function patch(store: Store, target: Target, body: Body): Version {
  const change = parseObject(body.bytes.toString());
  const strategic = body.type === STRATEGIC_PATCH;
  if (body.type !== MERGE_PATCH && !strategic) {
    throw unsupportedMediaType([MERGE_PATCH, STRATEGIC_PATCH]);
  }
  if (change === undefined) throw badRequest('error decoding patch: it is no JSON object');
  if (strategic && patchesObjects(change)) {
    throw unsupportedMediaType([MERGE_PATCH]);
  }
  const patched = mergePatch(current(store, target).object, change);
  // A patch need not name the version it was made for.
  const { resourceVersion } = objectIn(change, 'metadata');
  const metadata = { ...objectIn(patched, 'metadata'), resourceVersion };
  return replace(store, target, placed(target, { ...patched, metadata }));
}

/** Carries out a DELETE. Throws a 404 Status. */
export function remove(store: Store, { resource, namespace, name }: Target): Version {
  return store.remove(resource, namespace, name);
}

function decodeBody(resource: Resource, { type, bytes }: Body): JsonObject {
  let object: JsonObject | undefined;
  if (type === CONTENT_TYPES.protobuf) {
    object = decodeProtobuf(resource, bytes);
  } else if (type === CONTENT_TYPES.json || type === '') {
    object = parseObject(bytes.toString());
  } else {
    throw unsupportedMediaType(MEDIA_TYPES);
  }
  if (object === undefined)
    throw badRequest('the object provided is unrecognized: it cannot be decoded');
  const { kind, apiVersion } = resource;
  const given = `${textIn(object, 'apiVersion') || apiVersion}, ${textIn(object, 'kind') || kind}`;
  if (given !== `${apiVersion}, ${kind}`) {
    const wanted = `${apiVersion}, Kind=${kind}`;
    throw badRequest(
      `the API version and kind in the data (${given}) do not match the expected ${wanted}`,
    );
  }
  return object;
}

function decodeProtobuf({ message }: Resource, bytes: Buffer): JsonObject | undefined {
  try {
    const content = unwrap(bytes);
    if (content === undefined) return undefined;
    return { ...content.type, ...decodeMessage(message, content.message) };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Gives the object the namespace and name of the path, unless it has others. */
function placed({ namespace, name, resource }: Target, object: JsonObject): JsonObject {
  const metadata = objectIn(object, 'metadata');
  const ownNamespace = textIn(metadata, 'namespace');
  const ownName = textIn(metadata, 'name');
  if (resource.namespaced && ownNamespace !== '' && ownNamespace !== namespace) {
    const message =
      'the namespace of the provided object does not match the namespace sent on the request';
    throw badRequest(message);
  }
  if (name !== '' && ownName !== '' && ownName !== name) {
    const message = `the name of the object (${ownName}) does not match the name on the URL (${name})`;
    throw badRequest(message);
  }
  return { ...object, metadata: { ...metadata, namespace, name: ownName || name } };
}

/** Makes up a name where there is only the beginning of one. */
function named(object: JsonObject): JsonObject {
  const metadata = objectIn(object, 'metadata');
  const prefix = textIn(metadata, 'generateName');
  if (textIn(metadata, 'name') !== '' || prefix === '') return object;
  return { ...object, metadata: { ...metadata, name: prefix + randomBytes(3).toString('hex') } };
}

function replace(store: Store, target: Target, given: JsonObject): Version {
  const previous = current(store, target);
  const whole = merged(previous, target, given);
  return store.update(target.resource, admitted(store, target.resource, whole, previous));
}

function current(store: Store, { resource, namespace, name }: Target): Version {
  const version = store.collection(resource).get(keyOf(namespace, name));
  if (version === undefined) throw notFound(resource, name);
  return version;
}

/** The status is changed by its own path alone, and that path changes nothing else. */
function merged(
  { object }: Version,
  { resource, subresource }: Target,
  given: JsonObject,
): JsonObject {
  if (!resource.hasStatus) return given;
  const { resourceVersion } = objectIn(given, 'metadata');
  if (subresource === '') return { ...given, status: object['status'] };
  const metadata = { ...objectIn(object, 'metadata'), resourceVersion };
  return { ...object, metadata, status: given['status'] };
}

function mergePatch(object: JsonObject, change: JsonObject): JsonObject {
  const result: Record<string, Json | undefined> = { ...object };
  for (const [field, value] of Object.entries(change)) {
    if (value === null) delete result[field];
    else result[field] = isObject(value) ? mergePatch(objectIn(object, field), value) : value;
  }
  return result;
}

function patchesObjects(value: Json | undefined): boolean {
  if (Array.isArray(value)) return value.some((entry) => isObject(entry));
  return isObject(value) && Object.values(value).some((entry) => patchesObjects(entry));
}

/** The first address of 10.96.0.0/16 that no Service has. */
function freeClusterIp(store: Store): string {
  const used = new Set(
    store
      .collection(SERVICES)
      .list()
      .map(({ object }) => textIn(objectIn(object, 'spec'), 'clusterIP')),
  );
  let index = 1;
  const address = (): string => `10.96.${index >>> 8}.${index & 255}`;
  while (used.has(address())) index++;
  return address();
}
