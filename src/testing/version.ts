/** One version of one object, and how it comes to be. */
import { TestingError } from './errors.ts';
import { type Json, type JsonObject, objectIn, textIn } from './json.ts';
import type { Resource } from './resources.ts';

/** Where an object is. */
export interface ObjectName {
  /** `/namespace/name`, or `/name`; lists are in the order of their keys. */
  readonly key: string;
  readonly name: string;
  /** `''` for objects that belong to the cluster. */
  readonly namespace: string;
}

export interface Version extends ObjectName {
  /** `metadata.resourceVersion` as a number. */
  readonly revision: number;
  /** The object without kind and apiVersion, which lists leave out. */
  readonly object: JsonObject;
  /** Its encodings, once something asked for them. */
  json: Buffer | undefined;
  protobuf: Buffer | undefined;
}

/** The order in which the API server writes the fields of ObjectMeta. */
const METADATA_ORDER = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
] as const;

/** The key of an object; without a namespace that of a cluster's object. */
export function keyOf(namespace: string, name: string): string {
  return namespace === '' ? `/${name}` : `/${namespace}/${name}`;
}

/** Reads where an object belongs. A missing namespace is `default`. Throws a {@link TestingError} if it has no name. */
export function nameOf(resource: Resource, object: JsonObject): ObjectName {
  const metadata = objectIn(object, 'metadata');
  const name = textIn(metadata, 'name');
  if (name === '') {
    const message = `A ${resource.kind} without metadata.name cannot be stored: give it one.`;
    throw new TestingError('SY_TESTING_BAD_OBJECT', message);
  }
  const namespace = resource.namespaced ? textIn(metadata, 'namespace') || 'default' : '';
  return { key: keyOf(namespace, name), name, namespace };
}

/** Builds a version of `object` with this metadata. */
export function version(
  where: ObjectName,
  revision: number,
  metadata: JsonObject,
  object: JsonObject,
): Version {
  const complete: JsonObject = {
    ...metadata,
    name: where.name,
    namespace: where.namespace === '' ? undefined : where.namespace,
    resourceVersion: String(revision),
  };
  const ordered: Record<string, Json> = {};
  for (const field of METADATA_ORDER) {
    const value = complete[field];
    if (value !== undefined) ordered[field] = value;
  }
  const { kind: _kind, apiVersion: _apiVersion, metadata: _metadata, ...rest } = object;
  const { key, name, namespace } = where;
  const stored = { metadata: ordered, ...rest };
  return { key, name, namespace, revision, object: stored, json: undefined, protobuf: undefined };
}

/** The same content under another revision: what watches are told of an object that is gone. */
export function revised(old: Version, revision: number): Version {
  return version(old, revision, objectIn(old.object, 'metadata'), old.object);
}
