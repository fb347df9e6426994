/** One open WATCH: what the API server's cacheWatcher and WatchServer do (storage/cacher/cache_watcher.go). */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';
import type { Change, Collection } from './collection.ts';
import { type EventType, type Media, bookmarkFrame, errorFrame, eventFrame } from './encodings.ts';
import { StatusError } from './errors.ts';
import type { FrameCache } from './frame-cache.ts';
import { type JsonObject, objectIn } from './json.ts';
import { fresh } from './list.ts';
import type { ListOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import type { RequestRecord } from './request.ts';
import { tooOldWatch } from './status.ts';
import type { Store } from './store.ts';
import { nameOf, version } from './version.ts';

/** Between two bookmarks, and between the last one and the end of the watch, in milliseconds. */
const BOOKMARK_MS = 60_000;
const LAST_BOOKMARK_MS = 2000;
/** Watches that set no time end after once to twice this, in milliseconds (`--min-request-timeout`). */
const MIN_TIMEOUT_MS = 1_800_000;
/** Longer timers of Node.js fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a watch works with. */
export interface WatchSetting {
  readonly store: Store;
  readonly collection: Collection;
  readonly clock: Clock;
  readonly frames: FrameCache;
  readonly media: Media;
  readonly request: RequestRecord;
  readonly options: ListOptions;
  /** Begin as if there were no objects. */
  readonly beginsEmpty: boolean;
  readonly response: ServerResponse;
  /** A reader that takes nothing for so long, in milliseconds, is cut off. */
  readonly slowReaderMs: number;
  readonly onEnd: (watch: Watch) => void;
}

/** An open watch. Tests harm it by its methods. */
export class Watch {
  readonly #setting: WatchSetting;
  readonly #outbox: Outbox;
  readonly #cancel = new Set<() => void>();
  /** What was up to here was sent, or is not wanted. */
  #revision = 0;
  #harm: 'none' | 'drop' | 'silence' = 'none';
  #ended = false;

  constructor(setting: WatchSetting) {
    this.#setting = setting;
    const { response, clock, slowReaderMs } = setting;
    this.#outbox = new Outbox(response, clock, slowReaderMs, () => this.end());
    response.once('close', () => this.#close());
  }

  /** The request that opened it. */
  get request(): RequestRecord {
    return this.#setting.request;
  }

  /** Sends what was missed, or what there is, and from then on each change. The answer's head is sent already. */
  async start(): Promise<void> {
    const { store, collection, options, media, clock, response } = this.#setting;
    try {
      // Only a list of initial events waits for its version; other watches begin in silence.
      if (options.sendInitialEvents === true) await fresh(store, options.revision);
      this.#checkAge(collection);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      this.#outbox.send(errorFrame(media, error.status));
      this.end();
      return;
    }
    // The client may be gone before the watch was there to notice.
    if (response.destroyed) this.#close();
    if (this.#ended) return;
    this.#begin();
    this.#cancel.add(collection.subscribe((change) => this.#onChange(change)));
    const asked = Math.min(options.timeoutSeconds * 1000, MAX_TIMER_MS);
    const timeout = asked === 0 ? MIN_TIMEOUT_MS * (1 + Math.random()) : asked;
    const deadline = clock.now() + timeout;
    this.#later(timeout, () => this.end());
    if (options.bookmarks) this.#scheduleBookmark(deadline);
  }

  /** Writes bytes into the stream as they are. */
  send(bytes: Uint8Array | string): void {
    this.#outbox.send(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
  }

  /** Sends an event that did not happen. The object may be any; only its metadata needs a name. */
  sendEvent(type: EventType, object: JsonObject, resourceVersion: number): void {
    const { collection, media } = this.#setting;
    const { resource } = collection;
    const where = nameOf(resource, object);
    const untrue = version(where, resourceVersion, objectIn(object, 'metadata'), object);
    this.send(eventFrame(media, resource, type, untrue));
  }

  /** Sends the ERROR event of a Status. */
  sendError(error: StatusError): void {
    this.send(errorFrame(this.#setting.media, error.status));
  }

  /** Ends the stream as the server does when its time is over. */
  end(): void {
    if (this.#ended) return;
    this.#close();
    this.#outbox.end();
  }

  /** Breaks the connection. */
  drop(): void {
    this.#close();
    this.#setting.response.destroy();
  }

  /** Sends half of the next event and then breaks the connection, or keeps it and says nothing more. */
  cutNextEvent(then: 'drop' | 'silence'): void {
    this.#harm = then;
  }

  #checkAge({ forgotten }: Collection): void {
    const { options } = this.#setting;
    if (options.sendInitialEvents === true || options.revision === 0) return;
    if (options.revision < forgotten) throw tooOldWatch(options.revision, forgotten);
  }

  /** What comes before the first new change. */
  #begin(): void {
    const { store, collection, options, media, beginsEmpty } = this.#setting;
    const { resource } = collection;
    this.#revision = options.revision === 0 ? store.revision : options.revision;
    const everything = options.sendInitialEvents ?? options.revision === 0;
    if (!everything) {
      for (const change of collection.since(this.#revision)) this.#onChange(change);
      return;
    }
    this.#revision = Math.max(this.#revision, store.revision);
    for (const current of beginsEmpty ? [] : collection.list()) {
      if (!options.matches(current.object)) continue;
      this.#outbox.send(eventFrame(media, resource, 'ADDED', current));
    }
    if (options.sendInitialEvents === true && options.bookmarks) {
      this.#outbox.send(bookmarkFrame(media, resource, this.#revision, true));
    }
  }

  #onChange(change: Change): void {
    if (change.revision <= this.#revision || this.#ended) return;
    const { frames, media, options, collection } = this.#setting;
    const frame = frames.frame(media, collection.resource, change, options.matches);
    if (frame !== undefined) this.#sendChange(frame);
  }

  #sendChange(frame: Buffer): void {
    if (this.#harm === 'none') {
      this.#outbox.send(frame);
      return;
    }
    this.#outbox.send(frame.subarray(0, frame.length >>> 1));
    if (this.#harm === 'drop') this.#outbox.flushed(() => this.drop());
    // Silence: no change, no bookmark and no end comes any more; the connection stays.
    this.#close();
  }

  /** Every minute, and shortly before the end. */
  #scheduleBookmark(deadline: number): void {
    const { clock, media, collection, store } = this.#setting;
    const wait = Math.min(BOOKMARK_MS, deadline - LAST_BOOKMARK_MS - clock.now());
    if (wait <= 0) return;
    this.#later(wait, () => {
      this.#outbox.send(bookmarkFrame(media, collection.resource, store.revision, false));
      this.#scheduleBookmark(deadline);
    });
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.#setting.clock.after(ms, () => {
      this.#cancel.delete(cancel);
      run();
    });
    this.#cancel.add(cancel);
  }

  #close(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const cancel of this.#cancel) cancel();
    this.#cancel.clear();
    this.#setting.onEnd(this);
  }
}
