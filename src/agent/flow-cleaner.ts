/** Deletes stale UDP flows behind the back of programming: one call at a time, and nobody waits for it. */
import type { StaleFlows } from '../core/flows.ts';
import type { Family } from '../core/ip.ts';

/** Deletes the flows in the kernel; resolves to how many there were. */
export type DeleteFlows = (stale: readonly StaleFlows[]) => Promise<number>;

/** What a {@link FlowCleaner} tells the rest of the agent. */
export interface FlowCleanerEvents {
  readonly onCleaned: (family: Family, deleted: number, milliseconds: number) => void;
  readonly onFailure: (error: unknown) => void;
}

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/** Collects what is stale while a deletion is under way. */
export class FlowCleaner {
  readonly #delete: DeleteFlows;
  readonly #events: FlowCleanerEvents;
  readonly #now: () => number;
  /** Deletions to come, one after the other; in each, by frontend, what was decided last counts. */
  readonly #waiting: Map<string, StaleFlows>[] = [];
  #isRunning = false;

  constructor(deleteFlows: DeleteFlows, events: FlowCleanerEvents, now: () => number) {
    this.#delete = deleteFlows;
    this.#events = events;
    this.#now = now;
  }

  /** Deletes these flows soon. */
  clean(stale: readonly StaleFlows[]): void {
    for (const flows of stale) this.#add(`${flows.address} ${flows.port}`, flows);
    if (this.#waiting.length > 0 && !this.#isRunning) void this.#run();
  }

  #add(frontend: string, flows: StaleFlows): void {
    let last = this.#waiting.at(-1);
    // A frontend that is gone names the flows to delete and says nothing of those that were stale before.
    if (last === undefined || (flows.only !== undefined && last.has(frontend))) {
      last = new Map();
      this.#waiting.push(last);
    }
    last.set(frontend, flows);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      for (const family of FAMILIES) {
        const flows = [...next.values()].filter((stale) => stale.family === family);
        if (flows.length > 0) await this.#clean(family, flows);
      }
    }
    this.#isRunning = false;
  }

  async #clean(family: Family, flows: readonly StaleFlows[]): Promise<void> {
    const started = this.#now();
    try {
      const deleted = await this.#delete(flows);
      this.#events.onCleaned(family, deleted, this.#now() - started);
    } catch (error) {
      this.#events.onFailure(error);
    }
  }
}
