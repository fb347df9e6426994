import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pipeline, type Programmed, type Synced } from '../../../src/agent/pipeline.ts';
import type { Service } from '../../../src/core/model.ts';
import type { StaleFlows } from '../../../src/core/flows.ts';
import type { DriftReport } from '../../../src/planes/plane.ts';
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

/** A pipeline over fakes, and all it told. */
class Bench {
  readonly clock = new FakeClock();
  readonly plane = new FakePlane();
  readonly programmed: Programmed[] = [];
  readonly failures: number[] = [];
  readonly stale: StaleFlows[][] = [];
  readonly verified: DriftReport[] = [];
  readonly problems: string[] = [];
  readonly conflicts: string[] = [];
  synced: Synced[] = [];
  queued = 0;
  recovered = 0;
  tended = 0;
  readonly pipeline: Pipeline;

  constructor() {
    this.pipeline = new Pipeline({
      plane: this.plane,
      view: VIEW,
      settings: SETTINGS,
      clock: this.clock,
      coalesceMs: 2,
      verify: { pollMs: 1000, verifyMs: 8000, quietMs: 60_000 },
      events: {
        onQueued: () => this.queued++,
        onStarted: () => undefined,
        onSynced: (synced) => {
          this.synced.push(synced);
          if (synced.programmed !== undefined) this.programmed.push(synced.programmed);
        },
        onFailure: (_error, retryMs) => this.failures.push(retryMs),
        onRecovered: () => this.recovered++,
        onVerified: (report) => this.verified.push(report),
        onTended: () => this.tended++,
        onProblems: (_service, problems) => this.problems.push(...problems),
        onConflict: ({ frontend, loser }) => this.conflicts.push(`${frontend} ${loser}`),
        onStaleFlows: (flows) => this.stale.push([...flows]),
      },
    });
  }

  /** Targets in the kernel: `shop/a:/TCP/IPv4 reject`. */
  kernel(): readonly string[] {
    return [...this.plane.kernel.values()]
      .map(({ key, internal }) => {
        if (internal.kind !== 'endpoints') return `${key} ${internal.kind}`;
        return `${key} ${internal.endpoints.map((endpoint) => endpoint.address).join()}`;
      })
      .toSorted();
  }

  /** Starts with nothing, as far as objects go. */
  async start(): Promise<void> {
    this.pipeline.complete();
    await this.clock.pass(10);
    this.plane.calls.length = 0;
    this.programmed.length = 0;
  }
}

const A = service('a', '10.96.0.1');
const B = service('b', '10.96.0.2');

test('nothing is programmed before the objects are complete, then everything at once', async () => {
  const bench = new Bench();
  bench.pipeline.accept([setService(A)], 0);
  await bench.clock.pass(5000);
  assert.deepEqual(bench.plane.calls, []);
  bench.pipeline.accept([setService(B), setSlice(slice('b', ['10.0.0.1']))], 5000);
  bench.pipeline.complete();
  await bench.clock.pass(0);
  assert.deepEqual(bench.plane.calls, ['open']);
  assert.deepEqual(bench.plane.settings, SETTINGS);
  assert.deepEqual(bench.kernel(), ['shop/a:/TCP/IPv4 reject', 'shop/b:/TCP/IPv4 10.0.0.1']);
  assert.equal(bench.programmed[0]?.latencyMs, 5000);
  assert.equal(bench.programmed[0].routes, 2);
  assert.deepEqual(bench.programmed[0].services, ['shop/a', 'shop/b']);
});

test('a source without objects is programmed too: what an earlier run left must go', async () => {
  const bench = new Bench();
  bench.pipeline.complete();
  await bench.clock.pass(0);
  assert.deepEqual(bench.plane.calls, ['open']);
});

test('the first change after a pause does not wait, changes of one turn are one batch', async () => {
  const bench = new Bench();
  await bench.start();
  bench.pipeline.accept([setService(A)], bench.clock.now());
  bench.pipeline.accept([setSlice(slice('a', ['10.0.0.1']))], bench.clock.now());
  await turns();
  assert.deepEqual(bench.plane.calls, ['apply']);
  assert.deepEqual(bench.kernel(), ['shop/a:/TCP/IPv4 10.0.0.1']);
  assert.equal(bench.programmed[0]?.latencyMs, 0);
});

test('changes that follow closely wait for the window and go together', async () => {
  const bench = new Bench();
  await bench.start();
  bench.pipeline.accept([setService(A)], 10);
  await turns();
  bench.pipeline.accept([setService(B)], 10);
  await turns();
  bench.pipeline.accept([setSlice(slice('b', ['10.0.0.1']))], 11);
  assert.deepEqual(bench.plane.calls, ['apply']);
  await bench.clock.pass(2);
  assert.deepEqual(bench.plane.calls, ['apply', 'apply']);
  assert.equal(bench.programmed[1]?.latencyMs, 2);
});

test('what arrives while the kernel is busy goes out in one batch afterwards', async () => {
  const bench = new Bench();
  await bench.start();
  const busy = Promise.withResolvers<void>();
  bench.plane.busy = async () => busy.promise;
  bench.pipeline.accept([setService(A)], 10);
  await turns();
  for (let port = 1; port <= 5; port++)
    bench.pipeline.accept([setService(service('b', '10.96.0.2', { port }))], 10);
  await bench.clock.pass(3000);
  assert.deepEqual(bench.plane.calls, ['apply']);
  busy.resolve();
  await bench.clock.pass(10);
  assert.deepEqual(bench.plane.calls, ['apply', 'apply']);
  assert.equal(bench.plane.applied[1]?.length, 1);
  assert.equal(bench.plane.overlapped, false);
});

test('an event that changes nothing for the kernel is not programmed', async () => {
  const bench = new Bench();
  await bench.start();
  bench.pipeline.accept([setService(A)], 10);
  await bench.clock.pass(10);
  bench.pipeline.accept([setService(service('a', '10.96.0.1'))], 20);
  bench.pipeline.accept([setSlice(slice('nobody', ['10.0.0.1']))], 20);
  await bench.clock.pass(10);
  assert.deepEqual(bench.plane.calls, ['apply']);
});

test('after a failure everything is compared and written again, later and later', async () => {
  const bench = new Bench();
  await bench.start();
  bench.plane.fault = () => {
    throw new Error('no');
  };
  bench.pipeline.accept([setService(A)], 10);
  await bench.clock.pass(500);
  assert.deepEqual(bench.plane.calls.slice(0, 3), ['apply', 'open', 'open']);
  assert.deepEqual(bench.failures.slice(0, 4), [50, 100, 200, 400]);
  bench.pipeline.accept([setService(B)], 510);
  await bench.clock.pass(300_000);
  assert.equal(Math.max(...bench.failures), 30_000);
  assert.equal(bench.recovered, 0);
  bench.plane.fault = () => undefined;
  await bench.clock.pass(30_000);
  assert.equal(bench.recovered, 1);
  assert.deepEqual(bench.kernel(), ['shop/a:/TCP/IPv4 reject', 'shop/b:/TCP/IPv4 reject']);
  assert.equal(bench.programmed.length, 1);
  assert.ok((bench.programmed[0]?.latencyMs ?? 0) > 300_000);
  assert.deepEqual(bench.programmed[0]?.services, ['shop/a', 'shop/b']);
  bench.pipeline.accept([removeService(A)], bench.clock.now());
  await bench.clock.pass(10);
  assert.equal(bench.plane.calls.at(-1), 'apply');
});

test('stale UDP flows are told after the kernel has the change, and not when it failed', async () => {
  const bench = new Bench();
  await bench.start();
  const dns = service('dns', '10.96.0.10', { port: 53, protocol: 'UDP' });
  bench.pipeline.accept(
    [setService(dns), setSlice(slice('dns', ['10.0.0.1', '10.0.0.2'], 'UDP'))],
    10,
  );
  await bench.clock.pass(10);
  bench.stale.length = 0;
  bench.plane.fault = (call) => {
    if (call === 'apply') throw new Error('no');
  };
  bench.pipeline.accept([setSlice(slice('dns', ['10.0.0.2'], 'UDP'))], 20);
  await turns();
  assert.equal(bench.stale.length, 0);
  await bench.clock.pass(1000);
  assert.deepEqual(
    bench.stale.map((flows) => flows.map(({ address: ip, port, keep }) => [ip, port, [...keep]])),
    [[['10.96.0.10', 53, ['10.0.0.2:8080']]]],
  );
});

test('a kernel that somebody else wrote to is verified, more rarely when nothing is found', async () => {
  const bench = new Bench();
  await bench.start();
  await bench.clock.pass(10_000);
  assert.deepEqual(bench.plane.calls, []);
  const disturb = (): void => {
    bench.plane.isDisturbed = true;
  };
  disturb();
  await bench.clock.pass(1000);
  assert.deepEqual(bench.plane.calls, ['verify']);
  for (let second = 0; second < 30; second++) {
    disturb();
    await bench.clock.pass(1000);
  }
  const rare = bench.plane.calls.length;
  assert.ok(rare >= 4 && rare <= 8, `${rare} verifications in 31 s`);
  bench.plane.drift = ['gone'];
  disturb();
  await bench.clock.pass(8000);
  assert.deepEqual(bench.verified.at(-1)?.drift, ['gone']);
  const before = bench.plane.calls.length;
  for (let second = 0; second < 5; second++) {
    disturb();
    await bench.clock.pass(1000);
  }
  assert.equal(bench.plane.calls.length - before, 5);
});

test('a quiet kernel is verified now and then', async () => {
  const bench = new Bench();
  await bench.start();
  await bench.clock.pass(125_000);
  assert.deepEqual(bench.plane.calls, ['verify', 'verify']);
});

test('a verification that fails ends in writing everything again', async () => {
  const bench = new Bench();
  await bench.start();
  bench.pipeline.accept([setService(A)], 10);
  await bench.clock.pass(10);
  bench.plane.kernel.clear();
  bench.plane.isDisturbed = true;
  bench.plane.fault = (call) => {
    if (call === 'verify') throw new Error('no');
  };
  await bench.clock.pass(2000);
  assert.deepEqual(bench.plane.calls.slice(0, 3), ['apply', 'verify', 'open']);
  assert.deepEqual(bench.kernel(), ['shop/a:/TCP/IPv4 reject']);
});

test('other node-port addresses touch the Services with node ports only', async () => {
  const bench = new Bench();
  const web = service('web', '10.96.0.3', { nodePort: 30_080 });
  bench.pipeline.accept([setService(A), setService(web)], 0);
  await bench.start();
  const view = { ...VIEW, nodePortAddresses: [address('192.0.2.7')] };
  bench.pipeline.setNode(view, SETTINGS, 10);
  await bench.clock.pass(10);
  assert.deepEqual(bench.plane.calls, ['apply']);
  assert.deepEqual(bench.programmed[0]?.services, ['shop/web']);
  bench.pipeline.setNode(view, { ...SETTINGS }, 20);
  await bench.clock.pass(10);
  assert.deepEqual(bench.plane.calls, ['apply']);
});

test('another zone touches every Service, other settings open the plane again', async () => {
  const bench = new Bench();
  bench.pipeline.accept([setService(A), setService(B)], 0);
  await bench.start();
  bench.pipeline.setNode({ ...VIEW, zone: 'z2' }, SETTINGS, 10);
  await bench.clock.pass(10);
  assert.deepEqual(bench.plane.calls, []);
  bench.pipeline.setNode({ ...VIEW, zone: 'z2' }, { ...SETTINGS, masqueradeAll: true }, 20);
  await bench.clock.pass(10);
  assert.deepEqual(bench.plane.calls, ['open']);
  assert.equal(bench.plane.settings?.masqueradeAll, true);
});

test('settings that change while the plane opens are not lost', async () => {
  const bench = new Bench();
  const busy = Promise.withResolvers<void>();
  bench.plane.busy = async () => busy.promise;
  bench.pipeline.complete();
  await turns();
  bench.pipeline.setNode(VIEW, { ...SETTINGS, masqueradeAll: true }, 0);
  busy.resolve();
  await bench.clock.pass(10);
  assert.deepEqual(bench.plane.calls, ['open', 'open']);
  assert.equal(bench.plane.settings?.masqueradeAll, true);
});

test('problems and conflicts of Services are passed on', async () => {
  const bench = new Bench();
  await bench.start();
  bench.pipeline.accept([setService(A)], 10);
  await bench.clock.pass(10);
  bench.pipeline.accept([setService(service('z', '10.96.0.1'))], 20);
  bench.pipeline.accept([setService({ ...B, ipFamilies: ['IPv6'] })], 20);
  await bench.clock.pass(10);
  assert.deepEqual(bench.conflicts, ['10.96.0.1:80/TCP shop/z:/TCP/IPv4']);
  assert.equal(bench.problems.length, 1);
});

test('closing waits for the call that is under way, and starts no other', async () => {
  const bench = new Bench();
  await bench.start();
  const busy = Promise.withResolvers<void>();
  bench.plane.busy = async () => busy.promise;
  bench.pipeline.accept([setService(A)], 10);
  await turns();
  bench.pipeline.accept([setService(B)], 10);
  let closed = false;
  const closing = (async () => {
    await bench.pipeline.close();
    closed = true;
  })();
  await bench.clock.pass(5000);
  assert.equal(closed, false);
  busy.resolve();
  await closing;
  await bench.clock.pass(100_000);
  assert.deepEqual(bench.plane.calls, ['apply']);
  assert.deepEqual(bench.kernel(), ['shop/a:/TCP/IPv4 reject']);
});

test('health-check ports and slices are told once they are in force, also where no rule changed', async () => {
  const bench = new Bench();
  await bench.start();
  bench.synced = [];
  const checked = (healthCheckNodePort: number): Service => ({
    ...A,
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort,
  });
  bench.plane.fault = () => {
    throw new Error('no');
  };
  const web = slice('a', ['10.0.0.1']);
  bench.pipeline.accept([setService(checked(32_000)), setSlice(web)], 10);
  await turns();
  assert.equal(bench.synced.length, 0);
  assert.ok(bench.queued > 0);
  bench.plane.fault = () => undefined;
  await bench.clock.pass(1000);
  bench.pipeline.accept([setService(checked(32_001))], 2000);
  await bench.clock.pass(10);
  bench.pipeline.accept([removeService(A)], 3000);
  await bench.clock.pass(10);
  assert.deepEqual(
    bench.synced.map(({ programmed, healthChecks, slices }) => [
      programmed?.how,
      [...healthChecks],
      [...slices.keys()],
    ]),
    [
      ['open', [['shop/a', { port: 32_000, localEndpoints: { IPv4: 0 } }]], ['shop/a-1']],
      [undefined, [['shop/a', { port: 32_001, localEndpoints: { IPv4: 0 } }]], []],
      ['apply', [['shop/a', undefined]], []],
    ],
  );
});

function gaps(internal: number, external: number): unknown {
  return [
    { family: 'IPv4', internal, external },
    { family: 'IPv6', internal: 0, external: 0 },
  ];
}

test('Service ports that a Local policy leaves without endpoints are counted', async () => {
  const bench = new Bench();
  await bench.start();
  const counts = (): unknown => bench.synced.at(-1)?.totals.localGaps;
  const local: Service = {
    ...service('a', '10.96.0.1', { nodePort: 30_080 }),
    type: 'NodePort',
    internalTrafficPolicy: 'Local',
    externalTrafficPolicy: 'Local',
  };
  bench.pipeline.accept([setService(local)], 10);
  await bench.clock.pass(10);
  // Nobody serves it anywhere: no gap of this node.
  assert.deepEqual(counts(), gaps(0, 0));
  bench.pipeline.accept([setSlice(slice('a', ['10.0.0.1']))], 20);
  await bench.clock.pass(10);
  assert.deepEqual(counts(), gaps(1, 1));
  bench.pipeline.accept([setService({ ...local, internalTrafficPolicy: 'Cluster' })], 30);
  await bench.clock.pass(10);
  assert.deepEqual(counts(), gaps(0, 1));
  bench.pipeline.accept([removeService(local)], 40);
  await bench.clock.pass(10);
  assert.deepEqual(counts(), gaps(0, 0));
});

test('the data plane is asked about once a second for work that time brings', async () => {
  const bench = new Bench();
  await bench.start();
  await bench.clock.pass(3000);
  assert.deepEqual(bench.plane.calls, []);
  bench.plane.hasWork = true;
  await bench.clock.pass(1000);
  assert.deepEqual(bench.plane.calls, ['tend']);
  assert.equal(bench.tended, 1);
  bench.plane.hasWork = true;
  bench.plane.fault = () => {
    throw new Error('no');
  };
  await bench.clock.pass(1000);
  bench.plane.fault = () => undefined;
  await bench.clock.pass(1000);
  assert.deepEqual(bench.plane.calls.slice(0, 2), ['tend', 'tend']);
  assert.equal(bench.plane.calls.at(-1), 'open');
  assert.equal(bench.plane.overlapped, false);
});
