/** What can be made to go wrong with answers. Watches that are open already are harmed by the methods of Watch. */
import type { StatusError } from './errors.ts';
import type { RequestRecord } from './request.ts';
import { internalError } from './status.ts';

export type Fault =
  /** This answer in place of the true one. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string | Buffer;
    }
  /** A Status in place of the true answer, in the content type the client accepts. */
  | { readonly kind: 'refuse'; readonly error: StatusError }
  /** A list, or a watch-list, without objects in place of the true one. */
  | { readonly kind: 'emptyList' }
  /** The true answer, that many milliseconds later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** No answer; the connection stays. */
  | { readonly kind: 'hang' }
  /** No answer; the connection breaks. */
  | { readonly kind: 'reset' }
  /** The true answer, whose connection breaks after that many bytes of its body. */
  | { readonly kind: 'truncate'; readonly bytes: number };

/** Tells which requests a fault is for. */
export type RequestMatch = (request: RequestRecord) => boolean;

interface Planned {
  readonly match: RequestMatch;
  readonly fault: Fault;
  times: number;
}

/** The faults of requests to come. */
export class FaultPlan {
  readonly #planned = new Set<Planned>();

  /**
   * Plans a fault for the next `times` requests that match. Of several faults for a request the oldest happens. Returns a function
   * that takes the fault back.
   */
  add(match: RequestMatch, fault: Fault, times = 1): () => void {
    const planned = { match, fault, times };
    this.#planned.add(planned);
    return () => {
      this.#planned.delete(planned);
    };
  }

  /** The fault of a request, which is then used up once. */
  take(request: RequestRecord): Fault | undefined {
    for (const planned of this.#planned) {
      if (!planned.match(request)) continue;
      if (--planned.times <= 0) this.#planned.delete(planned);
      return planned.fault;
    }
    return undefined;
  }
}

/** 500 with a Status, as a real server answers while its etcd has no leader. */
export const SERVER_ERROR: Fault = {
  kind: 'refuse',
  error: internalError('etcdserver: leader changed'),
};

/** 429 in plain text, as the server's priority and fairness filter answers (server/filters/priority-and-fairness.go). */
export function tooBusy(retryAfterSeconds: number): Fault {
  return {
    kind: 'answer',
    status: 429,
    headers: {
      'Content-Type': 'text/plain; charset=utf-8',
      'Retry-After': String(retryAfterSeconds),
      'X-Content-Type-Options': 'nosniff',
    },
    body: 'Too many requests, please try again later.\n',
  };
}

/** A page for people, as proxies and captive portals answer. */
export function htmlPage(status: number): Fault {
  return {
    kind: 'answer',
    status,
    headers: { 'Content-Type': 'text/html' },
    body: '<html><head><title>Gateway</title></head><body><h1>Please log in</h1></body></html>\n',
  };
}
