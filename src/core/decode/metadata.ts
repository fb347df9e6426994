/** The parts of `metadata` a Service proxy reads. */
import { child, describe, has, isFields, report, text } from './fields.ts';
import type { Cursor } from './fields.ts';
import type { Problem } from './problem.ts';

/** What is read of `metadata`. */
export interface Metadata {
  readonly name: string;
  /** `default` when the object names none. */
  readonly namespace: string;
  readonly labels: Cursor;
  readonly annotations: Cursor;
  /** `creationTimestamp` as `YYYY-MM-DDThh:mm:ssZ` or `''`. */
  readonly createdAt: string;
}

/** RFC 1123 subdomain, the form of every object name the proxy meets. */
const NAME = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const NAME_LENGTH = 253;
/** RFC 1123 label: namespaces and port names. */
const LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const LABEL_LENGTH = 63;
/** RFC 3339 in UTC, as Kubernetes writes it; fractions of a second may follow. */
const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z$/;

/** Starts reading an object; `undefined` (and a problem) when the value is no object at all. */
export function root(value: unknown, problems: Problem[]): Cursor | undefined {
  if (isFields(value)) return { fields: value, parent: undefined, key: '', index: -1, problems };
  problems.push({ field: '', message: `must be an object, not ${describe(value)}` });
  return undefined;
}

/** Reads `metadata`; `undefined` (and a problem) without a name that can identify the object. */
export function metadata(object: Cursor): Metadata | undefined {
  const cursor = child(object, 'metadata', 'the object is not used');
  const name = text(cursor, 'name', 'the object is not used');
  if (name === undefined) {
    if (!has(cursor, 'name')) report(cursor, 'name', 'is missing; the object is not used');
    return undefined;
  }
  // Names become part of keys (`namespace/name`) and of comments in the kernel: no other characters.
  if (name.length > NAME_LENGTH || !NAME.test(name)) {
    report(cursor, 'name', `${describe(name)} is no valid name; the object is not used`);
    return undefined;
  }
  const namespace = text(cursor, 'namespace', 'it counts as "default"') ?? '';
  if (namespace !== '' && !isLabel(namespace)) {
    report(cursor, 'namespace', `${describe(namespace)} is no valid name; the object is not used`);
    return undefined;
  }
  return {
    name,
    namespace: namespace === '' ? 'default' : namespace,
    labels: child(cursor, 'labels', 'the object counts as having none'),
    annotations: child(cursor, 'annotations', 'the object counts as having none'),
    createdAt: time(cursor, 'creationTimestamp'),
  };
}

/** True for an RFC 1123 label: lower-case letters, digits and inner dashes, at most 63. */
export function isLabel(value: string): boolean {
  return value.length <= LABEL_LENGTH && LABEL.test(value);
}

/** A UTC time, cut to whole seconds so that times compare as text. */
function time(cursor: Cursor, key: string): string {
  if (!has(cursor, key)) return '';
  const value = cursor.fields[key];
  const match = typeof value === 'string' ? TIME.exec(value) : null;
  if (match !== null) return `${match[1]}Z`;
  const form = 'a quoted UTC time like "2026-11-21T19:35:19Z"';
  report(cursor, key, `must be ${form}, not ${describe(value)}; it is ignored`);
  return '';
}
