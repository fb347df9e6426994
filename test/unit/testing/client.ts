/** A plain HTTP client, a clock to turn by hand, and objects, for the tests of the stand-in API server. */
import { readFileSync } from 'node:fs';
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import type { ApiServer, Manifest } from '../../../src/testing/api-server.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { type JsonObject, parseObject } from '../../../src/testing/json.ts';

/** Text of a recorded answer. */
export function recorded(name: string): string {
  return readFileSync(join(import.meta.dirname, '../../fixtures/apiserver-1.36', name), 'utf8');
}

/** Parses what must be a JSON object. */
export function parse(text: string): JsonObject {
  const object = parseObject(text);
  if (object === undefined) throw new Error(`this is no JSON object: ${text.slice(0, 100)}`);
  return object;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

async function open(url: string, what: Ask): Promise<IncomingMessage> {
  const { method = 'GET', headers: given = {}, body, ...tls } = what;
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const options = { method, headers: { ...given, ...length }, agent: false, ...tls };
  const request = url.startsWith('https:')
    ? https.request(url, options)
    : http.request(url, options);
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  request.end(body);
  return response;
}

/** Sends a request and reads its whole answer. Rejects when the connection breaks. */
export async function ask(url: string, options: Ask = {}): Promise<Reply> {
  const response = await open(url, options);
  const pieces: Buffer[] = [];
  for await (const piece of response) if (piece instanceof Buffer) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  const { statusCode = 0, headers } = response;
  return { status: statusCode, headers, bytes, text: bytes.toString() };
}

/** Sends a request and reads its answer as one JSON object. */
export async function askJson(url: string, options: Ask = {}): Promise<JsonObject> {
  return parse((await ask(url, options)).text);
}

/** An open watch as its client sees it. */
export class Stream implements Disposable {
  readonly #response: IncomingMessage;
  /** What came and was not taken yet is between the two marks. */
  #buffer = Buffer.alloc(1024);
  #start = 0;
  #filled = 0;
  /** Up to here there is no end of a line. */
  #searched = 0;
  #over: 'end' | 'broken' | undefined;
  #wake: () => void = () => {};

  private constructor(response: IncomingMessage) {
    this.#response = response;
    response.on('data', (piece: Buffer) => {
      this.#append(piece);
      this.#wake();
    });
    response.once('end', () => this.#finish('end'));
    response.once('error', () => this.#finish('broken'));
  }

  static async open(url: string, options: Ask = {}): Promise<Stream> {
    return new Stream(await open(url, options));
  }

  get status(): number {
    return this.#response.statusCode ?? 0;
  }

  get headers(): IncomingHttpHeaders {
    return this.#response.headers;
  }

  /** What came and was not taken yet. */
  get left(): string {
    return this.#bytes.toString();
  }

  get #bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#filled);
  }

  /** The next line without its end; `undefined` when there is none any more. */
  async line(): Promise<string | undefined> {
    const line = await this.#take(() => {
      const end = this.#buffer.subarray(0, this.#filled).indexOf(10, this.#searched);
      this.#searched = end < 0 ? this.#filled : end;
      return end < 0 ? 0 : end + 1 - this.#start;
    });
    return line?.toString().trimEnd();
  }

  /** The next line as an event. Rejects when there is none. */
  async event(): Promise<WatchEvent> {
    const line = await this.line();
    if (line === undefined) throw new Error('the watch is over');
    const { type, object } = parse(line);
    if (typeof type !== 'string') throw new Error(`this is no event: ${line}`);
    return { type, object: parse(JSON.stringify(object)) };
  }

  /** The next frame of a protobuf watch without its length; `undefined` when there is none any more. */
  async frame(): Promise<Buffer | undefined> {
    const frame = await this.#take(() => {
      if (this.#bytes.length < 4) return 0;
      const size = 4 + this.#bytes.readUInt32BE();
      return this.#bytes.length < size ? 0 : size;
    });
    return frame?.subarray(4);
  }

  /** Waits until that many bytes are there that were not taken. Rejects when they do not come. */
  async arrived(bytes: number): Promise<void> {
    while (this.#bytes.length < bytes) {
      if (this.#over !== undefined) throw new Error(`the stream ended after ${this.left}`);
      await this.#more();
    }
  }

  /** Waits for the end, and tells whether it was a proper one. */
  async over(): Promise<'end' | 'broken'> {
    while (this.#over === undefined) await this.#more();
    return this.#over;
  }

  pause(): void {
    this.#response.pause();
  }

  resume(): void {
    this.#response.resume();
  }

  [Symbol.dispose](): void {
    this.#response.destroy();
  }

  async #take(size: () => number): Promise<Buffer | undefined> {
    let found = size();
    while (found === 0 && this.#over === undefined) {
      await this.#more();
      found = size();
    }
    const taken = this.#bytes.subarray(0, found);
    this.#start += found;
    this.#searched = Math.max(this.#searched, this.#start);
    return found === 0 ? undefined : taken;
  }

  async #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #append(piece: Buffer): void {
    if (this.#filled + piece.length > this.#buffer.length) {
      const kept = this.#bytes;
      this.#buffer = Buffer.alloc(2 * (kept.length + piece.length));
      kept.copy(this.#buffer);
      this.#searched -= this.#start;
      this.#start = 0;
      this.#filled = kept.length;
    }
    piece.copy(this.#buffer, this.#filled);
    this.#filled += piece.length;
  }

  #finish(how: 'end' | 'broken'): void {
    this.#over ??= how;
    this.#wake();
  }
}

export interface WatchEvent {
  readonly type: string;
  readonly object: JsonObject;
}

/** `ADDED name`, the way the tests compare events. */
export function brief({ type, object }: WatchEvent): string {
  const { metadata } = object;
  const name = parse(JSON.stringify(metadata))['name'];
  return typeof name === 'string' ? `${type} ${name}` : type;
}

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #now = Date.parse('2026-11-21T20:29:31Z');
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Moves time on; what becomes due runs in the order of its time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      const [next] = due;
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.run();
    }
    this.#now = end;
  }
}

export function service(name: string, spec: JsonObject = {}, labels: JsonObject = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', labels },
    spec: { ports: [{ port: 80 }], ...spec },
  };
}

export function slice(
  name: string,
  addresses: readonly string[],
  labels: JsonObject = {},
): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', labels },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports: [{ name: 'http', port: 8080 }],
  };
}

/** Adds a kind and an API version to an object as lists hold it. */
export function manifest(apiVersion: string, kind: string, object: unknown): Manifest {
  const plain = parse(JSON.stringify(object));
  return { ...plain, apiVersion, kind, metadata: parse(JSON.stringify(plain['metadata'])) };
}

/** Opens a watch and waits until the server counts it among its open ones. */
export async function openWatch(
  server: ApiServer,
  path: string,
  options: Ask = {},
): Promise<Stream> {
  const opened = server.nextRequest(({ target }) => target?.verb === 'watch');
  const stream = await Stream.open(server.url + path, options);
  await opened;
  return stream;
}
