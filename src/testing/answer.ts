/** Answers to requests as bytes and headers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { type Media, statusBody } from './encodings.ts';
import type { StatusError } from './errors.ts';
import { type JsonObject, objectIn } from './json.ts';
import { CONTENT_TYPES } from './negotiation.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Larger bodies are compressed for clients that accept it. */
const COMPRESS_BYTES = 128 * 1024;
/** Larger bodies have no Content-Length: Go's server sends its first buffer before it knows. */
const BUFFER_BYTES = 4096;

const compress = promisify(gzip);

/** An answer in a negotiated content type; JSON is indented for people. */
export function negotiated(status: number, media: Media, body: Buffer, pretty: boolean): Answer {
  return {
    status,
    headers: { 'Content-Type': CONTENT_TYPES[media] },
    body: media === 'json' && pretty ? indented(body.toString()) : body,
  };
}

/** The answer to a refused request. */
export function refusal(error: StatusError, media: Media, pretty: boolean): Answer {
  const answer = negotiated(error.code, media, statusBody(media, error.status), pretty);
  const seconds = objectIn(error.status, 'details')['retryAfterSeconds'];
  if (typeof seconds !== 'number') return answer;
  return { ...answer, headers: { ...answer.headers, 'Retry-After': String(seconds) } };
}

/** A document that is always indented JSON. */
export function document(content: JsonObject): Answer {
  const headers = { 'Content-Type': CONTENT_TYPES.json };
  return { status: 200, headers, body: indented(JSON.stringify(content)) };
}

export function plainText(text: string): Answer {
  const headers = {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
  };
  return { status: 200, headers, body: Buffer.from(text) };
}

/** Writes an answer. With `breakAfter` the connection breaks after that many bytes of the body. */
export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  breakAfter?: number,
): Promise<void> {
  let { body } = answer;
  const headers: Record<string, string> = { ...answer.headers };
  const accepted = (request.headers['accept-encoding'] ?? '').split(/\s*,\s*/);
  if (body.length > COMPRESS_BYTES && accepted.includes('gzip')) {
    body = await compress(body, { level: constants.Z_BEST_SPEED });
    headers['Content-Encoding'] = 'gzip';
    headers['Vary'] = 'Accept-Encoding';
  }
  if (body.length <= BUFFER_BYTES) headers['Content-Length'] = String(body.length);
  response.writeHead(answer.status, headers);
  if (breakAfter === undefined) response.end(body);
  else response.write(body.subarray(0, breakAfter), () => response.destroy());
}

function indented(json: string): Buffer {
  const value: unknown = JSON.parse(json);
  return Buffer.from(JSON.stringify(value, null, 2));
}
