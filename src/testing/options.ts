/** The parameters of LIST and WATCH (meta/v1 ListOptions), checked as the API server checks them. */
import type { StatusError } from './errors.ts';
import { type JsonObject, objectIn, textIn } from './json.ts';
import { type Target, isSet } from './request.ts';
import { parseFieldSelector, parseLabelSelector } from './selectors.ts';
import { badRequest, badResourceVersion, invalid } from './status.ts';

export interface ListOptions {
  /** True for objects in the namespace, of the name and with the labels and fields that are asked for. */
  readonly matches: (object: JsonObject) => boolean;
  /** Has selectors: the number of remaining objects is not told then. */
  readonly selects: boolean;
  /** Objects a page; 0 for all. */
  readonly limit: number;
  readonly continueToken: string;
  /** `''` when it is not given. */
  readonly resourceVersion: string;
  /** The same as a number; 0 when it is not given. */
  readonly revision: number;
  readonly match: 'Exact' | 'NotOlderThan' | '';
  readonly timeoutSeconds: number;
  readonly bookmarks: boolean;
  /** `undefined` when it is not given. */
  readonly sendInitialEvents: boolean | undefined;
}

/** Reads the options of a LIST or WATCH. Throws a 400, 422 or 500 Status. */
export function parseListOptions(target: Target, query: URLSearchParams): ListOptions {
  const match = query.get('resourceVersionMatch') ?? '';
  const refusal = target.verb === 'watch' ? watchRefusal(query, match) : listRefusal(query, match);
  if (refusal !== undefined) throw refusal;
  const resourceVersion = query.get('resourceVersion') ?? '';
  if (!/^\d*$/.test(resourceVersion)) throw badResourceVersion(resourceVersion);
  const selectors = [
    ...parseLabelSelector(query.get('labelSelector') ?? ''),
    ...parseFieldSelector(query.get('fieldSelector') ?? '', target.resource),
  ];
  const { namespace, name } = target;
  return {
    matches: (object) => {
      const metadata = objectIn(object, 'metadata');
      if (namespace !== '' && textIn(metadata, 'namespace') !== namespace) return false;
      if (name !== '' && textIn(metadata, 'name') !== name) return false;
      return selectors.every((selects) => selects(object));
    },
    selects: selectors.length > 0,
    limit: count(query, 'limit'),
    continueToken: query.get('continue') ?? '',
    resourceVersion,
    revision: Number(resourceVersion),
    match: match === 'Exact' || match === 'NotOlderThan' ? match : '',
    timeoutSeconds: count(query, 'timeoutSeconds'),
    bookmarks: isSet(query, 'allowWatchBookmarks'),
    sendInitialEvents: query.has('sendInitialEvents')
      ? isSet(query, 'sendInitialEvents')
      : undefined,
  };
}

/** A number that is missing or negative is 0. */
function count(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (!/^(?:-?\d+)?$/.test(text)) {
    throw badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  }
  return Math.max(0, Number(text));
}

type Cause = Parameters<typeof invalid>[2][number];

const forbid = (field: string, why: string): Cause => ({
  type: 'FieldValueForbidden',
  field,
  message: `Forbidden: ${why}`,
});

const unsupported = (match: string, supported: readonly string[]): Cause => ({
  type: 'FieldValueNotSupported',
  field: 'resourceVersionMatch',
  message: `Unsupported value: "${match}": supported values: ${supported.map((one) => `"${one}"`).join(', ')}`,
});

function refusalOf(causes: readonly Cause[]): StatusError | undefined {
  const [first, ...others] = causes;
  if (first === undefined) return undefined;
  return invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [first, ...others]);
}

function listRefusal(query: URLSearchParams, match: string): StatusError | undefined {
  const causes: Cause[] = [];
  const field = 'resourceVersionMatch';
  if (match !== '') {
    if ((query.get('resourceVersion') ?? '') === '') {
      causes.push(forbid(field, `${field} is forbidden unless resourceVersion is provided`));
    }
    if ((query.get('continue') ?? '') !== '') {
      causes.push(forbid(field, `${field} is forbidden when continue is provided`));
    }
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      causes.push(unsupported(match, ['Exact', 'NotOlderThan', '']));
    }
    if (match === 'Exact' && query.get('resourceVersion') === '0') {
      causes.push(forbid(field, `${field} "exact" is forbidden for resourceVersion "0"`));
    }
  }
  if (query.has('sendInitialEvents')) {
    causes.push(forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  return refusalOf(causes);
}

function watchRefusal(query: URLSearchParams, match: string): StatusError | undefined {
  const causes: Cause[] = [];
  const field = 'resourceVersionMatch';
  const initial = query.has('sendInitialEvents');
  if (initial && match !== 'NotOlderThan') {
    causes.push(forbid(field, `sendInitialEvents requires setting ${field} to NotOlderThan`));
  }
  if (match !== '') {
    if (!initial) {
      const why = `${field} is forbidden for watch unless sendInitialEvents is provided`;
      causes.push(forbid(field, why));
    }
    if (match !== 'NotOlderThan') causes.push(unsupported(match, ['NotOlderThan']));
    if ((query.get('continue') ?? '') !== '') {
      causes.push(forbid(field, `${field} is forbidden when continue is provided`));
    }
  }
  return refusalOf(causes);
}
