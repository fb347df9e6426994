/** The stand-in API server against recorded answers of a real one, byte for byte. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ApiServer, startApiServer } from '../../../src/testing/api-server.ts';
import { type JsonObject, listIn, objectIn, textIn } from '../../../src/testing/json.ts';
import { ManualClock, Stream, ask, manifest, openWatch, parse, recorded } from './client.ts';

/** The recordings were made with curl, which gets indented JSON. */
const CURL = { 'user-agent': 'curl/8.5.0' };
const TIMEOUT_75 = 'watch=1&allowWatchBookmarks=true&timeoutSeconds=75';

const SERVICES =
  '/api/v1/services?limit=3&labelSelector=!service.kubernetes.io/service-proxy-name&fieldSelector=spec.clusterIP!=None';
const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
const NOT_HEADLESS = 'labelSelector=!service.kubernetes.io/headless';

function items(name: string): JsonObject[] {
  return listIn(parse(recorded(name)), 'items').map((item) => parse(JSON.stringify(item)));
}

/** An object of its kind like the last one, so that the recorded page is not the last. */
function oneMore(objects: readonly JsonObject[], name: string): JsonObject {
  const last = objects.at(-1) ?? {};
  return { ...last, metadata: { ...objectIn(last, 'metadata'), name, labels: {} } };
}

/** Events of a recorded watch as objects to apply. */
function events(name: string): readonly { readonly type: string; readonly object: JsonObject }[] {
  return recorded(name)
    .trimEnd()
    .split('\n')
    .map((line) => ({
      type: textIn(parse(line), 'type'),
      object: objectIn(parse(line), 'object'),
    }));
}

/** Stores a recorded version of a slice under the version it had. */
function replay(server: ApiServer, object: JsonObject): void {
  const metadata = objectIn(object, 'metadata');
  const { resourceVersion, generation: _, ...rest } = metadata;
  // Watches stay open: only versions before the next are forgotten.
  if (server.revision + 1 !== Number(resourceVersion)) {
    server.resetRevision(Number(resourceVersion) - 1);
  }
  server.apply(manifest('discovery.k8s.io/v1', 'EndpointSlice', { ...object, metadata: rest }));
}

async function matches(url: string, name: string, headers: Record<string, string> = {}) {
  const reply = await ask(url, { headers: { ...CURL, ...headers } });
  const [first = '', ...lines] = recorded(`${name}.headers`).trim().split(/\r?\n/);
  assert.equal(`HTTP/2 ${reply.status}`, first.trim());
  const expected = lines.map((line) => line.split(': '));
  for (const [header = '', value] of expected) assert.equal(reply.headers[header], value, header);
  const length = expected.some(([header]) => header === 'content-length');
  assert.equal('content-length' in reply.headers, length);
  assert.match(
    reply.headers['audit-id']?.toString() ?? '',
    /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/,
  );
  assert.equal(reply.text, recorded(`${name}.body`));
}

describe('the stand-in API server answers as recorded:', () => {
  it('the pages of a list', async () => {
    await using server = await startApiServer();
    const services = [...items('services-list-page1.body'), ...items('services-list-page2.body')];
    const headless = { ...oneMore(services, 'headless'), spec: { clusterIP: 'None' } };
    server.load('Service', [...services, headless, oneMore(services, 'svc-102')]);
    const slices = items('endpointslices-list-page1.body');
    server.load('EndpointSlice', [...slices, oneMore(slices, 'svc-2-a')]);
    server.resetRevision(5796);
    await matches(server.url + SERVICES, 'services-list-page1');
    const token = textIn(
      objectIn(parse(recorded('services-list-page1.body')), 'metadata'),
      'continue',
    );
    await matches(`${server.url}${SERVICES}&continue=${token}`, 'services-list-page2');
    await matches(`${server.url}${SLICES}?limit=3&${NOT_HEADLESS}`, 'endpointslices-list-page1');
  });

  it('lists of objects of the cluster', async () => {
    await using server = await startApiServer();
    server.load('Node', items('node-list.body'));
    server.load('ServiceCIDR', items('servicecidrs-list.body'));
    server.resetRevision(5796);
    await matches(`${server.url}/api/v1/nodes`, 'node-list');
    const path = '/apis/networking.k8s.io/v1/servicecidrs';
    await matches(server.url + path, 'servicecidrs-list');
  });

  it('a continue token that is too old', async () => {
    await using server = await startApiServer();
    server.resetRevision(5819);
    const token = JSON.stringify({ v: 'meta.k8s.io/v1', rv: 1, start: 'a/b\0' });
    const encoded = Buffer.from(token).toString('base64url');
    await matches(
      `${server.url}/api/v1/services?limit=3&continue=${encoded}`,
      'list-expired-continue',
    );
  });

  it('a resource version of the future, after three seconds', async () => {
    const clock = new ManualClock();
    await using server = await startApiServer({ clock });
    server.resetRevision(5831);
    const query = 'resourceVersion=999999999&resourceVersionMatch=NotOlderThan';
    const answered = matches(`${server.url}/api/v1/services?${query}`, 'list-too-large-rv');
    while (clock.waiting === 0) await new Promise(setImmediate);
    clock.advance(2999);
    assert.equal(server.requests[0]?.status, undefined);
    clock.advance(1);
    await answered;
  });

  it('a wrong token, and a version of an API that is not there', async () => {
    await using server = await startApiServer({ token: 'right' });
    const wrong = { authorization: 'Bearer wrong' };
    await matches(`${server.url}/api/v1/services`, 'unauthorized', wrong);
    const right = { authorization: 'Bearer right' };
    await matches(`${server.url}/apis/discovery.k8s.io/v9/endpointslices`, 'not-found', right);
  });

  it('the version, less what the build says of itself', async () => {
    await using server = await startApiServer();
    const reply = await ask(`${server.url}/version`);
    const expected = parse(recorded('version.body'));
    const got = parse(reply.text);
    assert.deepEqual(Object.keys(got), Object.keys(expected));
    for (const field of ['major', 'minor', 'gitVersion', 'platform', 'minCompatibilityMinor']) {
      assert.equal(got[field], expected[field]);
    }
    assert.equal(reply.headers['content-type'], 'application/json');
  });

  it('a watch of what was there, changed, and began to carry an excluded label', async () => {
    await using server = await startApiServer();
    const [kubernetes = {}] = items('endpointslices-list-page1.body');
    server.load('EndpointSlice', [kubernetes]);
    server.resetRevision(5796);
    const path = `${SLICES}?${TIMEOUT_75}&resourceVersion=5796&${NOT_HEADLESS}`;
    using stream = await openWatch(server, path);
    assert.equal(stream.headers['content-type'], 'application/json');
    assert.equal(stream.headers['transfer-encoding'], 'chunked');
    const [added, modified] = events('endpointslices-watch.jsonl');
    const labelled = events('endpointslices-watchlist.jsonl')[3];
    const last = events('endpointslices-watch.jsonl')[3];
    for (const event of [added, modified, labelled, last]) replay(server, event?.object ?? {});
    for (const line of recorded('endpointslices-watch.jsonl').trimEnd().split('\n')) {
      assert.equal(await stream.line(), line);
    }
  });

  it('a watch-list, from the end of its initial events to the bookmark before its end', async () => {
    const clock = new ManualClock();
    await using server = await startApiServer({ clock });
    server.resetRevision(5796);
    const initial = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0';
    const path = `${SLICES}?${TIMEOUT_75}&${initial}&labelSelector=small=yes`;
    using stream = await openWatch(server, path);
    for (const { type, object } of events('endpointslices-watchlist.jsonl')) {
      if (type === 'ADDED' || type === 'MODIFIED') replay(server, object);
      if (type === 'DELETED') server.delete('EndpointSlice', 'default', 'svc-5000-a');
    }
    clock.advance(60_000);
    for (const line of recorded('endpointslices-watchlist.jsonl').trimEnd().split('\n')) {
      assert.equal(await stream.line(), line);
    }
    assert.equal(stream.left, '');
  });

  it('a watch from a version that is forgotten', async () => {
    await using server = await startApiServer();
    server.resetRevision(5819);
    using stream = await Stream.open(`${server.url}${SLICES}?watch=1&resourceVersion=5`);
    assert.equal(stream.status, 200);
    assert.equal(`${await stream.line()}\n`, recorded('watch-too-old.jsonl'));
    assert.equal(await stream.over(), 'end');
  });
});
