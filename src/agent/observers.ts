/** Everybody who is told what happens in the pipeline: log, metrics, health, listeners, Events. */
import type { ObjectChange } from '../core/change.ts';
import type { Family } from '../core/ip.ts';
import { type ObjectKey, objectKey, splitKey } from '../core/model.ts';
import type { HealthState } from './http/health-state.ts';
import type { ServiceHealth } from './http/service-health.ts';
import type { ApiEvents } from './api-source.ts';
import { describeError } from './describe-error.ts';
import { type EventSink, nodeWarning, serviceWarning, starting } from './event-notes.ts';
import type { FlowCleaner, FlowCleanerEvents } from './flow-cleaner.ts';
import type { AgentMetrics } from './metrics/agent-metrics.ts';
import type { PipelineEvents, Programmed, Synced } from './pipeline.ts';
import type { Reporter } from './reporter.ts';

/** Those who are told. */
export interface Observers {
  readonly nodeName: string;
  /** Families that are served. */
  readonly families: readonly Family[];
  readonly reporter: Reporter;
  readonly metrics: AgentMetrics;
  readonly health: HealthState;
  readonly serviceHealth: ServiceHealth;
  readonly events: EventSink;
  /** Services are served for the first time. */
  readonly onServing: () => void;
}

/** Tells them what the pipeline does. */
export function pipelineEvents(observers: Observers, cleaner: FlowCleaner): PipelineEvents {
  const { nodeName, families, reporter, metrics, health, events } = observers;
  let isServing = false;
  let isFailing = false;
  return {
    onQueued: () => {
      metrics.syncQueued();
      for (const family of families) health.queuedUpdate(family);
    },
    onStarted: () => {
      metrics.syncStarted();
    },
    onSynced: (synced) => {
      for (const family of families) health.updated(family);
      isFailing = false;
      measure(metrics, synced);
      updateHealthChecks(observers.serviceHealth, synced);
      if (synced.programmed !== undefined) {
        reporter.programmed(synced.programmed);
        tellNotices(observers, synced.programmed);
        countMissingSchedulers(metrics, synced.programmed);
      }
      if (isServing) return;
      isServing = true;
      observers.onServing();
      events.record(starting(nodeName));
    },
    onFailure: (error, retryMs, round) => {
      if (round !== undefined) {
        const { how, ms } = round;
        const nothing = { latencyMs: 0, operations: 0, triggers: [] };
        metrics.synced({ ...nothing, how, ok: false, seconds: ms / 1000 });
      }
      reporter.failure(error, retryMs);
      if (isFailing) return;
      isFailing = true;
      const note = describeError(error);
      events.record(nodeWarning(nodeName, 'FailedToProgramRules', 'SyncRules', note));
    },
    onRecovered: () => {
      reporter.recovered();
    },
    onVerified: (report) => {
      metrics.verified(report);
      reporter.verified(report);
    },
    onTended: (report) => {
      reporter.tended(report);
    },
    onProblems: (service, problems) => {
      reporter.problems(service, problems);
    },
    onConflict: (conflict) => {
      reporter.conflict(conflict);
    },
    onStaleFlows: (stale) => {
      cleaner.clean(stale);
    },
  };
}

/** Log and Event for each wish of a Service that was not granted, once. */
function tellNotices({ reporter, events }: Observers, { services, notices }: Programmed): void {
  const texts = new Map<ObjectKey, string[]>(services.map((service) => [service, []]));
  for (const { service, text } of notices) {
    const known = texts.get(service);
    if (known === undefined) texts.set(service, [text]);
    else known.push(text);
  }
  for (const [service, all] of texts) {
    for (const text of reporter.notices(service, all)) {
      events.record(serviceWarning(service, 'ProgrammedDifferently', 'SyncRules', text));
    }
  }
}

/** Each Service once a round, however many ports and families it has. */
function countMissingSchedulers(metrics: AgentMetrics, { notices }: Programmed): void {
  const services = notices.flatMap(({ about, service }) => (about === 'scheduler' ? service : []));
  for (const service of new Set(services)) metrics.schedulerMissing(service);
}

/** Tells them of stale flows that were deleted. */
export function flowEvents({
  reporter,
  metrics,
}: Pick<Observers, 'reporter' | 'metrics'>): FlowCleanerEvents {
  return {
    onCleaned: (family, deleted, ms) => {
      metrics.flowsDeleted(family, deleted, ms / 1000);
      reporter.onCleaned(family, deleted, ms);
    },
    onFailure: (error) => {
      reporter.onFailure(error);
    },
  };
}

/** Tells them how the API is doing. */
export function apiEvents({
  reporter,
  metrics,
}: Pick<Observers, 'reporter' | 'metrics'>): ApiEvents {
  return {
    onSynced: (resource) => {
      metrics.watchWorks(resource);
    },
    onProblem: (problem) => {
      reporter.objectProblem(problem);
    },
    onTrouble: (resource, error, retryMs) => {
      metrics.watchFailed(resource);
      reporter.apiTrouble(resource, error, retryMs);
    },
    onRecovered: (resource) => {
      metrics.watchWorks(resource);
      reporter.apiRecovered(resource);
    },
    onNodeAwaited: (waitMs) => {
      reporter.nodeAwaited(waitMs);
    },
    onNodeMissing: (waitedMs) => {
      reporter.nodeMissing(waitedMs);
    },
  };
}

/** Tells them of changes of objects, before anything is decided. */
export function noteChanges(
  { reporter, metrics }: Pick<Observers, 'reporter' | 'metrics'>,
  changes: readonly ObjectChange[],
): void {
  reporter.changed(changes);
  for (const { item } of changes) {
    if (item.kind === 'EndpointSlice') metrics.sliceChanged(item.object.family);
    else if (item.kind === 'Service') {
      metrics.serviceChanged(objectKey(item.object.namespace, item.object.name));
    }
  }
}

function measure(metrics: AgentMetrics, synced: Synced): void {
  const { how, ms, programmed, slices, totals } = synced;
  const triggers = [...slices.values()].flatMap(({ family, triggeredAt }) =>
    triggeredAt === undefined ? [] : [{ family, triggeredAt }],
  );
  metrics.synced({
    how,
    ok: true,
    seconds: ms / 1000,
    latencyMs: programmed?.latencyMs ?? 0,
    operations: programmed?.operations ?? 0,
    triggers,
  });
  const { services, routes, localGaps: noLocalEndpoints } = totals;
  metrics.planned({ services, routes, noLocalEndpoints });
  for (const [resource, count] of Object.entries(totals.objects))
    metrics.objectsHeld(resource, count);
}

function updateHealthChecks(serviceHealth: ServiceHealth, { healthChecks }: Synced): void {
  for (const [service, check] of healthChecks) {
    if (check === undefined) serviceHealth.remove(service);
    else serviceHealth.set({ ...splitKey(service), ...check });
  }
}
