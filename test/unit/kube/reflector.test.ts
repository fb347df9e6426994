import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KubeError } from '../../../src/kube/errors.ts';
import { SERVICE_CIDRS, nodeNamed } from '../../../src/kube/resources.ts';
import { Reflector } from '../../../src/kube/reflector.ts';
import { FakeClock, turns } from '../agent/fakes.ts';
import { bookmark, event, recorded, service, serviceList } from './bodies.ts';
import { ReflectorUnderTest } from './reflector-under-test.ts';
import { ScriptedClient } from './scripted-client.ts';

const refused = (code: KubeError['code'], retryAfterMs?: number): KubeError =>
  new KubeError(code, 'as the test says', { retryAfterMs });

/** The Service `a` with a port that cannot be served. */
const doubtful = (version: string): ReturnType<typeof service> => ({
  ...service('a', version),
  spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }, { port: 70_000 }] },
});

const TWO = serviceList([service('a', '5'), service('b', '6')], '7');

describe('the first list', () => {
  it('asks any cache for pages of 500, tells all objects at once, and then watches', async () => {
    await using test = new ReflectorUnderTest();
    const first = await test.client.next();
    assert.equal(first.path, '/api/v1/services');
    assert.deepEqual(first.selectors, [
      '!service.kubernetes.io/service-proxy-name',
      'spec.clusterIP!=None',
    ]);
    assert.deepEqual(first.query, { limit: '500', resourceVersion: '0' });
    first
      .grant()
      .send(serviceList([service('a', '5')], '7', 'page2'))
      .end();
    const second = await test.client.next();
    assert.deepEqual(second.query, { limit: '500', continue: 'page2' });
    assert.deepEqual(test.told, []);
    assert.equal(test.isSynced, false);
    second
      .grant()
      .send(serviceList([service('b', '6', 81)], '7'))
      .end();
    const watch = await test.client.next();
    assert.deepEqual(test.told, [['set a 80', 'set b 81']]);
    assert.equal(test.isSynced, true);
    assert.deepEqual(watch.query, {
      watch: '1',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '300',
      resourceVersion: '7',
    });
    assert.equal(watch.request.accept, 'application/json');
  });

  it('asks for protobuf where that is wanted, and takes JSON as well', async () => {
    await using test = new ReflectorUnderTest({ format: 'protobuf' });
    const list = await test.client.next();
    assert.equal(list.request.accept, 'application/vnd.kubernetes.protobuf,application/json');
    list.grant('json').send(TWO).end();
    await turns();
    assert.deepEqual(test.told, [['set a 80', 'set b 80']]);
  });

  it('lets watches end at random times between 300 and 600 seconds', async () => {
    await using test = new ReflectorUnderTest({ random: () => 0.9999 });
    const watch = await test.sync(TWO);
    assert.equal(watch.query['timeoutSeconds'], '600');
  });

  it('that is empty is believed only when it comes from etcd', async () => {
    await using test = new ReflectorUnderTest();
    await test.list(serviceList([], '7'));
    assert.equal(test.isSynced, false);
    const again = await test.client.next();
    assert.deepEqual(again.query, { limit: '500' });
    again.grant().send(serviceList([], '8')).end();
    await turns();
    assert.equal(test.isSynced, true);
    assert.deepEqual(test.told, []);
    assert.deepEqual(test.troubles, []);
  });

  it('that fails is asked for again, with one report, until it succeeds', async () => {
    await using test = new ReflectorUnderTest();
    for (let attempt = 0; attempt < 8; attempt++) {
      (await test.client.next()).fail(refused('SY_KUBE_UNREACHABLE'));
      await test.clock.pass(30_000);
    }
    assert.equal(test.isSynced, false);
    assert.deepEqual(test.codes, ['SY_KUBE_UNREACHABLE']);
    await test.sync(TWO);
    assert.equal(test.isSynced, true);
    assert.equal(test.recoveries, 1);
  });

  it('of a resource that old clusters lack need not succeed', async () => {
    for (const code of ['SY_KUBE_NOT_FOUND', 'SY_KUBE_FORBIDDEN'] as const) {
      const client = new ScriptedClient();
      const troubles: string[] = [];
      await using cidrs = new Reflector({
        client,
        resource: SERVICE_CIDRS,
        format: 'json',
        watchList: false,
        clock: new FakeClock(),
        random: () => 0,
        events: {
          onChanges: () => assert.fail('there is nothing to tell'),
          onProblem: () => assert.fail('there is no problem'),
          onTrouble: (error) => troubles.push(error.code),
          onRecovered: () => assert.fail('nothing recovered'),
        },
      });
      (await client.next()).fail(refused(code));
      await cidrs.synced;
      assert.deepEqual(troubles, [code]);
    }
    await using test = new ReflectorUnderTest();
    (await test.client.next()).fail(refused('SY_KUBE_NOT_FOUND'));
    await turns();
    assert.equal(test.isSynced, false);
  });

  it('of the own Node names it in a field selector', async () => {
    const client = new ScriptedClient();
    await using _node = new Reflector({
      client,
      resource: nodeNamed('node1'),
      format: 'json',
      watchList: false,
      clock: new FakeClock(),
      random: () => 0,
      events: {
        onChanges: () => undefined,
        onProblem: () => undefined,
        onTrouble: () => undefined,
        onRecovered: () => undefined,
      },
    });
    const list = await client.next();
    assert.equal(list.path, '/api/v1/nodes');
    assert.deepEqual(list.selectors, [null, 'metadata.name=node1']);
  });
});

describe('a list that is no list changes nothing', () => {
  const bodies: Readonly<Record<string, readonly [string, string]>> = {
    'a truncated one': ['SY_KUBE_DROPPED', TWO.slice(0, -1)],
    'one cut off inside an object': ['SY_KUBE_DROPPED', TWO.slice(0, 150)],
    'an empty body': ['SY_KUBE_DROPPED', ''],
    'no JSON at all': ['SY_KUBE_MALFORMED', 'upstream connect error'],
    'JSON with an error in it': ['SY_KUBE_MALFORMED', TWO.replace('"port":80', '"port":eighty')],
    'a Status': ['SY_KUBE_NOT_KUBERNETES', '{"kind":"Status","metadata":{}}'],
    'an empty object': ['SY_KUBE_NOT_KUBERNETES', '{}'],
    'a list of another kind': [
      'SY_KUBE_NOT_KUBERNETES',
      '{"kind":"NodeList","metadata":{"resourceVersion":"9"},"items":[]}',
    ],
    'a list without a version': ['SY_KUBE_MALFORMED', '{"kind":"ServiceList","items":[]}'],
    'a list with an object without a name': ['SY_KUBE_MALFORMED', serviceList([{}], '9')],
    'a list of texts': ['SY_KUBE_MALFORMED', '{"kind":"ServiceList","items":["a"]}'],
    'an empty list': ['SY_KUBE_EMPTY', serviceList([], '9')],
  };
  for (const [name, [code, body]] of Object.entries(bodies)) {
    it(name, async () => {
      await using test = new ReflectorUnderTest();
      const watch = await test.sync(TWO);
      watch.fail(refused('SY_KUBE_EXPIRED'));
      await test.clock.pass(30_000);
      await test.list(body);
      assert.deepEqual(test.told, [['set a 80', 'set b 80']]);
      assert.deepEqual(test.codes, ['SY_KUBE_EXPIRED', code]);
      assert.match(
        test.troubles[1]?.error.message ?? '',
        /^Cannot (list|watch) Services at https:\/\/api.test:6443: /,
      );
      await test.clock.pass(30_000);
      await test.sync(serviceList([service('a', '10', 88)], '11'));
      assert.deepEqual(test.told[1], ['set a 88', 'remove b']);
      assert.equal(test.recoveries, 1);
    });
  }

  it('and an empty list is believed once it comes from etcd', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.fail(refused('SY_KUBE_EXPIRED'));
    await test.clock.pass(30_000);
    await test.list(serviceList([], '9'));
    await test.clock.pass(30_000);
    const again = await test.client.next();
    assert.deepEqual(again.query, { limit: '500' });
    again.grant().send(serviceList([], '10')).end();
    await turns();
    assert.deepEqual(test.told[1], ['remove a', 'remove b']);
  });
});

describe('a watch', () => {
  it('tells what changed, all events of a piece together, with the time they came', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    await test.clock.pass(500);
    watch.send(
      event('ADDED', service('c', '8')),
      event('MODIFIED', service('a', '9', 81)),
      event('DELETED', service('b', '10')),
    );
    assert.deepEqual(test.told.slice(1), [['set c 80', 'set a 81', 'remove b']]);
    assert.deepEqual(test.times.slice(1), [500]);
  });

  it('tells an object that was never listed, and nothing of one that was never there', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.send(event('MODIFIED', service('c', '8')));
    watch.send(event('DELETED', service('d', '9')));
    assert.deepEqual(test.told.slice(1), [['set c 80']]);
    assert.deepEqual(test.troubles, []);
  });

  it('that ends in time goes on at once behind the last bookmark', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.send(bookmark('20'));
    await test.clock.pass(300_000);
    watch.end();
    const next = await test.client.next();
    assert.equal(next.query['resourceVersion'], '20');
    assert.deepEqual(test.troubles, []);
  });

  it('that is dropped goes on behind the last event after 0.8 to 1.6 s, and nothing is listed', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.send(event('ADDED', service('c', '8')));
    watch.fail(refused('SY_KUBE_DROPPED'));
    await test.clock.pass(799);
    assert.equal(test.client.pending, 0);
    await test.clock.pass(1);
    const next = await test.client.next();
    assert.equal(next.query['resourceVersion'], '8');
    next.grant();
    await turns();
    assert.equal(test.recoveries, 0);
    next.send(event('MODIFIED', service('c', '9', 82)));
    assert.deepEqual(test.told.slice(1), [['set c 80'], ['set c 82']]);
    assert.deepEqual(test.codes, ['SY_KUBE_DROPPED']);
    assert.equal(test.recoveries, 1);
  });

  it('that lasts a second works again, though nothing happens', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.fail(refused('SY_KUBE_DROPPED'));
    await test.clock.pass(800);
    const next = (await test.client.next()).grant();
    await turns();
    await test.clock.pass(999);
    assert.equal(test.recoveries, 0);
    await test.clock.pass(1);
    assert.equal(test.recoveries, 1);
    next.fail(refused('SY_KUBE_DROPPED'));
    await turns();
    assert.equal(test.troubles.length, 2);
  });

  it('that is granted and cut off at once each time is in trouble all along', async () => {
    await using test = new ReflectorUnderTest();
    let watch = await test.sync(TWO);
    for (let round = 0; round < 4; round++) {
      watch.fail(refused('SY_KUBE_DROPPED'));
      await test.clock.pass(30_000);
      watch = (await test.client.next()).grant();
      await turns();
    }
    assert.deepEqual(test.codes, ['SY_KUBE_DROPPED']);
    assert.equal(test.recoveries, 0);
  });

  it('that ends in the middle of an event goes on behind the one before', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.send(event('ADDED', service('c', '8')), event('ADDED', service('d', '9')).slice(0, -9));
    watch.end();
    await turns();
    assert.deepEqual(test.told.slice(1), [['set c 80']]);
    assert.deepEqual(test.codes, ['SY_KUBE_DROPPED']);
    await test.clock.pass(30_000);
    assert.equal((await test.client.next()).query['resourceVersion'], '8');
  });

  it('waits ever longer for a server that is away, and lists nothing when it is back', async () => {
    await using test = new ReflectorUnderTest({ random: () => 0.5 });
    const watch = await test.sync(TWO);
    watch.fail(refused('SY_KUBE_DROPPED'));
    const waits: number[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      const before = test.clock.now();
      await turns();
      while (test.client.pending === 0) await test.clock.pass(100);
      waits.push(test.clock.now() - before);
      (await test.client.next()).fail(refused('SY_KUBE_UNREACHABLE'));
    }
    assert.deepEqual(waits, [1200, 2400, 4800, 9600, 19_200, 22_500, 22_500, 22_500]);
    assert.deepEqual(test.codes, ['SY_KUBE_DROPPED', 'SY_KUBE_UNREACHABLE']);
    await test.clock.pass(30_000);
    assert.equal((await test.client.next()).query['resourceVersion'], '7');
    assert.equal(test.told.length, 1);
  });

  it('waits as long as a server asks for that is too busy, but not for hours', async () => {
    await using test = new ReflectorUnderTest();
    (await test.client.next()).fail(refused('SY_KUBE_THROTTLED', 7000));
    await turns();
    assert.equal(test.troubles[0]?.retryMs, 7000);
    await test.clock.pass(7000);
    (await test.client.next()).fail(refused('SY_KUBE_SERVER', 9_999_000));
    await turns();
    assert.equal(test.troubles[1]?.retryMs, 60_000);
  });

  it('that the server ends at once, again and again, is not asked for in a loop', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.end();
    await turns();
    assert.equal(test.client.pending, 0);
    assert.deepEqual(test.codes, ['SY_KUBE_DROPPED']);
    await test.clock.pass(800);
    const next = await test.client.next();
    next.grant().send(bookmark('7')).end();
    await turns();
    assert.equal(test.client.pending, 0, 'a bookmark of the same version is no progress');
    await test.clock.pass(10_000);
    assert.equal((await test.client.next()).query['resourceVersion'], '7');
  });

  it('that was granted again after an outage counts as recovered', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    await test.clock.pass(300_000);
    watch.end();
    (await test.client.next()).fail(refused('SY_KUBE_UNREACHABLE'));
    await test.clock.pass(30_000);
    (await test.client.next()).grant();
    await turns();
    assert.equal(test.recoveries, 1);
  });
});

describe('a version that is gone', () => {
  for (const how of ['as an event', 'as an answer'] as const) {
    it(`${how} leads to a list that is no older, and only differences are told`, async () => {
      await using test = new ReflectorUnderTest();
      const watch = await test.sync(TWO);
      if (how === 'as an event') watch.send(recorded('watch-too-old.jsonl'));
      else watch.fail(refused('SY_KUBE_EXPIRED'));
      await test.clock.pass(30_000);
      const list = await test.client.next();
      assert.deepEqual(list.query, { resourceVersion: '7', resourceVersionMatch: 'NotOlderThan' });
      list.grant().send(serviceList([service('a', '5'), service('c', '30')], '31'));
      await turns();
      assert.equal(test.told.length, 1, 'everything stays until the list is complete');
      list.end();
      await turns();
      assert.deepEqual(test.told[1], ['set c 80', 'remove b']);
      assert.deepEqual(test.codes, ['SY_KUBE_EXPIRED']);
      assert.equal((await test.client.next()).query['resourceVersion'], '31');
    });
  }

  it('between two pages leads to a new list of what is there now', async () => {
    await using test = new ReflectorUnderTest();
    await test.list(serviceList([service('a', '5')], '7', 'page2'));
    (await test.client.next()).fail(refused('SY_KUBE_EXPIRED'));
    await test.clock.pass(30_000);
    const list = await test.client.next();
    assert.deepEqual(list.query, { limit: '500' });
    assert.deepEqual(test.told, []);
    list
      .grant()
      .send(serviceList([service('b', '6')], '8'))
      .end();
    await turns();
    assert.deepEqual(test.told, [['set b 80']]);
  });

  it('that the server does not have yet leads to a list of what is there now', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.fail(refused('SY_KUBE_VERSION_AHEAD'));
    await test.clock.pass(30_000);
    assert.deepEqual((await test.client.next()).query, { limit: '500' });
  });
});

it('a watch that is silent leads to a list, for the version may never come', async () => {
  await using test = new ReflectorUnderTest();
  const watch = await test.sync(TWO);
  watch.fail(refused('SY_KUBE_SILENT'));
  await test.clock.pass(30_000);
  const list = await test.client.next();
  assert.deepEqual(list.query, { resourceVersion: '7', resourceVersionMatch: 'NotOlderThan' });
  list.fail(refused('SY_KUBE_VERSION_AHEAD'));
  await test.clock.pass(30_000);
  assert.deepEqual((await test.client.next()).query, { limit: '500' });
});

describe('an event that cannot be true', () => {
  it('of an older version than the one before leads to a list, and is not used', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.send(
      event('MODIFIED', service('a', '100', 81)),
      event('MODIFIED', service('b', '99', 1)),
    );
    await turns();
    assert.deepEqual(test.told.slice(1), [['set a 81']]);
    assert.deepEqual(test.codes, ['SY_KUBE_BACKWARDS']);
    await test.clock.pass(30_000);
    const list = await test.client.next();
    assert.deepEqual(list.query, { limit: '500' });
    list
      .grant()
      .send(serviceList([service('a', '50', 85)], '60'))
      .end();
    await turns();
    assert.deepEqual(
      test.told[2],
      ['set a 85', 'remove b'],
      'a lower version is believed in a list',
    );
  });

  const lines: Readonly<Record<string, readonly [string, string | Buffer]>> = {
    'a line that is no JSON': ['SY_KUBE_MALFORMED', '{"type":"ADDED","object":{"kind"\n'],
    'a line of another kind': ['SY_KUBE_MALFORMED', event('ADDED', service('c', '8'), 'Pod')],
    'an event of an unknown type': ['SY_KUBE_MALFORMED', event('CHANGED', service('c', '8'))],
    'an event without a version': ['SY_KUBE_MALFORMED', event('ADDED', service('c', ''))],
    'an event without a name': ['SY_KUBE_MALFORMED', event('ADDED', service('', '8'))],
    'a number': ['SY_KUBE_MALFORMED', '17\n'],
    'a line of 50 MB': ['SY_KUBE_TOO_LARGE', Buffer.alloc(50_000_000, 'x')],
  };
  for (const [name, [code, line]] of Object.entries(lines)) {
    it(`such as ${name} is reported once and leads to a list`, async () => {
      await using test = new ReflectorUnderTest();
      let watch = await test.sync(TWO);
      for (let attempt = 0; attempt < 3; attempt++) {
        watch.send(line);
        await test.clock.pass(30_000);
        const list = await test.client.next();
        assert.equal(list.query['watch'], undefined);
        list.grant().send(TWO).end();
        watch = (await test.client.next()).grant();
        await turns();
      }
      assert.deepEqual(test.codes, [code]);
      assert.equal(test.recoveries, 0);
      assert.deepEqual(test.told, [['set a 80', 'set b 80']]);
      watch.send(event('ADDED', service('c', '8')));
      assert.equal(test.recoveries, 1);
    });
  }
});

describe('an object with a fault', () => {
  it('is used as far as it goes, and told of once as long as it lasts', async () => {
    await using test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    watch.send(event('MODIFIED', doubtful('8')), event('MODIFIED', doubtful('9')));
    assert.equal(test.problems.length, 1);
    const [problem] = test.problems;
    assert.equal(problem?.object, 'Service shop/a');
    assert.equal(problem.field, 'spec.ports[1].port');
    assert.equal(problem.lastGoodStays, false);
    watch.send(event('MODIFIED', service('a', '10')), event('MODIFIED', doubtful('11')));
    assert.equal(test.problems.length, 2);
    watch.send(event('DELETED', doubtful('12')), event('ADDED', doubtful('13')));
    assert.equal(test.problems.length, 3);
  });
});

describe('closing', () => {
  it('ends what is under way, and nothing is told any more', async () => {
    const test = new ReflectorUnderTest();
    const watch = await test.sync(TWO);
    await test.reflector.close();
    assert.equal(watch.request.signal.aborted, true);
    await test.clock.pass(60_000);
    assert.equal(test.client.pending, 0);
    assert.deepEqual(test.troubles, []);
    await test.reflector.done;
  });

  it('does not wait for the next attempt', async () => {
    const test = new ReflectorUnderTest();
    (await test.client.next()).fail(refused('SY_KUBE_UNREACHABLE'));
    await turns();
    await test.reflector.close();
    assert.equal(test.client.pending, 0);
  });
});

it('a fault of whoever listens ends the reflector with it', async () => {
  const fault = new Error('a bug');
  const test = new ReflectorUnderTest({
    events: {
      onChanges: () => {
        throw fault;
      },
      onProblem: () => undefined,
      onTrouble: () => assert.fail('it is no trouble of the server'),
      onRecovered: () => undefined,
    },
  });
  const done = assert.rejects(test.reflector.done, fault);
  (await test.client.next()).grant().send(TWO).end();
  await done;
});
