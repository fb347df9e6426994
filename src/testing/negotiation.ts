/** Which content type an answer has (endpoints/handlers/negotiation). */
import type { Media } from './encodings.ts';

export const CONTENT_TYPES: Readonly<Record<Media, string>> = {
  json: 'application/json',
  protobuf: 'application/vnd.kubernetes.protobuf',
};

/** Types a body may have, in the order in which errors name them. */
export const MEDIA_TYPES: readonly string[] = [CONTENT_TYPES.json, CONTENT_TYPES.protobuf];

interface Clause {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

function parseClause(text: string): Clause {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim());
  const pairs = rest.map((part): readonly [string, string] => {
    const equals = part.indexOf('=');
    return equals < 0 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)];
  });
  const parameters = new Map(pairs);
  return { type: type.toLowerCase(), parameters, quality: Number(parameters.get('q') ?? 1) };
}

/**
 * The best type the client accepts and the server has; `undefined` when there is none. Clauses that want the object as something
 * else (`as=Table`) are passed over: the stand-in has no tables, and clients that ask for them take the object too.
 */
export function negotiate(accept: string): Media | undefined {
  if (accept === '') return 'json';
  const clauses = accept.split(',').map(parseClause);
  for (const { type, parameters } of clauses.toSorted((a, b) => b.quality - a.quality)) {
    if (parameters.has('as') || (parameters.get('stream') ?? 'watch') !== 'watch') continue;
    if (type === '*/*' || type === 'application/*' || type === CONTENT_TYPES.json) return 'json';
    if (type === CONTENT_TYPES.protobuf) return 'protobuf';
  }
  return undefined;
}

/** True for clients with a person in front of them, who get indented JSON. */
export function wantsPretty(query: URLSearchParams, userAgent: string): boolean {
  const asked = query.get('pretty') ?? '';
  if (asked !== '') return /^(?:1|t|true)$/i.test(asked);
  return /^(?:curl|Wget|Mozilla\/5\.0)/.test(userAgent);
}
