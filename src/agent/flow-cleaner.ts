/** Deletes stale UDP flows behind the back of programming: one call at a time, and nobody waits for it. */
import type { StaleFlows } from '../core/flows.ts';

/** Deletes the flows in the kernel; resolves to how many there were. */
export type DeleteFlows = (stale: readonly StaleFlows[]) => Promise<number>;

export interface FlowCleanerEvents {
  readonly onCleaned: (deleted: number, milliseconds: number) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Collects what is stale while a deletion is under way. */
export class FlowCleaner {
  readonly #delete: DeleteFlows;
  readonly #events: FlowCleanerEvents;
  readonly #now: () => number;
  /** By frontend: what was decided last about one counts. */
  #waiting = new Map<string, StaleFlows>();
  #isRunning = false;

  constructor(deleteFlows: DeleteFlows, events: FlowCleanerEvents, now: () => number) {
    this.#delete = deleteFlows;
    this.#events = events;
    this.#now = now;
  }

  /** Deletes these flows soon. */
  clean(stale: readonly StaleFlows[]): void {
    for (const flows of stale) this.#waiting.set(`${flows.address} ${flows.port}`, flows);
    if (this.#waiting.size > 0 && !this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.size > 0) {
      const stale = [...this.#waiting.values()];
      this.#waiting = new Map();
      const started = this.#now();
      try {
        const deleted = await this.#delete(stale);
        this.#events.onCleaned(deleted, this.#now() - started);
      } catch (error) {
        this.#events.onFailure(error);
      }
    }
    this.#isRunning = false;
  }
}
