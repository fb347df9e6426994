/** Remembers what became of the agent's work, for who asks later. */
import type { WallTime } from '../../core/clock.ts';
import { describeError } from '../describe-error.ts';
import { rfc3339 } from '../http/time-text.ts';
import type { PipelineEvents } from '../pipeline.ts';
import type { PlanTotals } from '../planner.ts';
import type { StatusDocument } from './documents.ts';

/** What does not change. */
type Subject = Pick<StatusDocument, 'version' | 'pid' | 'node'>;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type History = Mutable<
  Pick<StatusDocument, 'servingSince' | 'lastProgrammed' | 'lastError' | 'lastRepair'>
>;

/** The state of one agent. */
export class AgentStatus {
  readonly #subject: Subject;
  readonly #wallTime: WallTime;
  readonly #startedAt: string;
  readonly #history: History = {};

  constructor(subject: Subject, wallTime: WallTime) {
    this.#subject = subject;
    this.#wallTime = wallTime;
    this.#startedAt = rfc3339(wallTime());
  }

  /** Watches what `events` is told, too. */
  watch(events: PipelineEvents): PipelineEvents {
    const history = this.#history;
    return {
      ...events,
      onSynced: (synced) => {
        history.servingSince ??= this.#now();
        const { programmed } = synced;
        if (programmed !== undefined) {
          const { operations, latencyMs } = programmed;
          history.lastProgrammed = { at: this.#now(), operations, latencyMs };
        }
        events.onSynced(synced);
      },
      onFailure: (error, retryMs, round) => {
        history.lastError = { at: this.#now(), error: describeError(error), lasts: true };
        events.onFailure(error, retryMs, round);
      },
      onRecovered: () => {
        if (history.lastError !== undefined)
          history.lastError = { ...history.lastError, lasts: false };
        events.onRecovered();
      },
      onVerified: (report) => {
        const { drift } = report;
        if (drift.length > 0) history.lastRepair = { at: this.#now(), drift };
        events.onVerified(report);
      },
    };
  }

  /** As of now. */
  describe(mode: string, { services, routes, objects }: PlanTotals): StatusDocument {
    return {
      ...this.#subject,
      mode,
      startedAt: this.#startedAt,
      counts: {
        services: objects.Services,
        endpointSlices: objects.EndpointSlices,
        servedServices: services,
        routes,
      },
      ...this.#history,
    };
  }

  #now(): string {
    return rfc3339(this.#wallTime());
  }
}
