import { readFileSync } from 'node:fs';
import type { Source } from './access.ts';
import type { Clock } from '../core/clock.ts';
import { KubeError } from './errors.ts';

/** Bound service account tokens are replaced in place long before they end; client-go looks each minute, too. */
const REREAD_MS = 60_000;

/** What a file is for, and what it says until it could be read. */
export interface RereadOptions {
  /** In the words of a message: `the token`. */
  readonly what: string;
  readonly fallback?: string | undefined;
}

/** A small file that is read again when it was used for a minute. What was read once stays when it cannot be. */
export class RereadFile implements Source {
  readonly #path: string;
  readonly #what: string;
  readonly #clock: Pick<Clock, 'now'>;
  #text: string | undefined;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(path: string, clock: Pick<Clock, 'now'>, { what, fallback }: RereadOptions) {
    this.#path = path;
    this.#what = what;
    this.#clock = clock;
    this.#text = fallback;
  }

  read(): string {
    const now = this.#clock.now();
    if (this.#text !== undefined && now - this.#readAt < REREAD_MS) return this.#text;
    try {
      const text = readFileSync(this.#path, 'utf8');
      if (text.trim() === '') throw new Error('it is empty');
      this.#text = text;
    } catch (error) {
      if (this.#text === undefined) throw this.#unreadable(error);
    }
    this.#readAt = now;
    return this.#text;
  }

  expire(): void {
    this.#readAt = Number.NEGATIVE_INFINITY;
  }

  #unreadable(cause: unknown): KubeError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const advice = 'Mount or write the file, or correct the path.';
    const message = `Cannot read ${this.#what} from ${this.#path}: ${reason}. ${advice}`;
    return new KubeError('SY_KUBE_CREDENTIALS', message, { cause });
  }
}
