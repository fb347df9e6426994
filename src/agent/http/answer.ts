/** Answers to requests, as values. */

/** What a request is answered with. The server adds Date, Content-Length and what keeps connections. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** An answer that nobody takes for anything but its type, however it looks. */
export function answer(
  status: number,
  contentType: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return {
    status,
    headers: { 'Content-Type': contentType, 'X-Content-Type-Options': 'nosniff', ...headers },
    body,
  };
}

/** Plain text. */
export function plainText(status: number, body: string): Answer {
  return answer(status, 'text/plain; charset=utf-8', body);
}

/** A JSON text. */
export function json(
  status: number,
  body: string,
  headers?: Readonly<Record<string, string>>,
): Answer {
  return answer(status, 'application/json', body, headers);
}

/** What Go's servers say of paths they do not have (net/http). */
export const NOT_FOUND: Answer = plainText(404, '404 page not found\n');
