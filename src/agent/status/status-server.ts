/** The agent's status socket: HTTP/1.1 for the tools of the same machine, for root only. */
import { once } from 'node:events';
import { type Stats, rmSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../core/clock.ts';
import { type Answer, json } from '../http/answer.ts';
import { pathOf } from '../http/request.ts';
import type { ListenerEvents } from '../http/server.ts';
import { type Found, prepareSocket, publishSocket, withdrawSocket } from './socket-file.ts';

/** An answer that is made while it is read. */
export interface StreamedAnswer {
  readonly status: number;
  readonly contentType: string;
  /**
   * Pieces of the body. Asked for when the reader has room for more, and returned when the reader is gone. A reader who is told
   * nothing for 30 s gives up: whoever waits for something says so now and then.
   */
  readonly pieces: AsyncIterable<string>;
}

/** Answers a request. What it throws becomes a 500 and is reported. */
export type StatusHandle = (
  request: IncomingMessage,
) => Answer | StreamedAnswer | Promise<Answer | StreamedAnswer>;

/** What can be asked, by path and method. */
export type StatusPages = ReadonlyMap<string, { readonly [M in 'GET' | 'POST']?: StatusHandle }>;

/** What to serve, and where. */
export interface StatusServerOptions {
  /** Path of the socket. */
  readonly path: string;
  readonly pages: StatusPages;
  readonly clock: Clock;
  readonly events: Pick<ListenerEvents, 'listening' | 'fault'> & {
    /** The socket cannot be had; it is tried again every 5 s. Told once as long as the reason is the same. */
    failed(error: unknown): void;
  };
}

/** Time between two attempts to have the socket, in milliseconds. */
const RETRY_MS = 5000;
/** Tools are few. */
const MAX_CONNECTIONS = 32;
/** Tools do not read slowly, nor do they think. In milliseconds. */
const LIMITS = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000 };
/** Without any progress of an answer, in milliseconds. */
const STALLED_MS = 30_000;

/** A socket that is there. */
interface Bound {
  readonly server: Server;
  readonly file: Stats;
}

/** Listens, and keeps trying when the socket cannot be had. Never lets the agent fail. */
export class StatusServer implements AsyncDisposable {
  readonly #options: StatusServerOptions;
  #attempt: Promise<void> = Promise.resolve();
  #bound: Bound | undefined;
  #cancelRetry: (() => void) | undefined;
  /** The reason that was told. */
  #told: string | undefined;
  #isClosed = false;

  constructor(options: StatusServerOptions) {
    this.#options = options;
  }

  /** Tries to listen, and resolves when that is decided. */
  async open(): Promise<void> {
    this.#attempt = this.#try();
    await this.#attempt;
  }

  /** Removes the socket and breaks all connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry?.();
    await this.#attempt;
    if (this.#bound === undefined) return;
    const { server, file } = this.#bound;
    try {
      withdrawSocket(this.#options.path, file);
    } catch (error) {
      this.#options.events.fault(error);
    }
    await end(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #try(): Promise<void> {
    const { path, clock, events } = this.#options;
    try {
      this.#bound = await this.#listen(await prepareSocket(path));
      this.#told = undefined;
      events.listening(path);
    } catch (error) {
      if (this.#isClosed) return;
      this.#cancelRetry = clock.after(RETRY_MS, () => {
        this.#attempt = this.#try();
      });
      if (String(error) !== this.#told) events.failed(error);
      this.#told = String(error);
    }
  }

  async #listen(stale: Found): Promise<Bound> {
    const { path } = this.#options;
    const temporary = `${path}.${process.pid}`;
    rmSync(temporary, { force: true });
    const server = this.#makeServer();
    const listening = once(server, 'listening');
    server.listen(temporary);
    await listening;
    try {
      return { server, file: publishSocket(temporary, path, stale) };
    } catch (error) {
      await end(server);
      throw error;
    }
  }

  #makeServer(): Server {
    // As in http/server.ts: importing it would load much more.
    const http = process.getBuiltinModule('node:http');
    const server = http.createServer(
      { ...LIMITS, connectionsCheckingInterval: LIMITS.headersTimeout },
      (request, response) => void this.#serve(request, response),
    );
    server.timeout = STALLED_MS;
    server.maxConnections = MAX_CONNECTIONS;
    server.on('error', (error) => {
      if (server.listening) this.#options.events.fault(error);
    });
    return server;
  }

  /** Never rejects. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.#answer(request);
      if ('pieces' in answer) {
        response.writeHead(answer.status, { 'Content-Type': answer.contentType });
        await pipeline(answer.pieces, response);
      } else {
        response.writeHead(answer.status, answer.headers);
        response.end(answer.body);
      }
    } catch (error) {
      if (!isReaderGone(error)) this.#options.events.fault(error);
      // The reader is to see a body that breaks off.
      request.socket.destroy();
    }
  }

  async #answer(request: IncomingMessage): Promise<Answer | StreamedAnswer> {
    const path = pathOf(request);
    const page = this.#options.pages.get(path);
    if (page === undefined) return refusal(404, `There is no ${path}.`);
    const { method } = request;
    const handle = method === 'GET' || method === 'POST' ? page[method] : undefined;
    if (handle === undefined) {
      const allowed = Object.keys(page).join(', ');
      return refusal(405, `${path} takes ${allowed} only.`, { Allow: allowed });
    }
    try {
      return await handle(request);
    } catch (error) {
      this.#options.events.fault(error);
      return refusal(500, 'The answer could not be made; the log of the agent says why.');
    }
  }
}

/** A reader may go whenever it likes. */
function isReaderGone(error: unknown): boolean {
  if (!(error instanceof Error && 'code' in error)) return false;
  const { code } = error;
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET' || code === 'EPIPE';
}

function refusal(
  status: number,
  error: string,
  headers?: Readonly<Record<string, string>>,
): Answer {
  return json(status, `${JSON.stringify({ error })}\n`, headers);
}

async function end(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
