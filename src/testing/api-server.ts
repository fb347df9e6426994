/**
 * A stand-in for the Kubernetes API server 1.36: list, watch and write of the objects a Service proxy deals with, in JSON and
 * protobuf, with the errors and the timing of the real one, and with faults on request. Objects live in memory.
 *
 * What it does not do: validation, admission, server-side apply, tables, node ports and other allocations than cluster IPs, and HTTP/2.
 */
import type { Clock } from '../core/clock.ts';
import { SYSTEM_CLOCK } from './clock.ts';
import { Connections, type TlsOptions } from './connections.ts';
import { type Media, encodeAhead } from './encodings.ts';
import { TestingError } from './errors.ts';
import { FaultPlan, type RequestMatch } from './faults.ts';
import { Handler } from './handler.ts';
import type { JsonObject } from './json.ts';
import { kubeconfig } from './kubeconfig.ts';
import { RequestLog } from './request-log.ts';
import type { RequestRecord } from './request.ts';
import { RESOURCES, type Resource } from './resources.ts';
import { Store } from './store.ts';
import { type Version, keyOf, nameOf } from './version.ts';
import type { Watch } from './watch.ts';
import { admitted } from './write.ts';

export interface ApiServerOptions {
  /** Address to listen on; loopback when it is not given. */
  readonly host?: string;
  /** Port to listen on; a free one when it is not given. */
  readonly port?: number;
  /** HTTPS with these certificates; plain HTTP when it is not given. */
  readonly tls?: TlsOptions;
  /** The bearer token to ask for. Without it, and without client certificates, everybody is let in. */
  readonly token?: string;
  readonly clock?: Clock;
  /** Changes remembered of each resource; older watches get a 410. */
  readonly historyLimit?: number;
  /** A watch whose reader takes nothing for so long while events wait is cut off, in milliseconds. */
  readonly slowReaderMs?: number;
}

/** An object as it is in a manifest. */
export interface Manifest extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: JsonObject;
}

const HISTORY_LIMIT = 10_000;
const SLOW_READER_MS = 5000;

/** Starts a server. Rejects with the error of listen(), or of bad certificates. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  return ApiServer.open(options);
}

export class ApiServer implements AsyncDisposable {
  /** Faults of requests to come. */
  readonly faults: FaultPlan;
  readonly #store: Store;
  readonly #handler: Handler;
  readonly #log: RequestLog;
  readonly #connections: Connections;
  readonly #authority: string | undefined;
  readonly #credentials: { token: string | undefined };

  private constructor(parts: {
    readonly faults: FaultPlan;
    readonly store: Store;
    readonly handler: Handler;
    readonly log: RequestLog;
    readonly connections: Connections;
    readonly authority: string | undefined;
    readonly credentials: { token: string | undefined };
  }) {
    this.faults = parts.faults;
    this.#store = parts.store;
    this.#handler = parts.handler;
    this.#log = parts.log;
    this.#connections = parts.connections;
    this.#authority = parts.authority;
    this.#credentials = parts.credentials;
  }

  /** See {@link startApiServer}. */
  static async open(options: ApiServerOptions): Promise<ApiServer> {
    const { clock = SYSTEM_CLOCK, host = '127.0.0.1', port = 0, tls } = options;
    const credentials = {
      token: options.token,
      certificates: tls?.clientCertificates ?? false,
    };
    const store = new Store(clock, options.historyLimit ?? HISTORY_LIMIT);
    const faults = new FaultPlan();
    const log = new RequestLog();
    const handler = new Handler({
      store,
      clock,
      faults,
      log,
      credentials: () => credentials,
      slowReaderMs: options.slowReaderMs ?? SLOW_READER_MS,
    });
    const connections = await Connections.open(
      (request, response) => {
        void handler.handle(request, response);
      },
      host,
      port,
      tls,
    );
    const authority = tls?.authority;
    return new ApiServer({ faults, store, handler, log, connections, authority, credentials });
  }

  get port(): number {
    return this.#connections.port;
  }

  /** `https://address:port`, or the same with http. */
  get url(): string {
    const scheme = this.#authority === undefined ? 'http' : 'https';
    return `${scheme}://${this.#connections.host}:${this.port}`;
  }

  /** All requests so far, the oldest first; only the last 10,000. */
  get requests(): readonly RequestRecord[] {
    return this.#log.requests;
  }

  /** The open watches, the oldest first. */
  get watches(): readonly Watch[] {
    return this.#handler.watches;
  }

  /** The newest resource version. */
  get revision(): number {
    return this.#store.revision;
  }

  /** Resolves with the next request that matches, once its answer has begun or a fault has swallowed it. */
  async nextRequest(match: RequestMatch): Promise<RequestRecord> {
    return this.#log.next(match);
  }

  /** Creates the object, or replaces the one of that name. Returns it as it is stored. Throws a {@link TestingError}. */
  apply(object: Manifest): JsonObject {
    const resource = resourceOf(object.kind, object.apiVersion);
    const known = this.#store.collection(resource).get(nameOf(resource, object).key);
    const complete = admitted(this.#store, resource, object, known);
    if (known === undefined) return this.#store.create(resource, complete).object;
    return this.#store.update(resource, complete).object;
  }

  /** Deletes an object of a kind. Throws a StatusError if there is none. */
  delete(kind: string, namespace: string, name: string): void {
    this.#store.remove(resourceOf(kind), namespace, name);
  }

  /** The object of that name as it is stored, without kind and apiVersion. */
  get(kind: string, namespace: string, name: string): JsonObject | undefined {
    return this.#store.collection(resourceOf(kind)).get(keyOf(namespace, name))?.object;
  }

  /** All objects of a kind as they are stored. */
  list(kind: string): readonly JsonObject[] {
    return this.#store
      .collection(resourceOf(kind))
      .list()
      .map(({ object }: Version) => object);
  }

  /**
   * Puts in many objects of a kind as they are, with the resource versions they have. They have no history, no watch is told of them,
   * and nothing is filled in.
   */
  load(kind: string, objects: Iterable<JsonObject>): void {
    this.#store.load(resourceOf(kind), objects);
  }

  /** Encodes all objects now, so that the first lists are as fast as later ones. */
  encodeAhead(media: Media): void {
    for (const resource of RESOURCES) {
      for (const version of this.#store.collection(resource).list()) {
        encodeAhead(media, resource, version);
      }
    }
  }

  /** Forgets all history: older continue tokens and watches get a 410. */
  compact(): void {
    this.#store.compact();
  }

  /**
   * Goes on from another resource version, forgetting all history; objects keep theirs. Lower ones are what a restored etcd gives;
   * break the connections too then, as watches that are open wait for higher ones.
   */
  resetRevision(revision: number): void {
    this.#store.reset(revision);
  }

  /** From now on this is the bearer token. Open watches go on. */
  setToken(token: string): void {
    this.#credentials.token = token;
  }

  /** Breaks all connections. */
  dropConnections(): void {
    this.#connections.drop();
  }

  /** Breaks all connections, and refuses new ones until {@link acceptConnections}. */
  async refuseConnections(): Promise<void> {
    await this.#connections.refuse();
  }

  /** Listens again, on the same port. */
  async acceptConnections(): Promise<void> {
    await this.#connections.accept();
  }

  /** A kubeconfig (JSON, which is YAML) for this server with its authority and token. */
  kubeconfig(): string {
    return kubeconfig({
      server: this.url,
      authority: this.#authority,
      token: this.#credentials.token,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watch of this.watches) watch.drop();
    await this.#connections[Symbol.asyncDispose]();
  }
}

function resourceOf(kind: string, apiVersion?: string): Resource {
  const resource = RESOURCES.find(
    (one) => one.kind === kind && (apiVersion ?? one.apiVersion) === one.apiVersion,
  );
  if (resource !== undefined) return resource;
  const known = RESOURCES.map((one) => `${one.apiVersion} ${one.kind}`).join(', ');
  const message = `The stand-in API server has no ${apiVersion ?? ''} ${kind}: it has ${known}.`;
  throw new TestingError('SY_TESTING_UNKNOWN_KIND', message);
}
