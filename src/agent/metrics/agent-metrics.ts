/** Counts what the agent does, and answers those who ask. docs/metrics.md says what each metric means. */
import type { Counter } from 'prom-client';
import type { WallTime } from '../../core/clock.ts';
import type { Family } from '../../core/ip.ts';
import type { ObjectKey } from '../../core/model.ts';
import type { DriftReport } from '../../planes/plane.ts';
import { type Count, type Observe, counterOf, histogramOf } from './children.ts';
import type { MetricsMode } from './definition.ts';
import { type Exposition, openMetricsText, prometheusText } from './exposition.ts';
import { IpvsMetrics, type IpvsMetricsOptions } from './ipvs-metrics.ts';
import { MetricSet } from './metric-set.ts';
import { processStart, readProcess } from './process-metrics.ts';
import { type Round, RoundMetrics } from './round-metrics.ts';
import { type TrafficOptions, serviceTraffic } from './service-traffic.ts';
import { type FeatureGate, setModeMetric, setVersionMetrics } from './version-metrics.ts';

/** What {@link AgentMetrics} have to know. */
export interface AgentMetricsOptions {
  readonly mode: MetricsMode;
  /** Families that are served. */
  readonly families: readonly Family[];
  readonly wallTime: WallTime;
  /** Of Switchyard. */
  readonly version: string;
  readonly featureGates: readonly FeatureGate[];
  /** `undefined`: traffic is not counted. */
  readonly traffic: TrafficOptions | undefined;
  /** Used in ipvs mode only. */
  readonly ipvs: IpvsMetricsOptions | undefined;
}

/** What is programmed. */
export interface PlanFacts {
  readonly services: number;
  readonly routes: number;
  /** Service ports that have endpoints, but none that their policy `Local` allows on this node. */
  readonly noLocalEndpoints: readonly {
    readonly family: Family;
    readonly internal: number;
    readonly external: number;
  }[];
}

/** One request to the API server that is over. */
export interface ApiRequestFacts {
  readonly method: string;
  /** Host and port of the server. */
  readonly host: string;
  /** HTTP status; `undefined` when there was no answer. */
  readonly code: number | undefined;
  /** Until the answer began, or the failure. */
  readonly seconds: number;
}

/** Code of a request without an answer, as client-go has it. */
const NO_ANSWER = '<error>';

/** The agent's metrics, in a registry of their own. */
export class AgentMetrics {
  readonly #options: AgentMetricsOptions;
  #set: MetricSet;
  readonly #families: readonly Family[];
  readonly #wallTime: WallTime;
  #rounds: RoundMetrics;
  readonly #traffic: ReturnType<typeof serviceTraffic> | undefined;
  #ipvs: IpvsMetrics | undefined;
  readonly #serviceChanges: Counter;
  readonly #sliceChanges: Counter;
  readonly #flows: ReadonlyMap<Family, { readonly seconds: Observe; readonly deleted: Count }>;
  // These change more often than somebody asks: they become metrics then.
  readonly #pendingServices = new Set<ObjectKey>();
  #pendingSlices = 0;
  /** Milliseconds since 1970. */
  #queuedAt: number;
  #syncedAt: number | undefined;
  #facts: PlanFacts | undefined;

  constructor(options: AgentMetricsOptions) {
    const { mode, families, wallTime, version, featureGates, traffic } = options;
    const set = new MetricSet(mode);
    this.#options = options;
    this.#set = set;
    this.#families = families;
    this.#wallTime = wallTime;
    this.#queuedAt = wallTime();
    this.#rounds = new RoundMetrics(set, families, this.#queuedAt);
    this.#traffic =
      traffic &&
      serviceTraffic(
        traffic,
        set.counter('switchyard_service_traffic_failures_total'),
        set.gauge('switchyard_service_ports_left_out'),
      );
    this.#ipvs = this.#ipvsOf(mode);
    this.#serviceChanges = set.counter('kubeproxy_sync_proxy_rules_service_changes_total');
    this.#sliceChanges = set.counter('kubeproxy_sync_proxy_rules_endpoint_changes_total');
    const flowSeconds = set.histogram('kubeproxy_conntrack_reconciler_sync_duration_seconds');
    const flowsDeleted = set.counter('kubeproxy_conntrack_reconciler_deleted_entries_total');
    this.#flows = new Map(
      families.map((family) => {
        const labels = { ip_family: family };
        const seconds = histogramOf(flowSeconds, labels);
        return [family, { seconds, deleted: counterOf(flowsDeleted, labels) }];
      }),
    );
    set.gauge('process_start_time_seconds').set(processStart(this.#queuedAt));
    setVersionMetrics(set, mode, version, featureGates);
  }

  /**
   * Goes on in another mode. What is observed of rounds begins again at 0, as with another process; what only the mode
   * before has keeps its last values.
   */
  setMode(mode: MetricsMode): void {
    this.#set = new MetricSet(mode, this.#set);
    this.#rounds = new RoundMetrics(this.#set, this.#families, this.#wallTime());
    this.#ipvs = this.#ipvsOf(mode);
    setModeMetric(this.#set, mode, this.#options.version);
  }

  /** An event of a Service. */
  serviceChanged(service: ObjectKey): void {
    this.#serviceChanges.inc(this.#families.length);
    this.#pendingServices.add(service);
  }

  /** An event of an EndpointSlice that belongs to a Service. */
  sliceChanged(family: Family): void {
    if (!this.#families.includes(family)) return;
    this.#sliceChanges.inc();
    this.#pendingSlices++;
  }

  /** Something happened that needs a round of programming. */
  syncQueued(): void {
    this.#queuedAt = this.#wallTime();
  }

  /** A round begins with everything that changed until now. */
  syncStarted(): void {
    this.#pendingServices.clear();
    this.#pendingSlices = 0;
  }

  /** A round is over: to be told of each, also of one that found nothing to write. */
  synced(round: Round): void {
    const now = this.#wallTime();
    this.#rounds.done(round, now);
    if (round.ok) this.#syncedAt = now;
  }

  /** What is programmed after a round that did not fail. */
  planned(facts: PlanFacts): void {
    this.#facts = facts;
  }

  /** The kernel was compared with what was programmed. */
  verified({ drift, operations }: Pick<DriftReport, 'drift' | 'operations'>): void {
    const isClean = drift.length === 0;
    const result = isClean ? 'clean' : 'repaired';
    this.#set.counter('switchyard_verifications_total').inc({ result });
    if (!isClean) this.#set.counter('switchyard_drift_repaired_total').inc(operations);
  }

  /** A Service was programmed without the scheduler it asks for, which the kernel lacks. */
  schedulerMissing(service: ObjectKey): void {
    this.#ipvs?.schedulerMissing(service);
  }

  /** Stale flows of a family are gone. */
  flowsDeleted(family: Family, deleted: number, seconds: number): void {
    const metrics = this.#flows.get(family);
    metrics?.deleted.inc(deleted);
    metrics?.seconds.observe(seconds);
  }

  /** `/healthz` was answered with this status. */
  healthzAnswered(code: number): void {
    this.#set.counter('kubeproxy_proxy_healthz_total').inc({ code });
  }

  /** `/livez` was answered with this status. */
  livezAnswered(code: number): void {
    this.#set.counter('kubeproxy_proxy_livez_total').inc({ code });
  }

  /** Changes of a resource of the API server arrive (again). */
  watchWorks(resource: string): void {
    this.#set.gauge('switchyard_watch_up').set({ resource }, 1);
  }

  /** Listing or watching a resource has a trouble that it did not have. */
  watchFailed(resource: string): void {
    this.#set.gauge('switchyard_watch_up').set({ resource }, 0);
    this.#set.counter('switchyard_watch_failures_total').inc({ resource });
  }

  /** How many objects of a resource are held. */
  objectsHeld(resource: string, count: number): void {
    this.#set.gauge('switchyard_objects').set({ resource }, count);
  }

  /** A request to the API server is over, or its answer has begun. */
  apiRequest({ method, host, code, seconds }: ApiRequestFacts): void {
    const labels = { code: code ?? NO_ANSWER, method, host };
    this.#set.counter('rest_client_requests_total').inc(labels);
    const duration = this.#set.histogram('rest_client_request_duration_seconds');
    duration.observe({ verb: method, host }, seconds);
  }

  /** All values, as OpenMetrics or in Prometheus' own text format. */
  async expose(openMetrics: boolean): Promise<Exposition> {
    // Before the registry is asked: they set some of its values.
    const [traffic = '', ipvs = ''] = await Promise.all([
      this.#traffic?.text(),
      this.#ipvs?.text(),
      readProcess(this.#set),
    ]);
    this.#setState();
    const text = `${await this.#set.text()}${traffic}${ipvs}`;
    return openMetrics ? openMetricsText(text) : prometheusText(text);
  }

  #ipvsOf(mode: MetricsMode): IpvsMetrics | undefined {
    const { ipvs } = this.#options;
    return mode === 'ipvs' && ipvs !== undefined ? new IpvsMetrics(ipvs, this.#set) : undefined;
  }

  #setState(): void {
    const set = this.#set;
    const services = set.gauge('kubeproxy_sync_proxy_rules_service_changes_pending');
    services.set(this.#pendingServices.size);
    const slices = set.gauge('kubeproxy_sync_proxy_rules_endpoint_changes_pending');
    slices.set(this.#pendingSlices);
    const queued = set.gauge('kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds');
    const synced = set.gauge('kubeproxy_sync_proxy_rules_last_timestamp_seconds');
    for (const family of this.#families) {
      queued.set({ ip_family: family }, this.#queuedAt / 1000);
      if (this.#syncedAt !== undefined) synced.set({ ip_family: family }, this.#syncedAt / 1000);
    }
    if (this.#facts !== undefined) this.#setFacts(this.#facts);
  }

  #setFacts({ services, routes, noLocalEndpoints }: PlanFacts): void {
    this.#set.gauge('switchyard_services').set(services);
    this.#set.gauge('switchyard_routes').set(routes);
    const gauge = this.#set.gauge('kubeproxy_sync_proxy_rules_no_local_endpoints_total');
    for (const { family, internal, external } of noLocalEndpoints) {
      gauge.set({ ip_family: family, traffic_policy: 'internal' }, internal);
      gauge.set({ ip_family: family, traffic_policy: 'external' }, external);
    }
  }
}
