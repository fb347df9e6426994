/** What can be made to go wrong with the stand-in API server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ApiServer, startApiServer } from '../../../src/testing/api-server.ts';
import { type Fault, SERVER_ERROR, htmlPage, tooBusy } from '../../../src/testing/faults.ts';
import { listIn, objectIn } from '../../../src/testing/json.ts';
import { bytesOf } from '../../../src/testing/protobuf/decode.ts';
import { expired } from '../../../src/testing/status.ts';
import type { Watch } from '../../../src/testing/watch.ts';
import { ManualClock, Stream, ask, brief, openWatch, parse, service } from './client.ts';

const SERVICES = '/api/v1/services';
const WATCH = `${SERVICES}?watch=1&resourceVersion=1`;
const PROTOBUF = { accept: 'application/vnd.kubernetes.protobuf' };

function onlyWatch(server: ApiServer): Watch {
  const [watch] = server.watches;
  assert.equal(server.watches.length, 1);
  if (watch === undefined) throw new Error('there is no watch');
  return watch;
}

const everyList = ({
  target,
}: {
  readonly target: { readonly verb: string } | undefined;
}): boolean => target?.verb === 'list';

async function planned(fault: Fault, times?: number): Promise<ApiServer> {
  const server = await startApiServer();
  server.apply(service('a'));
  server.faults.add(everyList, fault, times);
  return server;
}

describe('a fault of an answer', () => {
  it('is for the requests it was planned for, as often as it was planned', async () => {
    await using server = await planned(SERVER_ERROR, 2);
    assert.equal((await ask(`${server.url}${SERVICES}?watch=0`)).status, 500);
    assert.equal((await ask(`${server.url}/api/v1/namespaces/default/services/a`)).status, 200);
    assert.equal((await ask(server.url + SERVICES)).status, 500);
    assert.equal((await ask(server.url + SERVICES)).status, 200);
    assert.deepEqual(
      server.requests.map(({ status }) => status),
      [500, 200, 500, 200],
    );
  });

  it('can be taken back', async () => {
    await using server = await startApiServer();
    const takeBack = server.faults.add(everyList, SERVER_ERROR, Infinity);
    assert.equal((await ask(server.url + SERVICES)).status, 500);
    takeBack();
    assert.equal((await ask(server.url + SERVICES)).status, 200);
  });

  it('is a Status in the type the client accepts', async () => {
    await using server = await planned(SERVER_ERROR, 2);
    const text = await ask(server.url + SERVICES);
    assert.equal(parse(text.text)['reason'], 'InternalError');
    const binary = await ask(server.url + SERVICES, { headers: PROTOBUF });
    assert.equal(binary.headers['content-type'], PROTOBUF.accept);
    assert.ok(binary.text.startsWith('k8s\0'));
  });

  it('is 429 with the time to wait', async () => {
    await using server = await planned(tooBusy(7));
    const reply = await ask(server.url + SERVICES);
    assert.equal(reply.status, 429);
    assert.equal(reply.headers['retry-after'], '7');
    assert.equal(reply.text, 'Too many requests, please try again later.\n');
  });

  it('is 410, a page of HTML, or an empty list', async () => {
    await using server = await planned({ kind: 'refuse', error: expired('too old') });
    assert.equal((await ask(server.url + SERVICES)).status, 410);
    server.faults.add(everyList, htmlPage(200));
    const page = await ask(server.url + SERVICES);
    assert.equal(page.headers['content-type'], 'text/html');
    assert.match(page.text, /^<html>/);
    server.faults.add(everyList, { kind: 'emptyList' });
    const empty = parse((await ask(server.url + SERVICES)).text);
    assert.deepEqual(empty['items'], []);
    assert.equal(objectIn(empty, 'metadata')['resourceVersion'], String(server.revision));
    assert.equal(listIn(parse((await ask(server.url + SERVICES)).text), 'items').length, 1);
  });

  it('is the true answer, later', async () => {
    const clock = new ManualClock();
    await using server = await startApiServer({ clock });
    server.faults.add(everyList, { kind: 'delay', ms: 5000 });
    let answered = false;
    const reply = ask(server.url + SERVICES).then((value) => {
      answered = true;
      return value;
    });
    while (clock.waiting === 0) await new Promise(setImmediate);
    clock.advance(4999);
    await ask(`${server.url}/healthz`);
    assert.ok(!answered);
    clock.advance(1);
    assert.equal((await reply).status, 200);
  });

  it('is no answer, with a connection that breaks or stays', async () => {
    await using server = await planned({ kind: 'reset' });
    await assert.rejects(ask(server.url + SERVICES), { code: 'ECONNRESET' });
    server.faults.add(everyList, { kind: 'hang' });
    const swallowed = server.nextRequest(everyList);
    const hanging = ask(server.url + SERVICES);
    assert.equal((await swallowed).status, undefined);
    server.dropConnections();
    await assert.rejects(hanging, { code: 'ECONNRESET' });
  });

  it('is part of the true answer', async () => {
    await using server = await planned({ kind: 'truncate', bytes: 20 });
    using stream = await Stream.open(server.url + SERVICES);
    assert.equal(stream.status, 200);
    assert.equal(await stream.over(), 'broken');
    assert.equal(stream.left, '{"kind":"ServiceList');
  });
});

describe('a fault of an open watch', () => {
  it('is its end, or a connection that breaks', async () => {
    await using server = await startApiServer();
    using ended = await openWatch(server, WATCH);
    onlyWatch(server).end();
    assert.equal(await ended.over(), 'end');
    using dropped = await openWatch(server, WATCH);
    onlyWatch(server).drop();
    assert.equal(await dropped.over(), 'broken');
    assert.equal(server.watches.length, 0);
  });

  it('is half of the next line and the end of the connection', async () => {
    await using server = await startApiServer();
    using stream = await openWatch(server, WATCH);
    server.apply(service('a'));
    onlyWatch(server).cutNextEvent('drop');
    server.apply(service('b'));
    assert.equal(brief(await stream.event()), 'ADDED a');
    assert.equal(await stream.over(), 'broken');
    assert.match(stream.left, /^\{"type":"ADDED","object":\{"kind":"Service",.*"name":"b"/);
    assert.ok(!stream.left.includes('\n'));
  });

  it('is half of the next frame and then silence', async () => {
    const clock = new ManualClock();
    await using server = await startApiServer({ clock });
    const path = `${WATCH}&allowWatchBookmarks=1&timeoutSeconds=100`;
    using stream = await openWatch(server, path, { headers: PROTOBUF });
    onlyWatch(server).cutNextEvent('silence');
    server.apply(service('a'));
    await stream.arrived(5);
    const { length } = Buffer.from(stream.left, 'latin1');
    server.apply(service('b'));
    clock.advance(200_000);
    await ask(`${server.url}/healthz`);
    assert.equal(Buffer.from(stream.left, 'latin1').length, length);
    server.dropConnections();
    assert.equal(await stream.over(), 'broken');
  });

  it('is an event that did not happen: twice the same, an older version, an unknown object', async () => {
    await using server = await startApiServer();
    using stream = await openWatch(server, WATCH);
    const object = server.apply(service('a'));
    const watch = onlyWatch(server);
    watch.sendEvent('ADDED', object, server.revision);
    watch.sendEvent('MODIFIED', object, 1);
    watch.sendEvent('DELETED', service('never'), server.revision + 1);
    watch.sendError(expired('too old resource version: 1 (2)'));
    const first = await stream.event();
    assert.deepEqual(await stream.event(), first);
    const older = await stream.event();
    assert.equal(objectIn(older.object, 'metadata')['resourceVersion'], '1');
    assert.equal(brief(await stream.event()), 'DELETED never');
    assert.equal((await stream.event()).object['code'], 410);
    assert.equal(server.get('Service', 'default', 'never'), undefined);
  });

  it('is garbage, or a line of 50 MB', async () => {
    await using server = await startApiServer();
    using stream = await openWatch(server, WATCH);
    const watch = onlyWatch(server);
    watch.send('\0\xff no JSON\n');
    assert.equal(await stream.line(), '\0\xff no JSON');
    const annotations = { filler: 'x'.repeat(50_000_000) };
    watch.sendEvent('MODIFIED', { metadata: { name: 'a', annotations } }, 2);
    server.apply(service('b'));
    const line = (await stream.line()) ?? '';
    assert.ok(line.length > 50_000_000);
    assert.equal(brief(await stream.event()), 'ADDED b');
  });

  it('is in protobuf where the watch is', async () => {
    await using server = await startApiServer();
    using stream = await openWatch(server, WATCH, { headers: PROTOBUF });
    onlyWatch(server).sendEvent('DELETED', service('never'), 5);
    const frame = (await stream.frame()) ?? Buffer.alloc(0);
    assert.equal(bytesOf(frame, 1).toString(), 'DELETED');
    assert.ok(frame.includes('never'));
  });
});

describe('a fault of the server', () => {
  it('breaks all connections, and takes new ones', async () => {
    await using server = await startApiServer();
    using first = await openWatch(server, WATCH);
    using second = await openWatch(server, WATCH);
    server.dropConnections();
    assert.deepEqual([await first.over(), await second.over()], ['broken', 'broken']);
    assert.equal((await ask(`${server.url}/readyz`)).text, 'ok');
    assert.equal(server.watches.length, 0);
  });

  it('refuses connections until it accepts them again, on the same port', async () => {
    await using server = await startApiServer();
    using stream = await openWatch(server, WATCH);
    const { url } = server;
    await server.refuseConnections();
    await server.refuseConnections();
    assert.equal(await stream.over(), 'broken');
    await assert.rejects(ask(`${url}/healthz`), { code: 'ECONNREFUSED' });
    server.apply(service('meanwhile'));
    await server.acceptConnections();
    using again = await openWatch(server, WATCH);
    assert.equal(brief(await again.event()), 'ADDED meanwhile');
  });

  it('goes back to an older resource version', async () => {
    await using server = await startApiServer();
    for (const name of ['a', 'b', 'c']) server.apply(service(name));
    server.resetRevision(2);
    const list = parse((await ask(server.url + SERVICES)).text);
    assert.equal(objectIn(list, 'metadata')['resourceVersion'], '2');
    const created = server.apply(service('d'));
    assert.equal(objectIn(created, 'metadata')['resourceVersion'], '3');
  });
});
