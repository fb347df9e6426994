import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KubeError } from '../../../src/kube/errors.ts';
import type { EventNote } from '../../../src/kube/event.ts';
import { EventRecorder } from '../../../src/kube/event-recorder.ts';
import { FakeClock, turns } from '../agent/fakes.ts';
import { type Exchange, ScriptedClient } from './scripted-client.ts';

const STARTING: EventNote = {
  type: 'Normal',
  reason: 'Starting',
  action: 'StartKubeProxy',
  note: 'ready',
  regarding: { apiVersion: 'v1', kind: 'Node', namespace: '', name: 'node1', uid: 'node1' },
};

class RecorderUnderTest implements AsyncDisposable {
  readonly client = new ScriptedClient();
  readonly clock = new FakeClock();
  readonly lost: string[] = [];
  wallTime = Date.parse('2026-01-01T00:00:00.123Z');
  readonly recorder = new EventRecorder({
    client: this.client,
    reporter: { controller: 'kube-proxy', instance: 'kube-proxy-node1' },
    clock: this.clock,
    wallTime: () => this.wallTime,
    random: () => 0.5,
    onLost: ({ reason }, { code }) => this.lost.push(`${reason} ${code}`),
  });

  /** The next request, which succeeds. */
  async written(): Promise<Exchange> {
    const exchange = await this.client.next();
    exchange.grant().send('{}').end();
    await turns();
    return exchange;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recorder.close();
  }
}

const bodyOf = ({ request }: Exchange): unknown => JSON.parse(request.body?.text ?? '');

describe('an event', () => {
  it('is written as kube-proxy writes it', async () => {
    await using test = new RecorderUnderTest();
    test.recorder.record(STARTING);
    const exchange = await test.written();
    assert.equal(exchange.request.method, 'POST');
    assert.equal(exchange.path, '/apis/events.k8s.io/v1/namespaces/default/events');
    assert.equal(exchange.request.body?.type, 'application/json');
    assert.deepEqual(bodyOf(exchange), {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: 'node1.18867251f55675e0', namespace: 'default' },
      eventTime: '2026-01-01T00:00:00.123000Z',
      reportingController: 'kube-proxy',
      reportingInstance: 'kube-proxy-node1',
      type: 'Normal',
      reason: 'Starting',
      action: 'StartKubeProxy',
      note: 'ready',
      regarding: STARTING.regarding,
    });
  });

  it('of an object in a namespace is written there', async () => {
    await using test = new RecorderUnderTest();
    const regarding = { ...STARTING.regarding, kind: 'Service', namespace: 'shop', name: 'web' };
    test.recorder.record({ ...STARTING, regarding, note: 'x'.repeat(2000) });
    const exchange = await test.written();
    assert.equal(exchange.path, '/apis/events.k8s.io/v1/namespaces/shop/events');
    assert.equal((bodyOf(exchange) as EventNote).note.length, 1024);
  });

  it('that happens again is counted: the first repeat at once, the others every six minutes', async () => {
    await using test = new RecorderUnderTest();
    test.recorder.record(STARTING);
    const first = await test.written();
    test.wallTime += 1000;
    test.recorder.record({ ...STARTING, note: 'once more' });
    const repeat = await test.written();
    assert.equal(repeat.request.method, 'PATCH');
    assert.equal(
      repeat.path,
      `/apis/events.k8s.io/v1/namespaces/default/events/${(bodyOf(first) as { metadata: { name: string } }).metadata.name}`,
    );
    assert.equal(repeat.request.body?.type, 'application/strategic-merge-patch+json');
    assert.deepEqual(bodyOf(repeat), {
      series: { count: 2, lastObservedTime: '2026-01-01T00:00:01.123000Z' },
    });
    for (let time = 0; time < 100; time++) test.recorder.record(STARTING);
    await turns();
    assert.equal(test.client.pending, 0);
    await test.clock.pass(360_000);
    assert.deepEqual(bodyOf(await test.written()), {
      series: { count: 102, lastObservedTime: '2026-01-01T00:00:01.123000Z' },
    });
    await test.clock.pass(720_000);
    assert.equal(test.client.pending, 0);
    test.recorder.record(STARTING);
    assert.equal(
      (await test.written()).request.method,
      'POST',
      'a series that is over begins anew',
    );
  });

  it('whose object is gone from the API is written anew', async () => {
    await using test = new RecorderUnderTest();
    test.recorder.record(STARTING);
    await test.written();
    test.recorder.record(STARTING);
    (await test.client.next()).fail(new KubeError('SY_KUBE_NOT_FOUND', 'gone'));
    const again = await test.written();
    assert.equal(again.request.method, 'POST');
    assert.equal((bodyOf(again) as { series: { count: number } }).series.count, 2);
    assert.deepEqual(test.lost, []);
  });

  it('waits for a server that is away, and not for ever', async () => {
    await using test = new RecorderUnderTest();
    test.recorder.record(STARTING);
    for (let attempt = 1; attempt <= 12; attempt++) {
      (await test.client.next()).fail(new KubeError('SY_KUBE_UNREACHABLE', 'away'));
      await turns();
      assert.equal(test.client.pending, 0);
      assert.equal(test.lost.length, attempt === 12 ? 1 : 0);
      await test.clock.pass(10_000);
    }
    assert.deepEqual(test.lost, ['Starting SY_KUBE_UNREACHABLE']);
    assert.equal(test.client.pending, 0);
  });

  it('that the server does not want is given up at once', async () => {
    await using test = new RecorderUnderTest();
    test.recorder.record(STARTING);
    (await test.client.next()).fail(new KubeError('SY_KUBE_FORBIDDEN', 'no'));
    await turns();
    assert.deepEqual(test.lost, ['Starting SY_KUBE_FORBIDDEN']);
  });
});

describe('many events', () => {
  it('are written ten at once, then one a second, one request at a time, and not without bound', async () => {
    await using test = new RecorderUnderTest();
    for (let index = 0; index < 500; index++) {
      test.recorder.record({ ...STARTING, reason: `Reason${index}` });
    }
    await turns();
    assert.equal(test.client.pending, 1);
    for (let index = 0; index < 10; index++) await test.written();
    assert.equal(test.client.pending, 0);
    await test.clock.pass(999);
    assert.equal(test.client.pending, 0);
    let more = 0;
    await test.clock.pass(1);
    while (test.client.pending > 0) {
      await test.written();
      more++;
      await test.clock.pass(1000);
    }
    assert.equal(more, 91);
  });

  it('do not keep the recorder from closing', async () => {
    const test = new RecorderUnderTest();
    test.recorder.record(STARTING);
    const request = await test.client.next();
    await test.recorder.close();
    assert.equal(request.request.signal.aborted, true);
    test.recorder.record(STARTING);
    await test.clock.pass(1_000_000);
    assert.equal(test.client.pending, 0);
    assert.deepEqual(test.lost, []);
  });
});
