/** One listening port that answers HTTP/1.1 requests, and keeps trying when it cannot be had. */
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import {
  type Address,
  type Family,
  familyOf,
  hostPort,
  isUnspecified,
  unpackAddress,
} from '../../core/ip.ts';
import { AgentError } from '../errors.ts';
import { type Answer, plainText } from './answer.ts';
import { type BindFailure, bindFailure, meansLacking } from './bind-failure.ts';
import { Unsent } from './unsent.ts';

/** Answers a request, of whatever method. What it throws becomes a 500 and is reported. */
export type Handle = (request: IncomingMessage) => Answer | Promise<Answer>;

/** What there is to tell of a listener. */
export interface ListenerEvents {
  /** Requests are served at `address:port`. */
  listening(where: string): void;
  /** The port cannot be had; it is tried again every 5 s. Told once as long as the cause is the same. */
  failed(failure: BindFailure): void;
  /** A request could not be answered, or a connection not be taken. May be told often. */
  fault(error: unknown): void;
}

/** How much clients may ask for. Times are in milliseconds. */
export interface ListenerLimits {
  /** From the connection, or the last answer, to the end of a request's headers. */
  readonly headersMs: number;
  /** The same to the end of its body, which nobody reads. */
  readonly requestMs: number;
  /** Between two requests. */
  readonly idleMs: number;
  /** Without any progress of an answer. */
  readonly stalledMs: number;
  /** Bytes of answers that clients have not taken yet, of all connections. */
  readonly unsentBytes: number;
}

/** What to serve, and where. */
export interface ListenerOptions {
  /** What for, in the words of a message: `health checks`. */
  readonly purpose: string;
  /** Tried in this order; another one only where the machine lacks the family of the one before. */
  readonly addresses: readonly [Address, ...Address[]];
  /** 0 takes any free port. */
  readonly port: number;
  /** Leaves IPv4 to others that listen on the same port of `::`. */
  readonly ipv6Only: boolean;
  readonly clock: Clock;
  readonly events: ListenerEvents;
  readonly handle: Handle;
  readonly limits?: ListenerLimits;
}

/** Time between two attempts to have a port, in milliseconds (kube-proxy: the same). */
const RETRY_MS = 5000;

/** Longest headers of a request, in bytes. Probes and scrapers send some hundred. */
const MAX_HEADER_BYTES = 8192;
/** Open connections of one listener. Without a bound, clients could use up the process's files. */
const MAX_CONNECTIONS = 1024;

/** Generous for probes and scrapers, and short enough for those who do nothing. */
const LIMITS: ListenerLimits = {
  headersMs: 10_000,
  requestMs: 20_000,
  idleMs: 90_000,
  stalledMs: 30_000,
  unsentBytes: 32 * 1024 * 1024,
};

/** All addresses of a family: `0.0.0.0` or `::`. */
export function wildcard(family: Family): Address {
  return unpackAddress(new Uint8Array(16), 0, family);
}

/** The addresses to try for one that a user wrote: as in Go, each wildcard means both families. */
export function dualStack(address: Address): readonly [Address, ...Address[]] {
  return isUnspecified(address) ? [wildcard('IPv6'), wildcard('IPv4')] : [address];
}

export class Listener implements AsyncDisposable {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #unsent: Unsent;
  /** The attempt that is under way, or the last one. */
  #attempt: Promise<BindFailure | undefined> = Promise.resolve(undefined);
  #cancelRetry: (() => void) | undefined;
  /** The cause that was told. */
  #told: string | undefined;
  #isClosed = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const limits = options.limits ?? LIMITS;
    this.#unsent = new Unsent(limits.unsentBytes);
    // Importing it would load much more, for 12 MB of memory.
    const http = process.getBuiltinModule('node:http');
    this.#server = http.createServer(
      {
        headersTimeout: limits.headersMs,
        requestTimeout: limits.requestMs,
        keepAliveTimeout: limits.idleMs,
        connectionsCheckingInterval: limits.headersMs / 2,
        maxHeaderSize: MAX_HEADER_BYTES,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.timeout = limits.stalledMs;
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('connection', (socket: Socket) => {
      socket.once('close', () => {
        this.#unsent.forget(socket);
      });
    });
    this.#server.on('error', (error) => {
      if (this.#server.listening) options.events.fault(error);
    });
  }

  /** The port it listens on; `undefined` while it does not. */
  get port(): number | undefined {
    const bound = this.#server.address();
    return typeof bound === 'object' ? bound?.port : undefined;
  }

  /** Tries to listen, and resolves when that is decided: on failure it keeps trying by itself. */
  async open(): Promise<void> {
    this.#attempt = this.#tryAndRetry();
    await this.#attempt;
  }

  /** Listens, or rejects with an {@link AgentError} `SY_BIND_FAILED`. */
  async openOrFail(): Promise<void> {
    this.#attempt = this.#try();
    const failure = await this.#attempt;
    if (failure === undefined) return;
    throw new AgentError('SY_BIND_FAILED', failure.message);
  }

  /** Stops to listen and breaks all connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry?.();
    await this.#attempt;
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #tryAndRetry(): Promise<BindFailure | undefined> {
    const failure = await this.#try();
    if (failure === undefined || this.#isClosed) return failure;
    this.#cancelRetry = this.#options.clock.after(RETRY_MS, () => {
      this.#attempt = this.#tryAndRetry();
    });
    if (failure.cause !== this.#told) this.#options.events.failed(failure);
    this.#told = failure.cause;
    return failure;
  }

  async #try(): Promise<BindFailure | undefined> {
    const { purpose, addresses, port, events } = this.#options;
    for (const [index, address] of addresses.entries()) {
      try {
        await this.#listen(address);
      } catch (error) {
        const failure = bindFailure(purpose, hostPort(address, port), error);
        if (meansLacking(failure.cause) && index < addresses.length - 1) continue;
        return failure;
      }
      this.#told = undefined;
      events.listening(hostPort(address, this.port ?? port));
      break;
    }
    return undefined;
  }

  async #listen(host: Address): Promise<void> {
    const { port, ipv6Only } = this.#options;
    const listening = once(this.#server, 'listening');
    this.#server.listen({ host, port, ipv6Only: ipv6Only && familyOf(host) === 'IPv6' });
    await listening;
  }

  /** Never rejects. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, headers, body } = await this.#answer(request);
    const { socket } = request;
    // Counting an answer for a connection that is gone would keep it for ever.
    if (socket.destroyed) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const waiting = request.method === 'HEAD' ? 0 : bytes.length;
    response.once('finish', () => {
      this.#unsent.sent(socket, waiting);
    });
    this.#unsent.add(socket, waiting);
    response.writeHead(status, { ...headers, 'Content-Length': bytes.length });
    response.end(bytes);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    try {
      return await this.#options.handle(request);
    } catch (error) {
      this.#options.events.fault(error);
      return plainText(500, 'The answer could not be made; the log says why.\n');
    }
  }
}
