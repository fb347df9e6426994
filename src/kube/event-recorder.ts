/** Writes events to the API, a few at a time, and one for what happens again and again. */
import type { Clock, WallTime } from '../core/clock.ts';
import { sleep } from './sleep.ts';
import { KubeError, type KubeErrorCode } from './errors.ts';
import {
  type EventNote,
  type EventReporter,
  type EventSeries,
  eventBody,
  eventKey,
  eventName,
  eventPatch,
  eventsPath,
} from './event.ts';
import type { ApiClient } from './transport.ts';

/** What an {@link EventRecorder} works with. */
export interface EventRecorderOptions {
  readonly client: ApiClient;
  readonly reporter: EventReporter;
  readonly clock: Clock;
  readonly wallTime: WallTime;
  readonly random: () => number;
  /** An event could not be written and is given up. */
  readonly onLost: (note: EventNote, error: KubeError) => void;
}

interface Recorded extends EventSeries {
  /** What the API has: 0 until the event is there. */
  written: number;
  isQueued: boolean;
}

/** How long an event that does not happen again is remembered, and between two writes of one that does (client-go). */
const SERIES_MS = 360_000;
/** Events that may wait; of more, the newest are only counted if they are repeats, and lost if not. */
const MAX_QUEUE = 100;
/** Different events that are remembered. */
const MAX_SERIES = 1000;
/** Least time between two writes, once the first ten are out, in milliseconds. */
const PACE_MS = 1000;
const BURST = 10;
/** Time between two attempts to write one event, and how many there are. */
const RETRY_MS = 10_000;
const MAX_ATTEMPTS = 12;

/** Failures that another attempt may mend. */
const TRANSIENT: ReadonlySet<KubeErrorCode> = new Set<KubeErrorCode>([
  'SY_KUBE_CREDENTIALS',
  'SY_KUBE_UNKNOWN_HOST',
  'SY_KUBE_UNREACHABLE',
  'SY_KUBE_TLS',
  'SY_KUBE_TIMEOUT',
  'SY_KUBE_DROPPED',
  'SY_KUBE_UNAUTHORIZED',
  'SY_KUBE_THROTTLED',
  'SY_KUBE_SERVER',
]);

/** Takes events and writes them when there is time. */
export class EventRecorder implements AsyncDisposable {
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Recorded>();
  readonly #abort = new AbortController();
  #queue: Recorded[] = [];
  #working: Promise<void> | undefined;
  #cancelSweep: (() => void) | undefined;
  /** Writes that are allowed now. */
  #tokens = BURST;
  #tokensAt: number;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#tokensAt = options.clock.now();
  }

  /** Takes an event. Returns at once, whatever the API server does. */
  record(note: EventNote): void {
    if (this.#isClosed()) return;
    const wallMs = this.#options.wallTime();
    const key = eventKey(note);
    const known = this.#series.get(key);
    if (known !== undefined) {
      known.count++;
      known.lastAt = wallMs;
      // The first repeat is written at once, the others together from time to time.
      if (known.written === 1) this.#enqueue(known);
      return;
    }
    if (this.#series.size >= MAX_SERIES || this.#queue.length >= MAX_QUEUE) return;
    const name = eventName(note.regarding.name, wallMs, this.#options.random);
    const times = { firstAt: wallMs, lastAt: wallMs };
    const recorded = { name, note, ...times, count: 1, written: 0, isQueued: false };
    this.#series.set(key, recorded);
    this.#enqueue(recorded);
    this.#cancelSweep ??= this.#options.clock.after(SERIES_MS, () => {
      this.#sweep();
    });
  }

  /** Gives up what is not written yet. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#cancelSweep?.();
    await this.#working;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #isClosed(): boolean {
    return this.#abort.signal.aborted;
  }

  #enqueue(recorded: Recorded): void {
    if (recorded.isQueued || this.#queue.length >= MAX_QUEUE) return;
    recorded.isQueued = true;
    this.#queue.push(recorded);
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Writes how often things have happened since, and forgets what has not happened again. */
  #sweep(): void {
    for (const [key, recorded] of this.#series) {
      if (recorded.isQueued) continue;
      if (recorded.count > recorded.written) this.#enqueue(recorded);
      else this.#series.delete(key);
    }
    const again = this.#series.size > 0;
    this.#cancelSweep = again
      ? this.#options.clock.after(SERIES_MS, () => {
          this.#sweep();
        })
      : undefined;
  }

  async #work(): Promise<void> {
    const { signal } = this.#abort;
    for (;;) {
      const recorded = this.#queue.shift();
      if (recorded === undefined || this.#isClosed()) return;
      await sleep(this.#pace(), this.#options.clock, signal);
      recorded.isQueued = false;
      await this.#write(recorded);
    }
  }

  /** Takes a token; returns the milliseconds until there is one. */
  #pace(): number {
    const now = this.#options.clock.now();
    this.#tokens = Math.min(BURST, this.#tokens + (now - this.#tokensAt) / PACE_MS) - 1;
    this.#tokensAt = now;
    return this.#tokens < 0 ? -this.#tokens * PACE_MS : 0;
  }

  async #write(recorded: Recorded): Promise<void> {
    for (let attempt = 1; !this.#isClosed(); attempt++) {
      const { count } = recorded;
      try {
        await (recorded.written === 0 ? this.#create(recorded) : this.#patch(recorded));
        recorded.written = count;
        return;
      } catch (error) {
        if (this.#isClosed()) return;
        if (!(error instanceof KubeError)) throw error;
        // It was deleted, as all events are after an hour.
        if (error.code === 'SY_KUBE_NOT_FOUND' && recorded.written > 0) recorded.written = 0;
        else if (TRANSIENT.has(error.code) && attempt < MAX_ATTEMPTS) {
          await sleep(RETRY_MS, this.#options.clock, this.#abort.signal);
        } else {
          recorded.written = count;
          this.#options.onLost(recorded.note, error);
          return;
        }
      }
    }
  }

  async #create(recorded: Recorded): Promise<void> {
    const text = eventBody(recorded, this.#options.reporter);
    await this.#send('POST', eventsPath(recorded.note), 'application/json', text);
  }

  async #patch(recorded: Recorded): Promise<void> {
    const path = `${eventsPath(recorded.note)}/${recorded.name}`;
    const type = 'application/strategic-merge-patch+json';
    await this.#send('PATCH', path, type, eventPatch(recorded));
  }

  async #send(method: 'POST' | 'PATCH', path: string, type: string, text: string): Promise<void> {
    const { signal } = this.#abort;
    const purpose = 'write an event';
    const body = { type, text };
    const accept = 'application/json';
    const answer = await this.#options.client.request({
      purpose,
      method,
      path,
      accept,
      body,
      signal,
    });
    // To its end, so that the connection can be used again.
    await answer.read(() => undefined);
  }
}
