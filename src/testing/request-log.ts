import type { RequestMatch } from './faults.ts';
import type { RequestRecord } from './request.ts';

/** Older requests are forgotten. */
const LIMIT = 10_000;

interface Waiter {
  readonly match: RequestMatch;
  readonly resolve: (request: RequestRecord) => void;
}

/** The requests that came, and those who wait for one. */
export class RequestLog {
  readonly #requests: RequestRecord[] = [];
  readonly #waiters = new Set<Waiter>();

  /** All requests, the oldest first. */
  get requests(): readonly RequestRecord[] {
    return this.#requests;
  }

  /** Resolves with the next request that matches, once its answer has begun or a fault has swallowed it. */
  async next(match: RequestMatch): Promise<RequestRecord> {
    return new Promise((resolve) => {
      this.#waiters.add({ match, resolve });
    });
  }

  add(request: RequestRecord): void {
    this.#requests.push(request);
    if (this.#requests.length > LIMIT) this.#requests.shift();
  }

  /** The request has got what it gets. */
  settle(request: RequestRecord): void {
    for (const waiter of this.#waiters) {
      if (!waiter.match(request)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(request);
    }
  }
}
