/** Turns what happens into log lines, and says the same thing once only. */
import type { Family } from '../core/ip.ts';
import { type ObjectKey, objectKey } from '../core/model.ts';
import type { Conflict } from '../core/route-table.ts';
import type { ObjectChange } from '../core/change.ts';
import type { ManifestProblem } from '../manifests/ledger.ts';
import type { ManifestUpdate } from '../manifests/source.ts';
import type { DriftReport, WriteReport } from '../planes/plane.ts';
import type { KubeError } from '../kube/errors.ts';
import type { ObjectProblem } from '../kube/object-table.ts';
import { ApiTroubles } from './api-troubles.ts';
import type { ConntrackOutcome } from './node-setup.ts';
import { describeError } from './describe-error.ts';
import type { FlowCleanerEvents } from './flow-cleaner.ts';
import type { Logger } from './log.ts';
import type { NodeDescription } from './node.ts';
import type { Programmed } from './pipeline.ts';
import { ReportOnce } from './report-once.ts';

/** Problems of one update that are written out; a file in a wrong format has thousands. */
const MAX_PROBLEMS = 20;
/** Services that are named in a line. */
const MAX_NAMES = 3;
/** Verbosity at which every batch has a line. */
const CHATTY = 2;

interface Inventory {
  readonly services: Set<string>;
  /** Number of endpoints by slice. */
  readonly endpoints: Map<string, number>;
}

/** What is served from where. */
export interface Subject {
  readonly mode: string;
  /** Path of manifests, or URL of the API server. */
  readonly source: string;
  readonly nodeName: string;
}

/** The agent's log. */
export class Reporter implements FlowCleanerEvents {
  readonly #subject: Subject;
  readonly #agent: Logger;
  readonly #api: Logger;
  readonly #http: Logger;
  readonly #manifests: Logger;
  readonly #pipeline: Logger;
  readonly #once = new ReportOnce();
  readonly #apiTroubles = new ApiTroubles();
  /** What is there at the start; `undefined` once that was told. */
  #initial: Inventory | undefined = { services: new Set(), endpoints: new Map() };
  #nodePortAddresses = '';

  constructor(subject: Subject, log: Logger) {
    this.#subject = subject;
    this.#agent = log.part('agent');
    this.#api = log.part('api');
    this.#http = log.part('http');
    this.#manifests = log.part('manifests');
    this.#pipeline = log.part('pipeline');
  }

  /** New facts about the node. */
  node({ view, problems }: NodeDescription): void {
    this.#nodePortAddresses = view.nodePortAddresses.join(',');
    for (const problem of this.#once.news('node', problems)) this.#agent.warning(problem);
  }

  /** Objects changed. */
  changed(changes: readonly ObjectChange[]): void {
    for (const change of changes) this.#take(change);
  }

  /** What is wrong with the manifests. */
  manifests({ problems, ignored }: ManifestUpdate): void {
    for (const { file, type } of ignored) {
      this.#manifests.info('Ignored a kind that is not read', { file, type });
    }
    for (const problem of problems.slice(0, MAX_PROBLEMS)) this.#problem(problem);
    const more = problems.length - MAX_PROBLEMS;
    if (more > 0) this.#manifests.warning('More problems are not listed', { problems: more });
  }

  /** The kernel has a batch. */
  programmed(programmed: Programmed): void {
    const { how, services, routes, operations, batches } = programmed;
    if (this.#pipeline.v(CHATTY)) {
      this.#pipeline.info('Programmed', {
        how,
        services: nameSome(services),
        routes,
        operations,
        batches,
        kernel_ms: round(programmed.kernelMs),
        latency_ms: round(programmed.latencyMs),
      });
    }
    if (this.#initial === undefined) return;
    const { services: known, endpoints } = this.#initial;
    this.#initial = undefined;
    const { mode, source, nodeName } = this.#subject;
    this.#agent.info('Serving', {
      mode,
      source,
      node: nodeName,
      services: known.size,
      endpoints: endpoints.values().reduce((sum, count) => sum + count, 0),
      routes,
      node_ports_on: this.#nodePortAddresses,
      ms: round(programmed.latencyMs),
    });
  }

  /** A call to the data plane failed. */
  failure(error: unknown, retryMs: number): void {
    const text = describeError(error);
    for (const news of this.#once.news('plane', [text])) {
      this.#pipeline.error(
        'Programming failed; what is programmed stays, everything is tried again',
        {
          err: news,
          retry_ms: retryMs,
        },
      );
    }
  }

  /** The first success after failures. */
  recovered(): void {
    this.#once.news('plane', []);
    this.#pipeline.info('Programming works again');
  }

  /** The kernel was compared with what was programmed. */
  verified({ drift, operations }: DriftReport): void {
    if (drift.length === 0 && !this.#pipeline.v(CHATTY)) return;
    if (drift.length === 0) this.#pipeline.info('Verified', { operations });
    else
      this.#pipeline.warning('Somebody else changed our rules; repaired', {
        operations,
        drift: drift.join('; '),
      });
  }

  /** All that cannot be served of a Service. */
  problems(service: ObjectKey, problems: readonly string[]): void {
    for (const problem of this.#once.news(service, problems)) {
      this.#pipeline.warning('A part of a Service is not served', { service, problem });
    }
  }

  /** What of a Service is programmed in another way than it asks for. Returns what is news. */
  notices(service: ObjectKey, texts: readonly string[]): readonly string[] {
    const news = this.#once.news(`notices of ${service}`, texts);
    for (const notice of news) {
      this.#pipeline.warning('A Service is served in another way than it asks for', {
        service,
        notice,
      });
    }
    return news;
  }

  /** Work that only time brings was done. */
  tended({ operations }: WriteReport): void {
    if (this.#pipeline.v(CHATTY)) this.#pipeline.info('Tended', { operations });
  }

  /** A frontend that two Services claim. */
  conflict({ frontend, winner, loser }: Conflict): void {
    this.#pipeline.warning('Two Services ask for the same address and port', {
      frontend,
      served: winner,
      not_served: loser,
    });
  }

  /** Stale UDP flows are gone. */
  onCleaned(family: Family, deleted: number, milliseconds: number): void {
    this.#once.news('flows', []);
    if (!this.#pipeline.v(CHATTY)) return;
    const ms = round(milliseconds);
    this.#pipeline.info('Deleted stale UDP flows', { family, flows: deleted, ms });
  }

  /** Stale UDP flows could not be deleted. */
  onFailure(error: unknown): void {
    for (const err of this.#once.news('flows', [describeError(error)])) {
      this.#pipeline.error('Stale UDP flows were not deleted; clients may have to reconnect', {
        err,
      });
    }
  }

  /** Something in an object of the API cannot be used. */
  objectProblem({ object, field, message, lastGoodStays }: ObjectProblem): void {
    this.#api.warning('Problem in an object', {
      object,
      field,
      problem: message,
      in_force: lastGoodStays ? 'the last good state' : undefined,
    });
  }

  /** A collection cannot be followed at the moment; what is programmed stays. */
  apiTrouble(resource: string, error: KubeError, retryMs: number): void {
    if (!this.#apiTroubles.begins(resource, error.code)) return;
    this.#api.warning('Cannot follow the API; what is programmed stays', {
      resource: ApiTroubles.isOfServer(error.code) ? undefined : resource,
      err: describeError(error),
      retry_ms: Math.round(retryMs),
    });
  }

  /** It can be followed again. */
  apiRecovered(resource: string): void {
    const { ofServer, ofCollection } = this.#apiTroubles.ends(resource);
    if (ofCollection) this.#api.info('Following the API again', { resource });
    if (ofServer) this.#api.info('The API server can be reached again');
  }

  /** Only the Node is missing. */
  nodeAwaited(waitMs: number): void {
    const { nodeName } = this.#subject;
    this.#api.info('Waiting for the Node to be there with an address', {
      node: nodeName,
      wait_ms: waitMs,
    });
  }

  /** The Node did not come in time. */
  nodeMissing(waitedMs: number): void {
    const { nodeName } = this.#subject;
    this.#api.warning('No Node with an address; starting without', {
      node: nodeName,
      waited_ms: waitedMs,
    });
  }

  /** An Event could not be written and is given up. */
  eventLost(reason: string, error: KubeError): void {
    for (const err of this.#once.news(`event ${reason}`, [describeError(error)])) {
      this.#api.warning('An Event was not written', { reason, err });
    }
  }

  /** Connection tracking was set up. */
  conntrack({ written, absent }: ConntrackOutcome): void {
    for (const { name, value, before } of written) {
      this.#agent.info('Set a sysctl', { name, value, before });
    }
    if (absent.length > 0) {
      this.#agent.info('Sysctls that this kernel or network namespace does not have are left out', {
        names: absent.join(','),
      });
    }
  }

  /** Something of this machine could not be set up; the proxy works without. */
  setupFailed(error: Error): void {
    this.#agent.warning('The node is not set up as asked for', { err: describeError(error) });
  }

  /** A port is served. */
  listening(purpose: string, where: string): void {
    this.#http.info('Listening', { for: purpose, at: where });
  }

  /** A port cannot be had, and is tried again. */
  notListening(message: string): void {
    this.#http.error('Cannot listen; it is tried again every 5 s', { err: message });
  }

  /** Health checks of a Service are not served, or not at all its addresses. */
  healthCheckFailed(service: ObjectKey, error: Error): void {
    this.#http.error('Health checks of a Service are not served; it is tried again', {
      service,
      err: describeError(error),
    });
  }

  /** A switch to another mode has come one step further. */
  switching(step: string, facts: Readonly<Record<string, string | number | undefined>>): void {
    this.#agent.info('Switching the mode', { step, ...facts });
  }

  /** Something of a switch does not work. */
  switchTrouble(what: string, err: string): void {
    this.#agent.error('Trouble with a switch of the mode', { doing: what, err });
  }

  /** What another plane had left is removed, or drains. */
  leftover(plane: string): void {
    this.#agent.info('Removed what another plane had left', { plane });
  }

  /** A request could not be answered. */
  requestFailed(error: unknown): void {
    for (const err of this.#once.news('request', [describeError(error)])) {
      this.#http.error('A request could not be answered', { err });
    }
  }

  #problem({ file, line, field, object, message, lastGoodStays }: ManifestProblem): void {
    this.#manifests.warning('Problem in a manifest', {
      at: line === undefined ? file : `${file}:${line}`,
      field: field === '' ? undefined : field,
      object,
      problem: message,
      in_force: lastGoodStays ? 'the last good state' : undefined,
    });
  }

  #take({ type, item }: ObjectChange): void {
    if (this.#initial === undefined) return;
    if (item.kind !== 'Service' && item.kind !== 'EndpointSlice') return;
    const { services, endpoints } = this.#initial;
    const key = objectKey(item.object.namespace, item.object.name);
    if (item.kind === 'Service') {
      if (type === 'set') services.add(key);
      else services.delete(key);
    } else if (type === 'set') endpoints.set(key, item.object.endpoints.length);
    else endpoints.delete(key);
  }
}

function nameSome(services: readonly ObjectKey[]): string {
  const more = services.length - MAX_NAMES;
  const names = services.slice(0, MAX_NAMES).join(',');
  return more > 0 ? `${names} and ${more} more` : names;
}

/** To hundredths. */
function round(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100;
}
