/** Adds up what one call writes. */
import type { ServiceNotice, WriteReport } from './plane.ts';

/** Lines that are kept. */
export const MAX_DRIFT_LINES = 20;

/** The report of one call, while it is under way. */
export class ReportBuilder {
  readonly drift: string[] = [];
  readonly #notices: ServiceNotice[] = [];
  #operations = 0;
  #batches = 0;
  #kernelMs = 0;

  /** Carries out something that writes so many kernel objects at once, and measures it. */
  async write<T>(operations: number, act: () => T | Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await act();
    } finally {
      this.#operations += operations;
      this.#batches += 1;
      this.#kernelMs += performance.now() - started;
    }
  }

  /** Something was other than it should be. */
  note(what: string): void {
    if (this.drift.length < MAX_DRIFT_LINES) this.drift.push(what);
  }

  notice(notice: ServiceNotice): void {
    this.#notices.push(notice);
  }

  done(): WriteReport {
    return {
      operations: this.#operations,
      batches: this.#batches,
      kernelMs: this.#kernelMs,
      notices: this.#notices,
    };
  }
}
