/** WATCH of the stand-in API server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Manifest, startApiServer } from '../../../src/testing/api-server.ts';
import { objectIn, textIn } from '../../../src/testing/json.ts';
import {
  ManualClock,
  Stream,
  type WatchEvent,
  ask,
  brief,
  openWatch,
  parse,
  service,
  slice,
} from './client.ts';

const SERVICES = '/api/v1/services?watch=true';
const SLICES = '/apis/discovery.k8s.io/v1/endpointslices?watch=true';
const WATCH_LIST =
  'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';

async function briefly(stream: Stream, count: number): Promise<string[]> {
  const events: string[] = [];
  for (let taken = 0; taken < count; taken++) events.push(brief(await stream.event()));
  return events;
}

const node = (name: string): Manifest => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });

const versionOf = ({ object }: WatchEvent): string =>
  textIn(objectIn(object, 'metadata'), 'resourceVersion');

describe('WATCH', () => {
  it('sends what was missed since a version, then what happens', async () => {
    await using server = await startApiServer();
    server.apply(service('a'));
    const seen = server.revision;
    server.apply(service('b'));
    server.delete('Service', 'default', 'a');
    using stream = await openWatch(server, `${SERVICES}&resourceVersion=${seen}`);
    server.apply(service('b', { type: 'NodePort' }));
    assert.deepEqual(await briefly(stream, 3), ['ADDED b', 'DELETED a', 'MODIFIED b']);
    server.apply(service('b', { type: 'NodePort' }));
    server.apply(service('end'));
    assert.equal(
      brief(await stream.event()),
      'ADDED end',
      'a write that changes nothing is no event',
    );
  });

  it('without a version, and from version 0, begins with everything there is', async () => {
    await using server = await startApiServer();
    server.apply(service('b'));
    server.apply(service('a'));
    server.compact();
    for (const query of ['', '&resourceVersion=0']) {
      using stream = await openWatch(server, SERVICES + query);
      server.apply(service(`c${query.length}`));
      const [first, second, third] = await briefly(stream, 3);
      assert.deepEqual([first, second], ['ADDED a', 'ADDED b']);
      assert.match(third ?? '', /^ADDED c/);
    }
  });

  it('from a version of the future is silent until that version is past', async () => {
    await using server = await startApiServer();
    using stream = await openWatch(server, `${SERVICES}&resourceVersion=${server.revision + 2}`);
    for (const name of ['a', 'b', 'c']) server.apply(service(name));
    assert.equal(brief(await stream.event()), 'ADDED c');
  });

  it('turns a change of what matches into ADDED and DELETED', async () => {
    await using server = await startApiServer();
    const path = `${SLICES}&resourceVersion=1&labelSelector=!service.kubernetes.io/headless`;
    using stream = await openWatch(server, path);
    const headless = { 'service.kubernetes.io/headless': '' };
    server.apply(slice('x', ['10.0.0.1'], headless));
    server.apply(slice('x', ['10.0.0.2']));
    server.apply(slice('x', ['10.0.0.3'], headless));
    server.apply(slice('x', ['10.0.0.4'], headless));
    server.delete('EndpointSlice', 'default', 'x');
    server.apply(slice('end', []));
    const [added, deleted, end] = [
      await stream.event(),
      await stream.event(),
      await stream.event(),
    ];
    assert.equal(brief(added), 'ADDED x');
    assert.equal(brief(deleted), 'DELETED x');
    assert.match(JSON.stringify(deleted.object), /10\.0\.0\.2/, 'the last version that matched');
    assert.equal(versionOf(deleted), String(Number(versionOf(added)) + 1));
    assert.equal(brief(end), 'ADDED end');
  });

  it('follows one node, one namespace and a field', async () => {
    await using server = await startApiServer();
    using nodes = await openWatch(server, '/api/v1/nodes?watch=1&fieldSelector=metadata.name=n1');
    using others = await openWatch(server, '/api/v1/namespaces/other/services?watch=1');
    using real = await openWatch(server, `${SERVICES}&fieldSelector=spec.clusterIP!=None`);
    for (const name of ['n0', 'n1', 'n2']) server.apply(node(name));
    server.apply(service('headless', { clusterIP: 'None' }));
    server.apply({ ...service('there'), metadata: { name: 'there', namespace: 'other' } });
    server.apply({ ...node('n1'), spec: { unschedulable: true } });
    assert.deepEqual(await briefly(nodes, 2), ['ADDED n1', 'MODIFIED n1']);
    assert.deepEqual(await briefly(others, 1), ['ADDED there']);
    assert.deepEqual(await briefly(real, 1), ['ADDED there']);
  });

  it('sends bookmarks each minute and two seconds before its end', async () => {
    const clock = new ManualClock();
    await using server = await startApiServer({ clock });
    using with_ = await openWatch(server, `${SERVICES}&allowWatchBookmarks=true&timeoutSeconds=75`);
    using without = await openWatch(server, `${SERVICES}&timeoutSeconds=75`);
    server.apply(slice('x', []));
    clock.advance(59_999);
    server.apply(service('a'));
    clock.advance(1);
    clock.advance(12_999);
    server.apply(service('b'));
    clock.advance(1);
    clock.advance(1999);
    assert.equal(server.watches.length, 2);
    clock.advance(1);
    assert.equal(server.watches.length, 0);
    const events = [];
    for (let count = 0; count < 4; count++) events.push(await with_.event());
    assert.deepEqual(
      events.map((event) => `${event.type} ${versionOf(event)}`),
      ['ADDED 3', 'BOOKMARK 3', 'ADDED 4', 'BOOKMARK 4'],
    );
    assert.equal(await with_.over(), 'end');
    assert.equal(with_.left, '');
    assert.deepEqual(await briefly(without, 2), ['ADDED a', 'ADDED b']);
    assert.equal(await without.over(), 'end');
    assert.equal(without.left, '');
    assert.equal(clock.waiting, 0, 'nothing is left behind');
  });

  it('of two seconds has no bookmark, and one without a time ends in half an hour or later', async () => {
    const clock = new ManualClock();
    await using server = await startApiServer({ clock });
    using short = await openWatch(server, `${SERVICES}&allowWatchBookmarks=1&timeoutSeconds=2`);
    using long = await openWatch(server, SERVICES);
    clock.advance(1_799_999);
    assert.equal(await short.line(), undefined);
    assert.equal(server.watches.length, 1);
    clock.advance(1_800_001);
    assert.equal(await long.line(), undefined);
  });

  it('as a list ends its initial events with a bookmark', async () => {
    await using server = await startApiServer();
    server.apply(service('b'));
    server.apply(service('a'));
    server.apply(service('c', { clusterIP: 'None' }));
    const path = `${SERVICES}&${WATCH_LIST}&fieldSelector=spec.clusterIP!=None`;
    using stream = await openWatch(server, path);
    assert.deepEqual(await briefly(stream, 2), ['ADDED a', 'ADDED b']);
    const bookmark = await stream.event();
    assert.deepEqual(bookmark, {
      type: 'BOOKMARK',
      object: {
        kind: 'Service',
        apiVersion: 'v1',
        metadata: { resourceVersion: '4', annotations: { 'k8s.io/initial-events-end': 'true' } },
        spec: {},
        status: { loadBalancer: {} },
      },
    });
    server.apply(service('d'));
    assert.equal(brief(await stream.event()), 'ADDED d');
  });

  it('as a list of a version of the future reports that inside of its stream', async () => {
    const clock = new ManualClock();
    await using server = await startApiServer({ clock });
    using stream = await Stream.open(`${server.url}${SERVICES}&${WATCH_LIST}&resourceVersion=99`);
    clock.advance(3000);
    const { type, object } = await stream.event();
    assert.equal(type, 'ERROR');
    assert.equal(object['message'], 'Timeout: Too large resource version: 99, current: 1');
    assert.equal(await stream.over(), 'end');
  });

  it('with sendInitialEvents=false begins in the present', async () => {
    await using server = await startApiServer();
    server.apply(service('a'));
    const query = 'sendInitialEvents=false&resourceVersionMatch=NotOlderThan';
    using stream = await openWatch(server, `${SERVICES}&${query}`);
    server.apply(service('b'));
    assert.equal(brief(await stream.event()), 'ADDED b');
  });

  for (const [query, why] of [
    [
      'sendInitialEvents=true',
      'resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    ],
    [
      'resourceVersion=1&resourceVersionMatch=NotOlderThan',
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    ],
  ] as const) {
    it(`refuses ${query}`, async () => {
      await using server = await startApiServer();
      const reply = await ask(`${server.url}${SERVICES}&${query}`);
      assert.equal(reply.status, 422);
      const { message } = parse(reply.text);
      assert.equal(message, `ListOptions.meta.k8s.io "" is invalid: ${why}`);
      assert.equal(server.watches.length, 0);
    });
  }

  it('is told once that its version is forgotten, by compaction or by too long a history', async () => {
    await using server = await startApiServer({ historyLimit: 3 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) server.apply(service(name));
    using kept = await openWatch(server, `${SERVICES}&resourceVersion=3`);
    assert.deepEqual(await briefly(kept, 3), ['ADDED c', 'ADDED d', 'ADDED e']);
    using old = await Stream.open(`${server.url}${SERVICES}&resourceVersion=2`);
    assert.equal((await old.event()).object['message'], 'too old resource version: 2 (3)');
    server.compact();
    using older = await Stream.open(`${server.url}${SERVICES}&resourceVersion=5`);
    const { type, object } = await older.event();
    assert.equal(type, 'ERROR');
    assert.equal(object['code'], 410);
    assert.equal(await older.over(), 'end');
    server.apply(service('f'));
    assert.equal(brief(await kept.event()), 'ADDED f', 'watches that are open go on');
  });

  it('is cut off when its reader takes nothing while much waits, and others are not', async () => {
    const clock = new ManualClock();
    await using server = await startApiServer({ clock, slowReaderMs: 1000 });
    using slow = await openWatch(server, SERVICES);
    using quick = await openWatch(server, SERVICES);
    slow.pause();
    const filler = 'x'.repeat(1024 * 1024);
    for (let count = 0; count < 30; count++) {
      server.apply({
        ...service('big'),
        metadata: { name: 'big', annotations: { filler, n: String(count) } },
      });
      await quick.line();
    }
    clock.advance(999);
    assert.equal(server.watches.length, 2);
    clock.advance(1);
    assert.equal(server.watches.length, 1);
    slow.resume();
    assert.equal(await slow.over(), 'end');
    assert.ok(slow.left.split('\n').length < 30, 'what did not fit is not sent');
    server.apply(service('after'));
    assert.equal(brief(await quick.event()), 'ADDED after');
  });
});
