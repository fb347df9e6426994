/** Reading requests. */
import type { IncomingMessage } from 'node:http';

/** The path that is asked for, without its query. */
export function pathOf(request: IncomingMessage): string {
  const [path = '/'] = (request.url ?? '/').split('?', 1);
  return path;
}

/** Reads a body as text; `undefined` when it is longer than `limit` bytes, or the client goes away. */
export async function readText(
  request: IncomingMessage,
  limit: number,
): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const chunks: Buffer[] = [];
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
  });
  request.on('end', () => {
    resolve(length <= limit ? Buffer.concat(chunks).toString() : undefined);
  });
  request.on('error', () => {
    resolve(undefined);
  });
  return promise;
}
