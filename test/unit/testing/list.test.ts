/** LIST of the stand-in API server: pages, versions and their errors. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type ApiServer, startApiServer } from '../../../src/testing/api-server.ts';
import { makeEndpointSlices, makeServices } from '../../../src/testing/cluster.ts';
import { type JsonObject, listIn, objectIn, textIn } from '../../../src/testing/json.ts';
import { ask, askJson, parse, service } from './client.ts';

const SERVICES = '/api/v1/services';

function names(list: JsonObject): string[] {
  return listIn(list, 'items').map((item) =>
    textIn(objectIn(parse(JSON.stringify(item)), 'metadata'), 'name'),
  );
}

function metadataOf(list: JsonObject): JsonObject {
  return objectIn(list, 'metadata');
}

async function withServices(...given: readonly string[]): Promise<ApiServer> {
  const server = await startApiServer();
  for (const name of given) server.apply(service(name));
  return server;
}

async function listOf(server: ApiServer, query: string): Promise<JsonObject> {
  return askJson(`${server.url}${SERVICES}?${query}`);
}

describe('LIST', () => {
  it('gives pages of one moment, whatever changes in between', async () => {
    await using server = await withServices('a', 'b', 'c', 'd', 'e');
    const first = await listOf(server, 'limit=2');
    assert.deepEqual(names(first), ['a', 'b']);
    assert.equal(metadataOf(first)['remainingItemCount'], 3);
    const revision = textIn(metadataOf(first), 'resourceVersion');
    server.delete('Service', 'default', 'd');
    server.delete('Service', 'default', 'a');
    server.apply(service('bb'));
    server.apply(service('c', { type: 'NodePort' }));
    const token = textIn(metadataOf(first), 'continue');
    const second = await listOf(server, `limit=2&continue=${token}`);
    assert.deepEqual(names(second), ['c', 'd']);
    const changed = parse(JSON.stringify(listIn(second, 'items')[0]));
    assert.equal(textIn(objectIn(changed, 'spec'), 'type'), 'ClusterIP');
    assert.equal(textIn(metadataOf(second), 'resourceVersion'), revision);
    const third = await listOf(
      server,
      `limit=2&continue=${textIn(metadataOf(second), 'continue')}`,
    );
    assert.deepEqual(names(third), ['e']);
    assert.ok(!('continue' in metadataOf(third)));
    assert.ok(!('remainingItemCount' in metadataOf(third)));
    assert.deepEqual(names(await listOf(server, '')), ['b', 'bb', 'c', 'e']);
  });

  it('goes on in the present with the token of the error, after a compaction', async () => {
    await using server = await withServices('a', 'b', 'c');
    const first = await listOf(server, 'limit=1');
    server.delete('Service', 'default', 'b');
    server.apply(service('d'));
    server.compact();
    const token = textIn(metadataOf(first), 'continue');
    const gone = await ask(`${server.url}${SERVICES}?limit=1&continue=${token}`);
    assert.equal(gone.status, 410);
    const inconsistent = textIn(metadataOf(parse(gone.text)), 'continue');
    const rest = await listOf(server, `continue=${inconsistent}`);
    assert.deepEqual(names(rest), ['c', 'd']);
    assert.equal(textIn(metadataOf(rest), 'resourceVersion'), String(server.revision));
  });

  it('gives everything at once to those who take any version', async () => {
    await using server = await withServices('a', 'b', 'c');
    const list = await listOf(server, 'limit=2&resourceVersion=0');
    assert.deepEqual(names(list), ['a', 'b', 'c']);
    assert.ok(!('continue' in metadataOf(list)));
  });

  it('counts no remaining objects when there are selectors', async () => {
    await using server = await withServices('a', 'b', 'c');
    const list = await listOf(server, 'limit=1&fieldSelector=spec.clusterIP!=None');
    assert.ok('continue' in metadataOf(list));
    assert.ok(!('remainingItemCount' in metadataOf(list)));
  });

  it('gives an exact version for Exact, and for a limit with a version', async () => {
    await using server = await withServices('a', 'b');
    const then = server.revision;
    server.apply(service('c'));
    const exact = await listOf(server, `resourceVersion=${then}&resourceVersionMatch=Exact`);
    assert.deepEqual(names(exact), ['a', 'b']);
    assert.equal(metadataOf(exact)['resourceVersion'], String(then));
    assert.deepEqual(names(await listOf(server, `resourceVersion=${then}&limit=9`)), ['a', 'b']);
    const newer = await listOf(
      server,
      `resourceVersion=${then}&resourceVersionMatch=NotOlderThan&limit=9`,
    );
    assert.deepEqual(names(newer), ['a', 'b', 'c']);
    assert.deepEqual(names(await listOf(server, `resourceVersion=${then}`)), ['a', 'b', 'c']);
    server.compact();
    const gone = await ask(
      `${server.url}${SERVICES}?resourceVersion=${then}&resourceVersionMatch=Exact`,
    );
    assert.equal(gone.status, 410);
    assert.equal(parse(gone.text)['reason'], 'Expired');
    assert.equal(
      parse(gone.text)['message'],
      'The resourceVersion for the provided list is too old.',
    );
  });

  it('waits for a version that is about to come', async () => {
    await using server = await withServices('a');
    const wanted = server.revision + 1;
    const list = listOf(server, `resourceVersion=${wanted}`);
    while (server.requests.length === 0) await new Promise(setImmediate);
    server.apply(service('b'));
    assert.deepEqual(names(await list), ['a', 'b']);
  });

  it('keeps to a namespace', async () => {
    await using server = await withServices('a');
    for (const namespace of ['default-2', 'other']) {
      server.apply({ ...service('x'), metadata: { name: 'x', namespace } });
    }
    const list = await askJson(`${server.url}/api/v1/namespaces/default/services?limit=1`);
    assert.deepEqual(names(list), ['a']);
    assert.ok(!('continue' in metadataOf(list)));
    const all = await askJson(server.url + SERVICES);
    assert.deepEqual(names(all), ['x', 'a', 'x']);
  });

  for (const [query, status, message] of [
    [
      'resourceVersionMatch=Exact',
      422,
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    ],
    [
      'resourceVersion=0&resourceVersionMatch=Exact',
      422,
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ],
    [
      'resourceVersion=1&resourceVersionMatch=Any',
      422,
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Any": supported values: "Exact", "NotOlderThan", ""',
    ],
    [
      'sendInitialEvents=true',
      422,
      'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
    ],
    ['limit=x', 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
    [
      'resourceVersion=x',
      500,
      'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ],
    ['continue=x', 400, 'invalid continue token: continue key is not valid'],
    ['fieldSelector=spec.ports=1', 400, 'field label not supported: spec.ports'],
    [
      'labelSelector=a b',
      400,
      "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    ],
  ] as const) {
    it(`refuses ${query}`, async () => {
      await using server = await withServices('a');
      const reply = await ask(`${server.url}${SERVICES}?${query}`);
      assert.equal(reply.status, status);
      assert.equal(parse(reply.text)['message'], message);
      assert.equal(parse(reply.text)['code'], status);
    });
  }

  it('compresses large lists for those who accept it', async () => {
    await using server = await startApiServer();
    server.load('Service', makeServices({ services: 200 }));
    const gzip = { 'accept-encoding': 'gzip, br' };
    const compressed = await ask(server.url + SERVICES, { headers: gzip });
    assert.equal(compressed.headers['content-encoding'], 'gzip');
    const plain = await ask(server.url + SERVICES);
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal(gunzipSync(compressed.bytes).toString(), plain.text);
    const small = await ask(`${server.url}${SERVICES}?limit=1`, { headers: gzip });
    assert.equal(small.headers['content-encoding'], undefined);
  });

  it('takes in 10,000 Services and slices in less than three seconds', async () => {
    await using server = await startApiServer();
    const begin = performance.now();
    server.load('Service', makeServices({ services: 10_000 }));
    server.load('EndpointSlice', makeEndpointSlices({ services: 10_000 }));
    assert.ok(performance.now() - begin < 3000);
    assert.equal(server.list('EndpointSlice').length, 10_000);
    assert.equal(listIn(server.list('EndpointSlice')[0] ?? {}, 'endpoints').length, 10);
  });
});
