/** Asking the status socket of an agent. */
import type { IncomingMessage } from 'node:http';

/** A question. */
export interface StatusQuestion {
  /** Path of the socket. */
  readonly socket: string;
  /** Such as `/v1/status`. */
  readonly path: string;
  readonly method: 'GET' | 'POST';
  /** Longest silence of the other side, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Asks, and resolves to the beginning of the answer, whose body is still to be read.
 *
 * Rejects with the error of the connection: `ENOENT` when there is no socket, `ECONNREFUSED` when nobody listens on it,
 * `EACCES` without the right to.
 */
export async function askStatus(question: StatusQuestion): Promise<IncomingMessage> {
  const { socket: socketPath, path, method, timeoutMs: timeout } = question;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  // As in http/server.ts: importing it would load much more.
  const http = process.getBuiltinModule('node:http');
  const request = http.request({ socketPath, path, method, timeout, agent: false });
  request.on('timeout', () => {
    request.destroy(new Error(`no answer for ${timeout} ms`));
  });
  request.on('response', resolve);
  request.on('error', reject);
  request.end();
  return promise;
}
