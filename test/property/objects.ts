/** Objects, Routes and the changes of Routes under random events, as in the agent. */
import { mergeChanges } from '../../src/agent/merge-changes.ts';
import { RouteTable } from '../../src/core/route-table.ts';
import type { RouteChange, RouteKey } from '../../src/core/route.ts';
import { select } from '../../src/core/select/select.ts';
import { ObjectStore } from '../../src/core/store.ts';
import { type ObjectEvent, initialView } from './arbitraries.ts';

export class Objects {
  readonly #store = new ObjectStore();
  readonly #table = new RouteTable();
  #view = initialView;

  get routes(): ReturnType<RouteTable['routes']> {
    return this.#table.routes();
  }

  take(events: readonly ObjectEvent[]): readonly RouteChange[] {
    for (const event of events) this.#takeOne(event);
    const changes = new Map<RouteKey, RouteChange>();
    for (const key of this.#store.takeDirty()) {
      const { service, slices } = this.#store.get(key);
      const routes = service === undefined ? [] : select(service, slices, this.#view).routes;
      mergeChanges(changes, this.#table.replace(key, routes, service?.createdAt ?? ''));
    }
    return [...changes.values()];
  }

  #takeOne(event: ObjectEvent): void {
    switch (event.kind) {
      case 'setService':
        return this.#store.setService(event.service);
      case 'removeService':
        return this.#store.removeService(event.key);
      case 'setSlice':
        return this.#store.setSlice(event.slice);
      case 'removeSlice':
        return this.#store.removeSlice(event.key);
      case 'setNodePortAddresses':
        this.#view = { ...this.#view, nodePortAddresses: event.addresses };
        return this.#store.markWithNodePorts();
      case 'setZone':
        this.#view = { ...this.#view, zone: event.zone };
        return this.#store.markAll();
      default:
        return event satisfies never;
    }
  }
}
