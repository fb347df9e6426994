/** Keeps a copy of a collection of the API up to date, through whatever happens to the connection. */
import type { Change } from '../core/change.ts';
import { Backoff } from './backoff.ts';
import type { Clock } from '../core/clock.ts';
import { sleep } from './sleep.ts';
import { type Collection, attemptTo, listObjects, watchObjects } from './collection.ts';
import { KubeError, type KubeErrorCode } from './errors.ts';
import { type Attempt, failure, statusError } from './failures.ts';
import {
  type ObjectProblem,
  ObjectTable,
  type Replacement,
  annotationOf,
  versionOf,
} from './object-table.ts';
import { Outage, type OutageEvents, type Stage } from './outage.ts';
import { type Position, afterFailure } from './position.ts';
import { isOlder } from './resource-version.ts';
import type { Resource } from './resources.ts';
import type { ApiClient } from './transport.ts';
import { malformed } from './wire/fault.ts';
import { INITIAL_EVENTS_END } from './wire/messages.ts';
import type { WireEvent } from './wire/reader.ts';
import { statusOf } from './wire/status.ts';
import { StringPool } from './wire/string-pool.ts';
import type { WireFormat } from './wire/wire.ts';

/** What a reflector tells. */
interface ReflectorEvents<I> extends OutageEvents {
  /** New states of objects; `at` is when they arrived, on the reflector's clock. Never called without changes. */
  readonly onChanges: (changes: readonly Change<I>[], at: number) => void;
  readonly onProblem: (problem: ObjectProblem) => void;
}

/** What a {@link Reflector} works with. */
export interface ReflectorOptions<I> {
  readonly client: ApiClient;
  readonly resource: Resource<I>;
  readonly format: WireFormat;
  /** Get the first objects through the watch (KEP-3157). Servers that refuse are asked for a list. */
  readonly watchList: boolean;
  readonly clock: Clock;
  /** Numbers from 0 up to, not including, 1. */
  readonly random: () => number;
  readonly events: ReflectorEvents<I>;
}

const EVENT_TYPES: ReadonlySet<string> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);
/** Servers end a watch after 5 to 10 minutes, as client-go asks them to: so clients spread over them again. */
const WATCH_SECONDS = 300;
/** A watch that ends sooner than this without a new version has failed; one that lasts works. In milliseconds. */
const SHORT_MS = 1000;
/** A server is waited for no longer than this because it asks for it, in milliseconds. */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Lists a collection, then watches it. Objects that were told stay until an event, or a complete new
 * list, says otherwise: a list that fails changes nothing.
 */
export class Reflector<I> implements AsyncDisposable {
  /** Resolves when all objects were told for the first time, or none can be had and none is needed. */
  readonly synced: Promise<void>;
  /** Resolves when the reflector is closed. Rejects when a callback throws. */
  readonly done: Promise<void>;
  readonly #options: ReflectorOptions<I>;
  readonly #collection: Collection;
  readonly #table: ObjectTable<I>;
  readonly #backoff: Backoff;
  readonly #outage: Outage;
  readonly #abort = new AbortController();
  readonly #onSynced: () => void;
  #position: Position;
  /** Where a failure now would be. */
  #stage: Stage = 'list';

  /** Starts at once. */
  constructor(options: ReflectorOptions<I>) {
    const { client, resource, format, events } = options;
    this.#options = options;
    this.#position = {
      version: undefined,
      freshness: { at: 'any' },
      watchList: options.watchList,
    };
    this.#backoff = new Backoff(options.random);
    this.#outage = new Outage(events);
    this.#table = new ObjectTable(resource, events.onProblem);
    const { signal } = this.#abort;
    this.#collection = { client, resource, format, pool: new StringPool(), signal };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#onSynced = resolve;
    this.done = this.#run();
  }

  /** Ends the requests that are under way. Nothing is told any more. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #isClosed(): boolean {
    return this.#abort.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed()) {
      try {
        this.#stage = 'list';
        const { version, watchList } = this.#position;
        if (version === undefined && !watchList) await this.#list();
        await this.#watch();
      } catch (error) {
        if (this.#isClosed()) return;
        if (!(error instanceof KubeError)) throw error;
        await sleep(this.#failed(error), this.#options.clock, this.#abort.signal);
      }
    }
  }

  async #list(): Promise<void> {
    const replacement = this.#table.replacement();
    const version = await listObjects(this.#collection, this.#position.freshness, (value) => {
      replacement.set(value);
    });
    this.#replace(replacement, version);
  }

  async #watch(): Promise<void> {
    const { clock, random } = this.#options;
    const { version, freshness } = this.#position;
    let replacement = version === undefined ? this.#table.replacement() : undefined;
    let changes: Change<I>[] = [];
    let arrivedAt = 0;
    const startedAt = clock.now();
    let cancel: (() => void) | undefined;
    const granted = (): void => {
      this.#reached('list');
      // Where nothing happens, the first bookmark comes after a minute.
      cancel = clock.after(SHORT_MS, () => {
        this.#reached('watch');
      });
    };
    const options = {
      from: version ?? freshness,
      timeoutSeconds: WATCH_SECONDS + Math.floor(random() * (WATCH_SECONDS + 1)),
    };
    const watched = watchObjects(this.#collection, options, {
      onOpen: () => {
        if (replacement === undefined) granted();
      },
      onEvent: (event) => {
        if (changes.length === 0) arrivedAt = clock.now();
        this.#check(event);
        if (replacement === undefined) {
          const change = this.#take(event);
          if (change !== undefined) changes.push(change);
        } else if (event.type !== 'BOOKMARK') {
          if (event.type === 'DELETED') replacement.remove(event.value);
          else replacement.set(event.value);
        } else if (annotationOf(event.value, INITIAL_EVENTS_END) === 'true') {
          this.#replace(replacement, versionOf(event.value));
          replacement = undefined;
          granted();
        }
      },
      onPause: () => {
        if (changes.length === 0) return;
        const told = changes;
        changes = [];
        this.#options.events.onChanges(told, arrivedAt);
      },
    });
    await watched.finally(() => cancel?.());
    if (replacement !== undefined) {
      // An old server that does not know what it was asked for.
      this.#position = { ...this.#position, watchList: false };
      throw this.#fault('SY_KUBE_DROPPED', 'the watch ended before all objects came');
    }
    if (this.#position.version === version && clock.now() - startedAt < SHORT_MS) {
      throw this.#fault('SY_KUBE_DROPPED', 'the server ended the watch at once');
    }
    this.#reached('watch');
  }

  /** Refuses what is no event of this collection. */
  #check({ type, kind, value }: WireEvent): void {
    if (type === 'ERROR') throw statusError(this.#attempt('watch'), statusOf(value));
    if (!EVENT_TYPES.has(type)) throw malformed(`an event has the type "${type}"`);
    const { resource } = this.#options;
    if (kind !== resource.kind) throw malformed(`an event is about a "${kind}"`);
    if (versionOf(value) === '') throw malformed('an event has no resourceVersion');
  }

  #take({ type, value }: WireEvent): Change<I> | undefined {
    const version = versionOf(value);
    const before = this.#position.version;
    if (before !== undefined && isOlder(version, before)) {
      const reason = `an event has the version ${version} after ${before}, as if etcd had been restored`;
      throw this.#fault('SY_KUBE_BACKWARDS', reason);
    }
    let change: Change<I> | undefined;
    if (type === 'DELETED') change = this.#table.remove(value);
    else if (type !== 'BOOKMARK') change = this.#table.set(value);
    this.#position = { ...this.#position, version };
    this.#reached('watch');
    return change;
  }

  /** Puts a complete list in force. */
  #replace(replacement: Replacement<I>, version: string): void {
    // An old or broken cache may be empty; only what comes from etcd may empty a node.
    if (replacement.held.size === 0 && this.#position.freshness.at !== 'latest') {
      const reason = `the list is empty where there were ${this.#table.size} objects`;
      throw this.#fault('SY_KUBE_EMPTY', reason);
    }
    const { events, clock } = this.#options;
    const changes = this.#table.replace(replacement);
    this.#position = { ...this.#position, version };
    this.#reached('list');
    if (changes.length > 0) events.onChanges(changes, clock.now());
    this.#onSynced();
  }

  #reached(stage: Stage): void {
    this.#stage = 'watch';
    this.#outage.reached(stage);
  }

  /** Decides how it goes on after a failure. Returns the milliseconds to wait. */
  #failed(error: KubeError): number {
    const { clock, resource } = this.#options;
    const before = this.#position;
    this.#position = afterFailure(before, error);
    // These go on in another way at once, and nothing is lost.
    if (before.watchList !== this.#position.watchList) return 0;
    if (error.code === 'SY_KUBE_EMPTY' && this.#table.size === 0) return 0;
    const isMissing = error.code === 'SY_KUBE_NOT_FOUND' || error.code === 'SY_KUBE_FORBIDDEN';
    if (isMissing && resource.isOptional) this.#onSynced();
    const retryAfterMs = Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
    const retryMs = Math.max(this.#backoff.next(clock.now()), retryAfterMs);
    // A new list is all it takes when the version alone was wrong.
    const isVersion = error.code === 'SY_KUBE_EXPIRED' || error.code === 'SY_KUBE_VERSION_AHEAD';
    this.#outage.failed(error, retryMs, isVersion ? 'list' : this.#stage);
    return retryMs;
  }

  #fault(code: KubeErrorCode, reason: string): KubeError {
    return failure(this.#attempt(this.#stage), code, reason, 'It is tried again.');
  }

  #attempt(stage: Stage): Attempt {
    return attemptTo(stage, this.#collection);
  }
}
