import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mergeChanges } from '../../../src/agent/merge-changes.ts';
import { staleUdpFlows } from '../../../src/core/flows.ts';
import { hostPort } from '../../../src/core/ip.ts';
import { objectKey } from '../../../src/core/model.ts';
import type { EndpointSlice, Service } from '../../../src/core/model.ts';
import type { NodeView } from '../../../src/core/node.ts';
import { RouteTable } from '../../../src/core/route-table.ts';
import type { Frontend, Route, RouteChange, RouteKey } from '../../../src/core/route.ts';
import { sameRoute } from '../../../src/core/same-route.ts';
import { select } from '../../../src/core/select/select.ts';
import { ObjectStore } from '../../../src/core/store.ts';
import { arbitraryBatches, initialView } from '../arbitraries.ts';
import type { ObjectEvent } from '../arbitraries.ts';

/** The pipeline of the agent without a data plane: events in, changes of Routes out. */
class Pipeline {
  readonly store = new ObjectStore();
  readonly table = new RouteTable();
  view = initialView;

  handle(events: readonly ObjectEvent[]): readonly (readonly RouteChange[])[] {
    for (const event of events) this.#take(event);
    return this.store.takeDirty().map((key) => {
      const { service, slices } = this.store.get(key);
      const routes = service === undefined ? [] : select(service, slices, this.view).routes;
      return this.table.replace(key, routes, service?.createdAt ?? '');
    });
  }

  #take(event: ObjectEvent): void {
    switch (event.kind) {
      case 'setService':
        this.store.setService(event.service);
        break;
      case 'removeService':
        this.store.removeService(event.key);
        break;
      case 'setSlice':
        this.store.setSlice(event.slice);
        break;
      case 'removeSlice':
        this.store.removeSlice(event.key);
        break;
      case 'setNodePortAddresses':
        this.view = { ...this.view, nodePortAddresses: event.addresses };
        this.store.markWithNodePorts();
        break;
      case 'setZone':
        this.view = { ...this.view, zone: event.zone };
        this.store.markAll();
        break;
    }
  }
}

/** What is left of the objects and the node after some events, found without any code of core/. */
function finalState(events: readonly ObjectEvent[]): {
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly view: NodeView;
} {
  const services = new Map<string, Service>();
  const slices = new Map<string, EndpointSlice>();
  let { zone, nodePortAddresses } = initialView;
  for (const event of events) {
    switch (event.kind) {
      case 'setService':
        services.set(`${event.service.namespace}/${event.service.name}`, event.service);
        break;
      case 'removeService':
        services.delete(event.key);
        break;
      case 'setSlice':
        slices.set(`${event.slice.namespace}/${event.slice.name}`, event.slice);
        break;
      case 'removeSlice':
        slices.delete(event.key);
        break;
      case 'setNodePortAddresses':
        nodePortAddresses = event.addresses;
        break;
      case 'setZone':
        zone = event.zone;
        break;
    }
  }
  return {
    services: [...services.values()],
    slices: [...slices.values()],
    view: { ...initialView, zone, nodePortAddresses },
  };
}

/** Routes of a state, and what each Service wanted before conflicts were settled. */
function fromScratch(state: ReturnType<typeof finalState>): {
  readonly published: ReadonlyMap<RouteKey, Route>;
  readonly wanted: readonly Route[];
} {
  const table = new RouteTable();
  const wanted: Route[] = [];
  for (const service of state.services) {
    const own = state.slices.filter(
      (slice) => slice.namespace === service.namespace && slice.serviceName === service.name,
    );
    const { routes } = select(service, own, state.view);
    wanted.push(...routes);
    table.replace(objectKey(service.namespace, service.name), routes, service.createdAt);
  }
  return { published: byKey(table), wanted };
}

function byKey(table: RouteTable): ReadonlyMap<RouteKey, Route> {
  return new Map([...table.routes()].map((route) => [route.key, route]));
}

/** Applies changes to what a data plane would hold, and checks that they fit. */
function fold(held: Map<RouteKey, Route>, changes: readonly RouteChange[]): void {
  const keys = changes.map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length, 'a Route changes once in a list');
  const firstKept = changes.findIndex(({ after }) => after !== undefined);
  const lastRemoved = changes.findLastIndex(({ after }) => after === undefined);
  assert.ok(firstKept < 0 || lastRemoved < firstKept, 'removals come first');
  for (const { key, before, after } of changes) {
    assert.deepEqual(before, held.get(key), 'a change starts from what is held');
    assert.ok(
      before === undefined || after === undefined || !sameRoute(before, after),
      'a change changes something',
    );
    if (after === undefined) held.delete(key);
    else held.set(key, after);
  }
}

const claim = (route: Route, { address, port }: Frontend): string =>
  `${hostPort(address, port)}/${route.protocol}`;

const claims = (routes: Iterable<Route>): readonly string[] =>
  [...routes].flatMap((route) => route.frontends.map((frontend) => claim(route, frontend)));

const RUNS = { numRuns: 400 };

test('events one by one or in batches give the Routes of the final objects', () => {
  fc.assert(
    fc.property(arbitraryBatches, (batches) => {
      const batched = new Pipeline();
      const single = new Pipeline();
      const held = new Map<RouteKey, Route>();
      for (const batch of batches) {
        for (const changes of batched.handle(batch)) fold(held, changes);
        for (const event of batch) single.handle([event]);
      }
      const { published } = fromScratch(finalState(batches.flat()));
      assert.deepEqual(byKey(batched.table), published);
      assert.deepEqual(byKey(single.table), published);
      assert.deepEqual(held, published);
      assert.equal(batched.table.size, published.size);
    }),
    RUNS,
  );
});

test('at every moment each frontend that is wanted has exactly one owner', () => {
  fc.assert(
    fc.property(arbitraryBatches, (batches) => {
      const pipeline = new Pipeline();
      batches.forEach((batch, index) => {
        pipeline.handle(batch);
        const effective = claims(pipeline.table.routes());
        assert.equal(new Set(effective).size, effective.length, 'no frontend has two owners');
        const { wanted } = fromScratch(finalState(batches.slice(0, index + 1).flat()));
        assert.deepEqual(new Set(effective), new Set(claims(wanted)), 'none is without');
      });
    }),
    RUNS,
  );
});

test('when all objects go, nothing is left', () => {
  fc.assert(
    fc.property(arbitraryBatches, (batches) => {
      const pipeline = new Pipeline();
      for (const batch of batches) pipeline.handle(batch);
      const { services } = finalState(batches.flat());
      pipeline.handle(
        services.map(({ namespace, name }) => ({
          kind: 'removeService',
          key: objectKey(namespace, name),
        })),
      );
      assert.equal(pipeline.table.size, 0);
    }),
    RUNS,
  );
});

/** Where flows of a UDP frontend may lead: to what serves, and to what takes new flows. */
function goodPlaces(route: Route): ReadonlySet<string> {
  const targets = [route.internal, route.external, route.externalFromInside];
  return new Set([
    ...route.serving,
    ...targets.flatMap((target) =>
      target?.kind === 'endpoints'
        ? target.endpoints.map(({ address, port }) => hostPort(address, port))
        : [],
    ),
  ]);
}

function udpFrontends(routes: Iterable<Route>): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(
    [...routes]
      .filter(({ protocol }) => protocol === 'UDP')
      .flatMap((route) =>
        route.frontends.map((frontend) => [claim(route, frontend), goodPlaces(route)] as const),
      ),
  );
}

test('of the flows that Services have, exactly those to places no longer good are cut', () => {
  const foreign = '203.0.113.99:53';
  fc.assert(
    fc.property(arbitraryBatches, (batches) => {
      const pipeline = new Pipeline();
      let before = udpFrontends([]);
      for (const batch of batches) {
        const merged = new Map<RouteKey, RouteChange>();
        for (const changes of pipeline.handle(batch)) mergeChanges(merged, changes);
        const rules = new Map(
          staleUdpFlows([...merged.values()]).map((rule) => [
            `${hostPort(rule.address, rule.port)}/UDP`,
            rule,
          ]),
        );
        const isCut = (frontend: string, place: string): boolean => {
          const rule = rules.get(frontend);
          return rule !== undefined && !rule.keep.has(place) && rule.only?.has(place) !== false;
        };
        const after = udpFrontends(pipeline.table.routes());
        for (const [frontend, places] of before) {
          const good = after.get(frontend);
          for (const place of places) {
            assert.equal(isCut(frontend, place), good?.has(place) !== true);
          }
          if (good === undefined) assert.ok(!isCut(frontend, foreign), 'not our flow any more');
        }
        for (const [frontend, places] of after) {
          for (const place of places) assert.ok(!isCut(frontend, place));
          if (!before.has(frontend)) assert.ok(isCut(frontend, foreign), 'not yet our flow');
        }
        before = after;
      }
    }),
    RUNS,
  );
});
