import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pipeline } from '../../../src/agent/pipeline.ts';
import type { ObjectChange } from '../../../src/core/change.ts';
import {
  FakeClock,
  FakePlane,
  SETTINGS,
  VIEW,
  address,
  removeService,
  service,
  setService,
  setSlice,
  slice,
  turns,
} from './fakes.ts';

/** One thing that can happen to an agent. */
type Event =
  | { readonly kind: 'objects'; readonly changes: readonly ObjectChange[] }
  | { readonly kind: 'nodePortAddress'; readonly address: string }
  | { readonly kind: 'masqueradeAll'; readonly value: boolean }
  | { readonly kind: 'failures'; readonly count: number }
  | { readonly kind: 'disturbance' }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'turns' };

const name = fc.constantFrom('a', 'b', 'c');
// Few addresses, so that Services ask for the same ones.
const clusterIP = fc.constantFrom('10.96.0.1', '10.96.0.2');
const endpoints = fc.subarray(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
const change: fc.Arbitrary<ObjectChange> = fc.oneof(
  fc
    .tuple(name, clusterIP, fc.constantFrom(80, 81), fc.constantFrom(0, 30_080))
    .map(([of, ip, port, nodePort]) => setService(service(of, ip, { port, nodePort }))),
  name.map((of) => removeService(service(of, '10.96.0.1'))),
  fc.tuple(name, endpoints).map(([of, addresses]) => setSlice(slice(of, addresses))),
);
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('objects' as const),
      changes: fc.array(change, { minLength: 1, maxLength: 4 }),
    }),
  },
  fc.record({
    kind: fc.constant('nodePortAddress' as const),
    address: fc.constantFrom('192.0.2.1', '192.0.2.2'),
  }),
  fc.record({ kind: fc.constant('masqueradeAll' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constant('failures' as const), count: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('disturbance' as const) }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 1500 }) }),
  fc.record({ kind: fc.constant('turns' as const) }),
);

function ignore(): void {}

/** An agent's middle over a kernel of its own. */
function build(): { pipeline: Pipeline; plane: FakePlane; clock: FakeClock } {
  const plane = new FakePlane();
  const clock = new FakeClock();
  const pipeline = new Pipeline({
    plane,
    view: VIEW,
    settings: SETTINGS,
    clock,
    coalesceMs: 2,
    verify: { pollMs: 1000, verifyMs: 8000, quietMs: 60_000 },
    events: {
      onQueued: ignore,
      onStarted: ignore,
      onSynced: ignore,
      onFailure: ignore,
      onRecovered: ignore,
      onVerified: ignore,
      onTended: ignore,
      onProblems: ignore,
      onConflict: ignore,
      onStaleFlows: ignore,
    },
  });
  return { pipeline, plane, clock };
}

test('whatever happens and fails on the way, the kernel ends as if built from the last objects', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 25 }), async (events) => {
      const { pipeline, plane, clock } = build();
      let view = VIEW;
      let settings = SETTINGS;
      const objects = new Map<string, ObjectChange>();
      pipeline.complete();
      for (const happening of events) {
        if (happening.kind === 'objects') {
          pipeline.accept(happening.changes, clock.now());
          for (const one of happening.changes)
            objects.set(`${one.item.kind} ${one.item.object.name}`, one);
        } else if (happening.kind === 'nodePortAddress') {
          view = { ...VIEW, nodePortAddresses: [address(happening.address)] };
          pipeline.setNode(view, settings, clock.now());
        } else if (happening.kind === 'masqueradeAll') {
          settings = { ...SETTINGS, masqueradeAll: happening.value };
          pipeline.setNode(view, settings, clock.now());
        } else if (happening.kind === 'failures') {
          let left = happening.count;
          plane.fault = () => {
            if (left-- > 0) throw new Error('by chance');
          };
        } else if (happening.kind === 'disturbance') plane.isDisturbed = true;
        else if (happening.kind === 'time') await clock.pass(happening.ms);
        else await turns();
      }
      plane.fault = () => undefined;
      await clock.pass(60_000);
      await pipeline.close();

      const fresh = build();
      fresh.pipeline.accept([...objects.values()], 0);
      fresh.pipeline.setNode(view, settings, 0);
      fresh.pipeline.complete();
      await fresh.clock.pass(10);
      await fresh.pipeline.close();
      assert.deepEqual(plane.kernel, fresh.plane.kernel);
      assert.deepEqual(plane.settings, fresh.plane.settings);
      assert.equal(plane.overlapped, false);
    }),
    { numRuns: 60 },
  );
});
