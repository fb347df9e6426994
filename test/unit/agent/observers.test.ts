import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowCleaner } from '../../../src/agent/flow-cleaner.ts';
import { HealthState } from '../../../src/agent/http/health-state.ts';
import { ServiceHealth } from '../../../src/agent/http/service-health.ts';
import { Log } from '../../../src/agent/log.ts';
import { flowEvents, pipelineEvents } from '../../../src/agent/observers.ts';
import type { PipelineEvents } from '../../../src/agent/pipeline.ts';
import { Reporter } from '../../../src/agent/reporter.ts';
import type { EventNote } from '../../../src/kube/event.ts';
import type { ServiceNotice } from '../../../src/planes/plane.ts';
import { FakeClock } from './fakes.ts';
import { Answer, makeMetrics } from './metrics/harness.ts';

const time = (): Date => new Date(0);

/** Everybody who is told, in ipvs mode. */
class Bench {
  readonly metrics = makeMetrics({
    mode: 'ipvs',
    ipvs: { read: async () => ({ connectionTableSize: 4096, servers: [] }), maxServers: 100 },
  });
  readonly notes: EventNote[] = [];
  readonly lines: string[] = [];
  readonly #events: PipelineEvents;

  constructor() {
    const clock = new FakeClock();
    const health = new HealthState({ clock, wallTime: () => 0, syncPeriodMs: 30_000 });
    const write = (line: string): void => {
      this.lines.push(line);
    };
    const log = new Log({ format: 'text', verbosity: 2, vmodule: [], write, time, pid: 1 });
    const reporter = new Reporter(
      { mode: 'ipvs', nodeName: 'n1', source: 'here' },
      log.part('main'),
    );
    const observers = {
      nodeName: 'n1',
      families: ['IPv4'],
      reporter,
      metrics: this.metrics,
      health,
      serviceHealth: new ServiceHealth({
        health,
        addresses: {},
        clock,
        failed: () => undefined,
        fault: () => undefined,
      }),
      events: { record: (note: EventNote) => this.notes.push(note) },
      onServing: () => undefined,
    } as const;
    const cleaner = new FlowCleaner(
      async () => Promise.resolve(0),
      flowEvents(observers),
      () => clock.now(),
    );
    this.#events = pipelineEvents(observers, cleaner);
  }

  /** A round in which these things of `shop/web` were not granted. */
  program(notices: readonly Omit<ServiceNotice, 'service'>[]): void {
    const service = 'shop/web';
    this.#events.onSynced({
      how: 'apply',
      ms: 1,
      programmed: {
        how: 'apply',
        operations: 1,
        batches: 1,
        kernelMs: 1,
        latencyMs: 1,
        routes: 1,
        services: [service],
        notices: notices.map((notice) => ({ ...notice, service })),
      },
      totals: {
        services: 1,
        routes: 1,
        objects: { Services: 1, EndpointSlices: 0 },
        localGaps: [],
      },
      healthChecks: new Map(),
      slices: new Map(),
    });
  }

  async missing(): Promise<number | undefined> {
    const answer = await Answer.of(this.metrics);
    const labels = { namespace: 'shop', name: 'web' };
    return answer.value('ipvs_scheduler_errors_total', labels);
  }
}

const scheduler = { about: 'scheduler', text: 'This kernel has no twos.' } as const;
const other = { about: 'other', text: 'Somebody else has its address.' } as const;

test('a scheduler that is missing is counted in each round, told once, and once for all ports', async () => {
  const bench = new Bench();
  bench.program([scheduler, scheduler, other]);
  assert.equal(await bench.missing(), 1);
  bench.program([scheduler]);
  assert.equal(await bench.missing(), 2);
  const told = bench.notes.filter(({ reason }) => reason === 'ProgrammedDifferently');
  assert.deepEqual(
    told.map(({ note }) => note),
    [scheduler.text, other.text],
  );
  assert.equal(bench.lines.filter((line) => line.includes('no twos')).length, 1);
});

test('what else is not granted is told, and is no error of a scheduler', async () => {
  const bench = new Bench();
  bench.program([other]);
  assert.equal(await bench.missing(), undefined);
  assert.ok(bench.notes.some(({ note }) => note === other.text));
});
