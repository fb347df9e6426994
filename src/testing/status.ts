/**
 * The Status objects (meta/v1) a request is refused with: texts, reasons and codes as
 * `k8s.io/apimachinery/pkg/api/errors` and the packages of `k8s.io/apiserver` write them in 1.36.
 */
import { StatusError } from './errors.ts';
import { type Json, type JsonObject, withoutEmpty } from './json.ts';

/** A resource as the texts of errors name it. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}

interface Refusal {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details?: JsonObject;
  /** `metadata.continue`. */
  readonly continue?: string;
}

/** Builds the error that carries a Status with `status: Failure`. */
function failure(refusal: Refusal): StatusError {
  const { code, reason, message, details } = refusal;
  const status: Record<string, Json> = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: refusal.continue === undefined ? {} : { continue: refusal.continue },
    status: 'Failure',
    message,
  };
  if (reason !== '') status['reason'] = reason;
  if (details !== undefined) status['details'] = details;
  status['code'] = code;
  return new StatusError(code, status, message);
}

/** `services`, or `endpointslices.discovery.k8s.io`. */
function qualified({ group, plural }: ResourceName): string {
  return group === '' ? plural : `${plural}.${group}`;
}

function about({ group, plural }: ResourceName, name: string): JsonObject {
  return withoutEmpty({ name, group, kind: plural });
}

export function badRequest(message: string): StatusError {
  return failure({ code: 400, reason: 'BadRequest', message });
}

export function unauthorized(): StatusError {
  return failure({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });
}

/** An anonymous user may read versions and health, and nothing else. */
export function forbidden(
  verb: string,
  resource: ResourceName,
  namespace: string,
  name: string,
): StatusError {
  const place = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const user = `User "system:anonymous" cannot ${verb} resource "${resource.plural}"`;
  const what = name === '' ? qualified(resource) : `${qualified(resource)} "${name}"`;
  return failure({
    code: 403,
    reason: 'Forbidden',
    message: `${what} is forbidden: ${user} in API group "${resource.group}" ${place}`,
    details: about(resource, name),
  });
}

export function forbiddenPath(path: string): StatusError {
  const message = `forbidden: User "system:anonymous" cannot get path "${path}"`;
  return failure({ code: 403, reason: 'Forbidden', message, details: {} });
}

/** No such path, group, version or resource. */
export function noSuchPath(): StatusError {
  const message = 'the server could not find the requested resource';
  return failure({ code: 404, reason: 'NotFound', message, details: {} });
}

export function notFound(resource: ResourceName, name: string): StatusError {
  const message = `${qualified(resource)} "${name}" not found`;
  return failure({ code: 404, reason: 'NotFound', message, details: about(resource, name) });
}

export function methodNotAllowed(): StatusError {
  const message = 'the server does not allow this method on the requested resource';
  return failure({ code: 405, reason: 'MethodNotAllowed', message, details: {} });
}

export function notAcceptable(supported: readonly string[]): StatusError {
  const message = `only the following media types are accepted: ${supported.join(', ')}`;
  return failure({ code: 406, reason: 'NotAcceptable', message });
}

export function unsupportedMediaType(supported: readonly string[]): StatusError {
  const types = supported.join(', ');
  const message = `the body of the request was in an unknown format - accepted media types include: ${types}`;
  return failure({ code: 415, reason: 'UnsupportedMediaType', message });
}

export function bodyTooLarge(limit: number): StatusError {
  const message = `Request entity too large: limit is ${limit}`;
  return failure({ code: 413, reason: 'RequestEntityTooLarge', message });
}

export function alreadyExists(resource: ResourceName, name: string): StatusError {
  const message = `${qualified(resource)} "${name}" already exists`;
  return failure({ code: 409, reason: 'AlreadyExists', message, details: about(resource, name) });
}

/** The object changed since the client read it. */
export function conflict(resource: ResourceName, name: string): StatusError {
  const why =
    'the object has been modified; please apply your changes to the latest version and try again';
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`;
  return failure({ code: 409, reason: 'Conflict', message, details: about(resource, name) });
}

/** One entry of `details.causes`. */
interface Cause {
  readonly type: 'FieldValueForbidden' | 'FieldValueNotSupported' | 'FieldValueRequired';
  readonly field: string;
  readonly message: string;
}

export function invalid(
  { group, kind }: { readonly group: string; readonly kind: string },
  name: string,
  causes: readonly [Cause, ...Cause[]],
): StatusError {
  const texts = causes.map(({ field, message }) => `${field}: ${message}`);
  const text = texts.length === 1 ? texts.join('') : `[${texts.join(', ')}]`;
  const qualifiedKind = group === '' ? kind : `${kind}.${group}`;
  return failure({
    code: 422,
    reason: 'Invalid',
    message: `${qualifiedKind} "${name}" is invalid: ${text}`,
    details: {
      ...withoutEmpty({ name, group, kind }),
      causes: causes.map(({ type, field, message }) => ({ reason: type, message, field })),
    },
  });
}

/** 410: versions that old are gone. */
export function expired(message: string, continueToken?: string): StatusError {
  const refusal = { code: 410, reason: 'Expired', message };
  return failure(continueToken === undefined ? refusal : { ...refusal, continue: continueToken });
}

export function tooOldWatch(revision: number, oldest: number): StatusError {
  return expired(`too old resource version: ${revision} (${oldest})`);
}

/** 504: the server does not know that version yet. */
export function tooLargeResourceVersion(revision: number, current: number): StatusError {
  return failure({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: Too large resource version: ${revision}, current: ${current}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}

export function internalError(cause: string): StatusError {
  return failure({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: ${cause}`,
    details: { causes: [{ message: cause }] },
  });
}

/** What the server answers for a resource version that is no number: an error without a reason. */
export function badResourceVersion(text: string): StatusError {
  const message = `resourceVersion: Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`;
  return failure({ code: 500, reason: '', message });
}

/** Answer to a DELETE, for kinds whose deleted object is not returned. */
export function deleted(resource: ResourceName, name: string, uid: string): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { ...about(resource, name), uid },
  };
}
