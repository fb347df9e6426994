/** From object events to Route changes: the part of the pipeline that decides, without a kernel. */
import { type EndpointSlice, type ObjectKey, objectKey } from '../core/model.ts';
import type { NodeView } from '../core/node.ts';
import type { Route, RouteChange, RouteKey } from '../core/route.ts';
import { type Conflict, RouteTable } from '../core/route-table.ts';
import { type HealthCheck, select } from '../core/select/select.ts';
import { ObjectStore } from '../core/store.ts';
import type { ObjectChange } from '../core/change.ts';
import type { AgentClock } from './clock.ts';
import { type LocalGapCounts, LocalGaps } from './local-gaps.ts';
import { mergeChanges } from './merge-changes.ts';

/** What a round of planning decided. */
export interface Plan {
  /** Services that were decided on again. */
  readonly services: readonly ObjectKey[];
  /** At most one for each Route, in an order in which frontends are released before they are taken. */
  readonly changes: readonly RouteChange[];
  /** Two Services ask for the same address and port. */
  readonly conflicts: readonly Conflict[];
  /** The health-check node port of each of `services`; `undefined` where there is none. */
  readonly healthChecks: ReadonlyMap<ObjectKey, HealthCheck | undefined>;
  /** The slices that were set since the last plan, as they are now. */
  readonly slices: ReadonlyMap<ObjectKey, EndpointSlice>;
}

/** How much there is. */
export interface PlanTotals {
  /** Services with Routes. */
  readonly services: number;
  readonly routes: number;
  /** Objects that are held. */
  readonly objects: { readonly Services: number; readonly EndpointSlices: number };
  /** Service ports that a Local policy leaves without endpoints. */
  readonly localGaps: readonly LocalGapCounts[];
}

/** What is wanted. Iterables may be read while it changes: each item is as it is when its turn comes. */
export interface Planned {
  readonly objects: Pick<ObjectStore, 'get' | 'services' | 'slices'>;
  /** How much there is, as of the last plan. */
  readonly totals: PlanTotals;
  /** All Routes as of the last plan. */
  routes(): Iterable<Route>;
}

/** Told all that cannot be served of a Service each time it is decided on; an empty list when all is well. */
export type ProblemSink = (service: ObjectKey, problems: readonly string[]) => void;

/** Others get a turn after this many milliseconds of planning. */
const SLICE_MS = 5;
/** Services that are planned between two looks at the clock: where it is a real system call, a look costs as much as one of them. */
const SERVICES_A_LOOK = 4;

/** Holds the objects and the Routes that follow from them. */
export class Planner implements Planned {
  readonly #store = new ObjectStore();
  readonly #table = new RouteTable();
  readonly #onProblems: ProblemSink;
  #view: NodeView;
  readonly #gaps = new LocalGaps();
  #slices = new Map<ObjectKey, EndpointSlice>();
  #dirty = false;

  constructor(view: NodeView, onProblems: ProblemSink) {
    this.#view = view;
    this.#onProblems = onProblems;
  }

  get objects(): Planned['objects'] {
    return this.#store;
  }

  /** Something changed since the last {@link plan}. */
  get isDirty(): boolean {
    return this.#dirty;
  }

  get totals(): PlanTotals {
    return {
      services: this.#table.services,
      routes: this.#table.size,
      objects: this.#store.sizes,
      localGaps: this.#gaps.counts(),
    };
  }

  routes(): Iterable<Route> {
    return this.#table.routes();
  }

  /** Takes new states of Services and EndpointSlices; other objects are passed over. */
  accept(changes: readonly ObjectChange[]): void {
    for (const { type, item } of changes) {
      if (item.kind !== 'Service' && item.kind !== 'EndpointSlice') continue;
      const key = objectKey(item.object.namespace, item.object.name);
      this.#dirty = true;
      if (item.kind === 'Service') {
        if (type === 'set') this.#store.setService(item.object);
        else this.#store.removeService(key);
      } else if (type === 'set') {
        this.#store.setSlice(item.object);
        this.#slices.set(key, item.object);
      } else {
        this.#store.removeSlice(key);
        this.#slices.delete(key);
      }
    }
  }

  /** Takes new facts about the node and touches the Services that may depend on those that changed. */
  setView(view: NodeView): void {
    const old = this.#view;
    this.#view = view;
    const isSame = old.name === view.name && old.zone === view.zone;
    if (!isSame || !equal(old.primaryAddresses, view.primaryAddresses)) this.#store.markAll();
    else if (!equal(old.nodePortAddresses, view.nodePortAddresses)) this.#store.markWithNodePorts();
    else return;
    this.#dirty = true;
  }

  /** Decides on every Service that was touched, with breaks when there are many. */
  async plan(clock: Pick<AgentClock, 'now' | 'breathe'>): Promise<Plan> {
    this.#dirty = false;
    const services = this.#store.takeDirty();
    const setSlices = this.#slices;
    this.#slices = new Map();
    const healthChecks = new Map<ObjectKey, HealthCheck | undefined>();
    const changes = new Map<RouteKey, RouteChange>();
    let sliceEnd = clock.now() + SLICE_MS;
    let done = 0;
    for (const key of services) {
      const { service, slices } = this.#store.get(key);
      if (service === undefined) {
        mergeChanges(changes, this.#table.replace(key, [], ''));
        healthChecks.set(key, undefined);
        this.#onProblems(key, []);
      } else {
        const { routes, healthCheck, problems } = select(service, slices, this.#view);
        mergeChanges(changes, this.#table.replace(key, routes, service.createdAt));
        healthChecks.set(key, healthCheck);
        this.#onProblems(key, problems);
      }
      done += 1;
      if (done % SERVICES_A_LOOK !== 0 || clock.now() < sliceEnd) continue;
      await clock.breathe();
      sliceEnd = clock.now() + SLICE_MS;
    }
    const list = [...changes.values()];
    this.#gaps.take(list);
    const conflicts = this.#table.takeConflicts();
    return { services, changes: list, conflicts, healthChecks, slices: setSlices };
  }
}

function equal(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index]);
}
