/** POST, PUT, PATCH and DELETE of the stand-in API server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ApiServer, startApiServer } from '../../../src/testing/api-server.ts';
import { type JsonObject, objectIn, textIn } from '../../../src/testing/json.ts';
import { encodeMessage } from '../../../src/testing/protobuf/encode.ts';
import { unknown } from '../../../src/testing/protobuf/envelope.ts';
import { EVENTS } from '../../../src/testing/resources.ts';
import { ManualClock, ask, brief, openWatch, parse, service, slice } from './client.ts';

const SERVICES = '/api/v1/namespaces/default/services';
const NODES = '/api/v1/nodes';
const EVENTS_PATH = '/apis/events.k8s.io/v1/namespaces/default/events';
const JSON_BODY = { 'content-type': 'application/json' };
const MERGE = { 'content-type': 'application/merge-patch+json' };
const STRATEGIC = { 'content-type': 'application/strategic-merge-patch+json' };
const PROTOBUF = { 'content-type': 'application/vnd.kubernetes.protobuf' };

interface Result {
  readonly status: number;
  readonly object: JsonObject;
  readonly metadata: JsonObject;
}

async function send(
  server: ApiServer,
  method: string,
  path: string,
  content: JsonObject | Buffer = {},
  headers: Record<string, string> = JSON_BODY,
): Promise<Result> {
  const body = content instanceof Buffer ? content : JSON.stringify(content);
  const reply = await ask(server.url + path, { method, body, headers });
  const object = parse(reply.text);
  return { status: reply.status, object, metadata: objectIn(object, 'metadata') };
}

describe('POST', () => {
  it('stores an object with what the server adds, and tells the watches', async () => {
    const clock = new ManualClock();
    await using server = await startApiServer({ clock });
    using stream = await openWatch(server, '/api/v1/services?watch=1');
    const { status, object, metadata } = await send(server, 'POST', SERVICES, service('a'));
    assert.equal(status, 201);
    assert.deepEqual(Object.keys(object).slice(0, 2), ['kind', 'apiVersion']);
    assert.match(textIn(metadata, 'uid'), /^[\da-f-]{36}$/);
    assert.equal(metadata['creationTimestamp'], '2026-11-21T20:29:31Z');
    assert.equal(metadata['resourceVersion'], String(server.revision));
    assert.deepEqual(objectIn(object, 'spec'), {
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1'],
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
    assert.deepEqual((await stream.event()).object, object);
    const next = await send(server, 'POST', SERVICES, service('b'));
    assert.equal(objectIn(next.object, 'spec')['clusterIP'], '10.96.0.2');
  });

  it('makes up names, and refuses objects that have none', async () => {
    await using server = await startApiServer();
    const event = { metadata: { generateName: 'node-1.' }, reason: 'Starting' };
    const made = await send(server, 'POST', EVENTS_PATH, event);
    assert.match(textIn(made.metadata, 'name'), /^node-1\.[\da-f]{6}$/);
    const refused = await send(server, 'POST', SERVICES, { metadata: {} });
    assert.equal(refused.status, 422);
    const message =
      'Service "" is invalid: metadata.name: Required value: name or generateName is required';
    assert.equal(refused.object['message'], message);
  });

  it('takes protobuf, and answers in what the client accepts', async () => {
    await using server = await startApiServer();
    const event = {
      metadata: { name: 'e', namespace: 'default' },
      eventTime: '2026-11-21T20:29:31.123456Z',
      reason: 'Starting',
      regarding: { kind: 'Node', name: 'node-1' },
    };
    const body = unknown(EVENTS, [encodeMessage(EVENTS.message, event)]);
    const { status, object } = await send(server, 'POST', EVENTS_PATH, body, PROTOBUF);
    assert.equal(status, 201);
    assert.equal(object['eventTime'], event.eventTime);
    assert.deepEqual(object['regarding'], event.regarding);
    assert.equal(server.list('Event').length, 1);
  });

  for (const [what, path, body, headers, status, reason] of [
    ['an object that is there', SERVICES, service('a'), JSON_BODY, 409, 'AlreadyExists'],
    [
      'another namespace',
      '/api/v1/namespaces/x/services',
      service('b'),
      JSON_BODY,
      400,
      'BadRequest',
    ],
    ['another kind', SERVICES, slice('b', []), JSON_BODY, 400, 'BadRequest'],
    ['no JSON', SERVICES, Buffer.from('{'), JSON_BODY, 400, 'BadRequest'],
    ['broken protobuf', SERVICES, Buffer.from('k8s\0\xff'), PROTOBUF, 400, 'BadRequest'],
    [
      'YAML',
      SERVICES,
      service('b'),
      { 'content-type': 'application/yaml' },
      415,
      'UnsupportedMediaType',
    ],
    [
      'more than 3 MiB',
      SERVICES,
      Buffer.alloc(3 * 2 ** 20 + 1),
      JSON_BODY,
      413,
      'RequestEntityTooLarge',
    ],
    ['an unknown resource', '/api/v1/namespaces/default/pods', {}, JSON_BODY, 404, 'NotFound'],
    ['an object', `${SERVICES}/a`, service('a'), JSON_BODY, 405, 'MethodNotAllowed'],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await using server = await startApiServer();
      server.apply(service('a'));
      const { revision } = server;
      const reply = await send(server, 'POST', path, body, headers);
      assert.equal(reply.status, status);
      assert.equal(reply.object['reason'], reason);
      assert.equal(reply.object['status'], 'Failure');
      assert.equal(server.revision, revision);
    });
  }
});

describe('PUT and PATCH', () => {
  it("keep what is not the client's to change", async () => {
    await using server = await startApiServer();
    const { metadata } = await send(server, 'POST', SERVICES, service('a'));
    const put = await send(server, 'PUT', `${SERVICES}/a`, service('a', { type: 'NodePort' }));
    assert.equal(put.status, 200);
    assert.equal(objectIn(put.object, 'spec')['type'], 'NodePort');
    assert.equal(objectIn(put.object, 'spec')['clusterIP'], '10.96.0.1');
    assert.equal(put.metadata['uid'], metadata['uid']);
    assert.equal(put.metadata['creationTimestamp'], metadata['creationTimestamp']);
    assert.notEqual(put.metadata['resourceVersion'], metadata['resourceVersion']);
  });

  it('count the generations of EndpointSlices', async () => {
    await using server = await startApiServer();
    const path = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
    const first = await send(server, 'POST', path, slice('a', ['10.0.0.1']));
    assert.equal(first.metadata['generation'], 1);
    const same = await send(server, 'PUT', `${path}/a`, slice('a', ['10.0.0.1']));
    assert.equal(same.metadata['resourceVersion'], first.metadata['resourceVersion']);
    const second = await send(server, 'PUT', `${path}/a`, slice('a', ['10.0.0.2']));
    assert.equal(second.metadata['generation'], 2);
  });

  it('merge patches, null removing', async () => {
    await using server = await startApiServer();
    server.apply(service('a', { selector: { app: 'a' } }, { x: '1', y: '2' }));
    const patch = { metadata: { labels: { x: null, z: '3' } }, spec: { selector: null } };
    const { metadata, object } = await send(server, 'PATCH', `${SERVICES}/a`, patch, MERGE);
    assert.deepEqual(metadata['labels'], { y: '2', z: '3' });
    assert.ok(!('selector' in objectIn(object, 'spec')));
    assert.equal(objectIn(object, 'spec')['clusterIP'], '10.96.0.1');
  });

  it('take strategic merge patches that a merge patch is equal to, and no others', async () => {
    await using server = await startApiServer();
    await send(server, 'POST', EVENTS_PATH, { metadata: { name: 'e' }, reason: 'Starting' });
    const series = { count: 2, lastObservedTime: '2026-11-21T20:29:31.000000Z' };
    const { status, object } = await send(
      server,
      'PATCH',
      `${EVENTS_PATH}/e`,
      { series },
      STRATEGIC,
    );
    assert.equal(status, 200);
    assert.deepEqual([object['series'], object['reason']], [series, 'Starting']);
    server.apply(service('a'));
    const ports = { spec: { ports: [{ port: 81 }] } };
    const refused = await send(server, 'PATCH', `${SERVICES}/a`, ports, STRATEGIC);
    assert.equal(refused.status, 415);
  });

  it('change the status by its own path, and nothing else there', async () => {
    await using server = await startApiServer();
    server.apply({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n' },
      spec: { podCIDR: 'x' },
    });
    const addresses = [{ type: 'InternalIP', address: '192.0.2.1' }];
    const both = { spec: { podCIDR: 'y' }, status: { addresses } };
    const plain = await send(server, 'PATCH', `${NODES}/n`, both, MERGE);
    assert.equal(objectIn(plain.object, 'spec')['podCIDR'], 'y');
    assert.ok(!('addresses' in objectIn(plain.object, 'status')));
    const again = { spec: { podCIDR: 'z' }, status: { addresses } };
    const status = await send(server, 'PATCH', `${NODES}/n/status`, again, MERGE);
    assert.equal(objectIn(status.object, 'spec')['podCIDR'], 'y');
    assert.deepEqual(objectIn(status.object, 'status')['addresses'], addresses);
  });

  it('refuse a version that is not the newest', async () => {
    await using server = await startApiServer();
    const { metadata } = await send(server, 'POST', SERVICES, service('a'));
    server.apply(service('a', { type: 'NodePort' }));
    const stale = { ...service('a'), metadata: { ...metadata } };
    const { status, object } = await send(server, 'PUT', `${SERVICES}/a`, stale);
    assert.equal(status, 409);
    assert.equal(
      object['message'],
      'Operation cannot be fulfilled on services "a": the object has been modified; please apply your changes to the latest version and try again',
    );
    const labels = {
      metadata: { labels: { x: 'y' }, resourceVersion: metadata['resourceVersion'] },
    };
    assert.equal((await send(server, 'PATCH', `${SERVICES}/a`, labels, MERGE)).status, 409);
  });

  it('refuse objects that are not there, and names that do not fit', async () => {
    await using server = await startApiServer();
    const missing = await send(server, 'PUT', `${SERVICES}/a`, service('a'));
    assert.equal(missing.status, 404);
    assert.deepEqual(missing.object['details'], { name: 'a', kind: 'services' });
    assert.equal((await send(server, 'PUT', `${SERVICES}/a`, service('b'))).status, 400);
    assert.equal((await send(server, 'PATCH', `${SERVICES}/a`, {}, MERGE)).status, 404);
  });
});

describe('DELETE and GET', () => {
  it('answer with the object for Services, and with a Status for others', async () => {
    await using server = await startApiServer();
    using stream = await openWatch(server, '/api/v1/services?watch=1');
    server.apply(service('a'));
    server.apply(slice('x', []));
    const got = await send(server, 'DELETE', `${SERVICES}/a`);
    assert.equal(got.object['kind'], 'Service');
    assert.equal(brief(await stream.event()), 'ADDED a');
    const deleted = await stream.event();
    assert.equal(brief(deleted), 'DELETED a');
    assert.deepEqual(deleted.object, got.object);
    const path = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/x';
    const uid = textIn(
      objectIn(server.get('EndpointSlice', 'default', 'x') ?? {}, 'metadata'),
      'uid',
    );
    const { object } = await send(server, 'DELETE', path);
    assert.deepEqual(object, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'x', group: 'discovery.k8s.io', kind: 'endpointslices', uid },
    });
    const again = await send(server, 'DELETE', path);
    assert.equal(again.status, 404);
    assert.equal(again.object['message'], 'endpointslices.discovery.k8s.io "x" not found');
  });

  it('read one object', async () => {
    await using server = await startApiServer();
    server.apply(service('a'));
    const reply = await ask(`${server.url}${SERVICES}/a`);
    assert.deepEqual(parse(reply.text), {
      kind: 'Service',
      apiVersion: 'v1',
      ...server.get('Service', 'default', 'a'),
    });
    assert.equal((await ask(`${server.url}${SERVICES}/b`)).status, 404);
  });

  it('show what resources there are', async () => {
    await using server = await startApiServer();
    const text = (await ask(`${server.url}/apis`)).text + (await ask(`${server.url}/api/v1`)).text;
    for (const name of ['discovery.k8s.io/v1', 'events.k8s.io/v1', '"services"', '"nodes"'])
      assert.ok(text.includes(name), name);
  });
});
