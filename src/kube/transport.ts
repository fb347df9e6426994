/** Requests to one API server over HTTP/1.1: connections that stay open, time limits, errors with a reason. */
import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import https from 'node:https';
import type { ApiAccess, Identity } from './access.ts';
import { readBeginning, readBody } from './body.ts';
import type { Clock } from '../core/clock.ts';
import {
  type Attempt,
  connectionError,
  notKubernetes,
  refusalError,
  timeoutError,
} from './failures.ts';
import { type WireFormat, formatOf } from './wire/wire.ts';

/** One request. */
export interface ApiRequest {
  /** What for, in the words of a message: `list Services`. */
  readonly purpose: string;
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** Path and query, from the root of the API. */
  readonly path: string;
  readonly accept: string;
  readonly body?: { readonly type: string; readonly text: string };
  /** Ends the request and the reading of its answer. */
  readonly signal: AbortSignal;
}

/** An answer that grants what was asked for, with a body that is still to come. */
export interface ApiAnswer {
  /** HTTP status: 200 to 299. */
  readonly status: number;
  readonly format: WireFormat;
  /**
   * Reads the body to its end. Rejects with what `onChunk` throws, with KubeError DROPPED or SILENT, and
   * with the reason of the request's signal; the connection is then closed. To be called once.
   */
  read(onChunk: (chunk: Buffer) => void): Promise<void>;
}

/** Sends requests to an API server. */
export interface ApiClient {
  /** URL of the server, for messages. */
  readonly server: string;
  /** Resolves when the server grants the request. Rejects with a KubeError, or with the signal's reason. */
  request(request: ApiRequest): Promise<ApiAnswer>;
}

/** Time limits, in milliseconds. */
export interface TransportTimes {
  /** Until there is a connection. */
  readonly connectMs: number;
  /** From there until the answer begins. API servers give up after 60 s. */
  readonly answerMs: number;
  /** Between two pieces of an answer. Watches send a bookmark each minute. */
  readonly idleMs: number;
}

const TRANSPORT_TIMES: TransportTimes = {
  connectMs: 10_000,
  answerMs: 65_000,
  idleMs: 150_000,
};

/** TCP asks after a silent peer this long, in milliseconds; Node.js gives up 10 s later. */
const KEEP_ALIVE_MS = 30_000;

/** The connections to one API server. */
export class Transport implements ApiClient, Disposable {
  readonly server: string;
  readonly #access: ApiAccess;
  readonly #clock: Clock;
  readonly #times: TransportTimes;
  readonly #send: (url: URL, options: RequestOptions) => ClientRequest;
  readonly #agent: Agent;

  constructor(access: ApiAccess, clock: Clock, times = TRANSPORT_TIMES) {
    this.#access = access;
    this.#clock = clock;
    this.#times = times;
    this.server = `${access.server.protocol}//${access.server.host}`;
    const options = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, proxyEnv: access.proxyEnv };
    if (access.server.protocol === 'https:') {
      this.#agent = new https.Agent(options);
      this.#send = https.request;
    } else {
      // Importing it would load much more, for 12 MB of memory.
      const http = process.getBuiltinModule('node:http');
      this.#agent = new http.Agent(options);
      this.#send = http.request;
    }
  }

  async request(request: ApiRequest): Promise<ApiAnswer> {
    const attempt = { purpose: request.purpose, server: this.server };
    const response = await this.#respond(request, attempt, request.method === 'GET');
    const { statusCode: status = 0 } = response;
    const contentType = response.headers['content-type'];
    const limits = { idleMs: this.#times.idleMs, clock: this.#clock, signal: request.signal };
    const read = async (onChunk: (chunk: Buffer) => void): Promise<void> =>
      readBody(response, attempt, limits, onChunk);
    if (status < 200 || status > 299) {
      const body = await readBeginning(response, read);
      if (status === 401) this.#access.credentials.expire();
      const retryAfter = response.headers['retry-after'];
      throw refusalError(attempt, { status, contentType, retryAfter, body });
    }
    const format = formatOf(contentType);
    if (format === undefined) {
      response.destroy();
      throw notKubernetes(attempt, describeType(contentType));
    }
    return { status, format, read };
  }

  /** Closes all connections. Requests that are under way fail. */
  close(): void {
    this.#agent.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #respond(
    request: ApiRequest,
    attempt: Attempt,
    mayRetry: boolean,
  ): Promise<IncomingMessage> {
    // A plugin may take its time; nobody waits for it who wants to end.
    const identity = await unlessAborted(this.#access.credentials.identity(), request.signal);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    let sent: ClientRequest | undefined;
    try {
      sent = this.#send(this.#url(request.path), this.#options(request, identity));
      const cancelTimer = this.#limit(sent, attempt);
      sent.on('response', resolve);
      sent.on('error', reject);
      sent.end(request.body?.text);
      return await promise.finally(cancelTimer);
    } catch (error) {
      request.signal.throwIfAborted();
      const failure = connectionError(attempt, error);
      // Certificates are replaced before they end: there may be others by now.
      if (failure.code === 'SY_KUBE_TLS') {
        this.#access.ca?.expire();
        if (identity.cert !== undefined) this.#access.credentials.expire();
      }
      // The server closed a connection that nobody used, just when we did.
      if (sent?.reusedSocket === true && mayRetry && failure.code === 'SY_KUBE_DROPPED') {
        return this.#respond(request, attempt, false);
      }
      throw failure;
    }
  }

  #url(path: string): URL {
    const { server } = this.#access;
    return new URL(server.pathname.replace(/\/$/, '') + path, server);
  }

  #options(
    { method, accept, body, signal }: ApiRequest,
    { authorization, cert, key }: Identity,
  ): https.RequestOptions {
    const { ca, serverName, insecure } = this.#access;
    return {
      agent: this.#agent,
      method,
      signal,
      headers: {
        accept,
        'user-agent': 'switchyard',
        ...(authorization !== undefined && { authorization }),
        ...(body && { 'content-type': body.type, 'content-length': Buffer.byteLength(body.text) }),
      },
      rejectUnauthorized: !insecure,
      ...(ca && { ca: ca.read() }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(serverName !== undefined && { servername: serverName }),
    };
  }

  /** Ends a request that takes too long to connect or to be answered. Returns what stops the watch on it. */
  #limit(sent: ClientRequest, attempt: Attempt): () => void {
    const { connectMs, answerMs } = this.#times;
    const limit = (what: string, ms: number): (() => void) =>
      this.#clock.after(ms, () => {
        sent.destroy(timeoutError(attempt, what, ms));
      });
    let cancel = limit('no connection came about', connectMs);
    let isOver = false;
    const connected = (): void => {
      cancel();
      if (!isOver) cancel = limit('no answer came', answerMs);
    };
    sent.on('socket', (socket) => {
      if (sent.reusedSocket || !socket.connecting) connected();
      else
        socket.once(
          this.#access.server.protocol === 'https:' ? 'secureConnect' : 'connect',
          connected,
        );
    });
    return () => {
      isOver = true;
      cancel();
    };
  }
}

function describeType(contentType: string | undefined): string {
  if (contentType === undefined) return 'of no type';
  return contentType.startsWith('text/html') ? 'a web page' : `of the type ${contentType}`;
}

/** What the promise gives; rejects with the signal's reason as soon as that aborts. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => {
    reject(signal.reason);
  };
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
