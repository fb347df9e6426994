/** What is told of a switch while it goes on. */
import type { Clock } from '../../core/clock.ts';
import type { PlaneName } from '../mode.ts';

/**
 * - `building`: the new plane is made beside the old one; nothing has changed for traffic.
 * - `retiring`: the new one is in charge; what the old one left is removed.
 * - `verifying`: Services are tried from this node.
 * - `draining`: established connections still need the old plane.
 * - `done`: nothing is left of the old one. `failed`: the old plane has stayed in charge. `undone`: it is in charge again.
 */
export type SwitchStep =
  'building' | 'retiring' | 'verifying' | 'draining' | 'done' | 'failed' | 'undone';

/** One piece of news. */
export interface SwitchProgress {
  /** RFC 3339 in UTC. */
  readonly at: string;
  readonly step: SwitchStep;
  readonly from: PlaneName;
  readonly to: PlaneName;
  /** A sentence for people. */
  readonly text: string;
  /** Connections that the old plane still carries; with `draining` only. */
  readonly connections?: number;
}

/** Nothing comes after these. */
const LAST_STEPS: ReadonlySet<SwitchStep> = new Set(['done', 'failed', 'undone']);

/** Hands news to whoever follows. */
export class ProgressFeed {
  readonly #followers = new Set<Follower>();
  #last: SwitchProgress | undefined;

  /** The last news there was. */
  get last(): SwitchProgress | undefined {
    return this.#last;
  }

  /** Tells everybody who follows. */
  tell(progress: SwitchProgress): void {
    this.#last = progress;
    for (const follower of this.#followers) follower.take(progress);
  }

  /**
   * All news from the moment of this call until a switch is over. Gives `undefined` when there were none for
   * `silenceMs`. To be read to its end, or returned.
   */
  follow(silenceMs: number, clock: Clock): AsyncIterable<SwitchProgress | undefined> {
    const follower = new Follower();
    this.#followers.add(follower);
    return this.#read(follower, silenceMs, clock);
  }

  async *#read(
    follower: Follower,
    silenceMs: number,
    clock: Clock,
  ): AsyncGenerator<SwitchProgress | undefined> {
    try {
      for (;;) {
        const progress = await follower.next(silenceMs, clock);
        yield progress;
        if (progress !== undefined && LAST_STEPS.has(progress.step)) return;
      }
    } finally {
      this.#followers.delete(follower);
    }
  }
}

/** News that one reader has not read yet. */
class Follower {
  readonly #news: SwitchProgress[] = [];
  #wake: (() => void) | undefined;

  take(progress: SwitchProgress): void {
    this.#news.push(progress);
    this.#wake?.();
  }

  /** `undefined` when nothing comes in time. */
  async next(silenceMs: number, clock: Clock): Promise<SwitchProgress | undefined> {
    if (this.#news.length === 0) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      this.#wake = () => {
        resolve(undefined);
      };
      const cancel = clock.after(silenceMs, this.#wake);
      await promise;
      cancel();
    }
    return this.#news.shift();
  }
}
