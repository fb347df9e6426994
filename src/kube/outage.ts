import type { KubeError, KubeErrorCode } from './errors.ts';

/** Told when something fails and when it works again. */
export interface OutageEvents {
  /** Something failed and is tried again after `retryMs`. Told once for each code until it works again. */
  readonly onTrouble: (error: KubeError, retryMs: number) => void;
  readonly onRecovered: () => void;
}

/**
 * How far a reflector got:
 * - `list`: all objects are known, or a watch was granted.
 * - `watch`: a watch has told something.
 */
export type Stage = 'list' | 'watch';

/** Tells each trouble once. One is over when its reflector gets further than where it failed. */
export class Outage {
  readonly #events: OutageEvents;
  readonly #codes = new Set<KubeErrorCode>();
  #isInWatch = false;

  constructor(events: OutageEvents) {
    this.#events = events;
  }

  /** Something failed on the way to this stage. */
  failed(error: KubeError, retryMs: number, stage: Stage): void {
    this.#isInWatch ||= stage === 'watch';
    if (this.#codes.has(error.code)) return;
    this.#codes.add(error.code);
    this.#events.onTrouble(error, retryMs);
  }

  /** This stage was reached. */
  reached(stage: Stage): void {
    if (this.#codes.size === 0 || (this.#isInWatch && stage === 'list')) return;
    this.#codes.clear();
    this.#isInWatch = false;
    this.#events.onRecovered();
  }
}
