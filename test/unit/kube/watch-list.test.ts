import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KubeError } from '../../../src/kube/errors.ts';
import { ENDPOINT_SLICES } from '../../../src/kube/resources.ts';
import { Reflector } from '../../../src/kube/reflector.ts';
import { FakeClock, turns } from '../agent/fakes.ts';
import { bookmark, event, recorded, service, serviceList } from './bodies.ts';
import { ReflectorUnderTest } from './reflector-under-test.ts';
import { type Exchange, ScriptedClient } from './scripted-client.ts';

const refused = (code: KubeError['code']): KubeError => new KubeError(code, 'as the test says');

/** Answers the first request with these Services through a watch that goes on. */
async function sync(test: ReflectorUnderTest): Promise<Exchange> {
  const watch = (await test.client.next()).grant();
  await turns();
  watch.send(event('ADDED', service('b', '6')), event('ADDED', service('a', '5')));
  watch.send(bookmark('7', true));
  return watch;
}

describe('a watch-list', () => {
  it('tells all objects when the last of them came, and goes on as a watch', async () => {
    await using test = new ReflectorUnderTest({ watchList: true });
    const watch = (await test.client.next()).grant();
    assert.deepEqual(watch.query, {
      watch: '1',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '300',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      resourceVersion: '0',
    });
    await turns();
    watch.send(event('ADDED', service('b', '6')), event('ADDED', service('a', '5')));
    watch.send(event('ADDED', service('c', '4')), event('DELETED', service('c', '7')));
    assert.deepEqual(test.told, []);
    watch.send(bookmark('7'), bookmark('7', true));
    assert.deepEqual(test.told, [['set b 80', 'set a 80']]);
    await turns();
    assert.equal(test.isSynced, true);
    watch.send(event('MODIFIED', service('a', '8', 81)));
    assert.deepEqual(test.told[1], ['set a 81']);
    await test.clock.pass(300_000);
    watch.end();
    const { query } = await test.client.next();
    assert.equal(query['resourceVersion'], '8');
    assert.equal(query['sendInitialEvents'], undefined);
    assert.deepEqual(test.troubles, []);
  });

  it('as a real server sends it', async () => {
    const client = new ScriptedClient();
    const told: string[][] = [];
    await using _slices = new Reflector({
      client,
      resource: ENDPOINT_SLICES,
      format: 'json',
      watchList: true,
      clock: new FakeClock(),
      random: () => 0,
      events: {
        onChanges: (changes) =>
          told.push(
            changes.map(({ type, item: { object } }) =>
              [type, object.name, ...object.endpoints.map(({ ready }) => ready)].join(' '),
            ),
          ),
        onProblem: ({ message }) => assert.fail(message),
        onTrouble: ({ message }) => assert.fail(message),
        onRecovered: () => assert.fail('nothing recovered'),
      },
    });
    // Nothing matched its label selector at first, so it is asked again for what is in etcd.
    (await client.next()).grant().send(recorded('endpointslices-watchlist.jsonl'));
    const again = await client.next();
    assert.equal(again.query['resourceVersion'], undefined);
    again.grant().send(recorded('endpointslices-watchlist.jsonl'));
    await turns();
    // The slice became headless, which ends its service here before the server says so.
    assert.deepEqual(told, [
      ['set svc-5000-a true true', 'set svc-5000-a true false', 'remove svc-5000-a true false'],
    ]);
  });

  for (const code of ['SY_KUBE_REFUSED', 'SY_KUBE_SILENT'] as const) {
    it(`that ends with ${code} is replaced by a list at once`, async () => {
      await using test = new ReflectorUnderTest({ watchList: true });
      (await test.client.next()).fail(refused(code));
      const list = await test.client.next();
      assert.deepEqual(list.query, { limit: '500', resourceVersion: '0' });
      list
        .grant()
        .send(serviceList([service('a', '5')], '7'))
        .end();
      const watch = await test.client.next();
      assert.deepEqual(test.troubles, []);
      watch.fail(refused('SY_KUBE_EXPIRED'));
      await test.clock.pass(30_000);
      assert.equal((await test.client.next()).query['watch'], undefined);
    });
  }

  it('that ends without saying that all objects came is replaced by a list', async () => {
    await using test = new ReflectorUnderTest({ watchList: true });
    const watch = (await test.client.next()).grant();
    watch.send(event('ADDED', service('a', '5'))).end();
    await test.clock.pass(30_000);
    assert.deepEqual(test.told, []);
    await test.list(serviceList([service('a', '5')], '7'));
    assert.deepEqual(test.told, [['set a 80']]);
  });

  it('that is dropped half-way starts again, and nothing half is told', async () => {
    await using test = new ReflectorUnderTest({ watchList: true });
    const watch = (await test.client.next()).grant();
    watch.send(event('ADDED', service('c', '5'))).fail(refused('SY_KUBE_DROPPED'));
    await test.clock.pass(30_000);
    assert.deepEqual(test.told, []);
    await sync(test);
    assert.deepEqual(test.told, [['set b 80', 'set a 80']]);
    assert.equal(test.recoveries, 1);
  });

  it('replaces all objects when a version is gone, and keeps them until it is complete', async () => {
    await using test = new ReflectorUnderTest({ watchList: true });
    const watch = await sync(test);
    watch.send(recorded('watch-too-old.jsonl'));
    await test.clock.pass(30_000);
    const again = await test.client.next();
    assert.equal(again.query['sendInitialEvents'], 'true');
    assert.equal(again.query['resourceVersion'], '7');
    again.grant();
    await turns();
    again.send(event('ADDED', service('a', '5')), event('ADDED', service('d', '20')));
    assert.equal(test.told.length, 1);
    again.send(bookmark('21', true));
    assert.deepEqual(test.told[1], ['set d 80', 'remove b']);
  });

  it('without objects is believed only when it comes from etcd', async () => {
    await using test = new ReflectorUnderTest({ watchList: true });
    const watch = await sync(test);
    watch.fail(refused('SY_KUBE_EXPIRED'));
    await test.clock.pass(30_000);
    (await test.client.next()).grant().send(bookmark('21', true));
    await test.clock.pass(30_000);
    assert.equal(test.told.length, 1);
    assert.deepEqual(test.codes, ['SY_KUBE_EXPIRED', 'SY_KUBE_EMPTY']);
    const latest = await test.client.next();
    assert.equal(latest.query['resourceVersion'], undefined);
    latest.grant().send(bookmark('22', true));
    await turns();
    assert.deepEqual(test.told[1], ['remove b', 'remove a']);
  });
});
