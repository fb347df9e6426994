/** Protobuf of the stand-in API server, against bytes that Go wrote. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { startApiServer } from '../../../src/testing/api-server.ts';
import { listBody, statusBody } from '../../../src/testing/encodings.ts';
import {
  type Json,
  type JsonObject,
  isObject,
  listIn,
  objectIn,
  textIn,
} from '../../../src/testing/json.ts';
import { bytesOf, decodeMessage } from '../../../src/testing/protobuf/decode.ts';
import { encodeMessage } from '../../../src/testing/protobuf/encode.ts';
import { unknown, unwrap } from '../../../src/testing/protobuf/envelope.ts';
import { STATUS } from '../../../src/testing/protobuf/meta.ts';
import type { Field, Message } from '../../../src/testing/protobuf/schema.ts';
import { ENDPOINT_SLICES, NODES, RESOURCES, SERVICES } from '../../../src/testing/resources.ts';
import { nameOf, version } from '../../../src/testing/version.ts';
import { Stream, ask, openWatch, parse, recorded, service, slice } from './client.ts';

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const ACCEPT = { accept: `${PROTOBUF},application/json` };

const sample = (name: string): JsonObject => parse(recorded(`protobuf/${name}.json`));
const bytesOfGo = (name: string): string => recorded(`protobuf/${name}.hex`).trim();

/** What is left when one leaves out what Go leaves out of JSON, and the null that Go writes for no list. */
function bare(content: Json | undefined): Json | undefined {
  if (Array.isArray(content)) {
    const entries: readonly Json[] = content;
    return entries.length === 0 ? undefined : entries.map((entry) => bare(entry) ?? {});
  }
  if (!isObject(content))
    return content === null || content === '' || content === 0 ? undefined : content;
  const kept: Record<string, Json> = {};
  for (const [field, inner] of Object.entries(content)) {
    const left = field === 'fieldsV1' ? inner : bare(inner);
    if (left !== undefined) kept[field] = left;
  }
  return Object.keys(kept).length === 0 ? undefined : kept;
}

describe('protobuf', () => {
  for (const resource of RESOURCES.filter(
    ({ kind }) => !['ServiceCIDR', 'ConfigMap'].includes(kind),
  )) {
    const name = resource.kind.toLowerCase();
    it(`of ${resource.kind} is what Go writes, and reads back`, () => {
      const object = sample(name);
      const message = encodeMessage(resource.message, object);
      assert.equal(unknown(resource, [message]).toString('hex'), bytesOfGo(name));
      const { kind: _kind, apiVersion: _version, ...content } = object;
      assert.deepEqual(bare(decodeMessage(resource.message, message)), bare(content));
    });
  }

  for (const resource of [SERVICES, ENDPOINT_SLICES, NODES]) {
    it(`of ${resource.kind}List is what Go writes`, () => {
      const name = `${resource.kind.toLowerCase()}-list`;
      const list = sample(name);
      const versions = listIn(list, 'items').map((item) => {
        const object = parse(JSON.stringify(item));
        const metadata = objectIn(object, 'metadata');
        return version(
          nameOf(resource, object),
          Number(metadata['resourceVersion']),
          metadata,
          object,
        );
      });
      const body = listBody('protobuf', resource, objectIn(list, 'metadata'), versions);
      assert.equal(body.toString('hex'), bytesOfGo(name));
    });
  }

  it('of a Status is what Go writes', () => {
    assert.equal(statusBody('protobuf', sample('status')).toString('hex'), bytesOfGo('status'));
  });

  it("carries the fields that came after Go's samples were made", () => {
    const object = {
      metadata: { name: 'a' },
      spec: { trafficDistribution: 'PreferSameNode' },
    };
    const bytes = encodeMessage(SERVICES.message, object);
    // Field 23 of ServiceSpec: tag 23 * 8 + 2 = 186, as a varint of two bytes.
    assert.ok(bytes.includes(Buffer.from('\xba\x01\x0ePreferSameNode', 'latin1')));
    const hints = { forNodes: [{ name: 'n' }] };
    const endpoints = [{ addresses: ['10.0.0.1'], conditions: {}, hints }];
    const read = decodeMessage(
      ENDPOINT_SLICES.message,
      encodeMessage(ENDPOINT_SLICES.message, { endpoints }),
    );
    assert.deepEqual(read['endpoints'], endpoints);
  });

  it('reads back whatever it writes', () => {
    for (const { message } of RESOURCES) {
      fc.assert(
        fc.property(arbitrary(message), (object) => {
          const read = decodeMessage(message, encodeMessage(message, object));
          assert.deepEqual(bare(read), bare(object));
        }),
        { numRuns: 20 },
      );
    }
  });

  it('refuses bytes that end too early, and passes over fields it does not know', () => {
    const bytes = encodeMessage(SERVICES.message, sample('service'));
    assert.throws(() => decodeMessage(SERVICES.message, bytes.subarray(0, -1)), RangeError);
    const more = Buffer.concat([bytes, Buffer.from([0xfa, 0x01, 1, 0x78])]);
    assert.deepEqual(decodeMessage(SERVICES.message, more), decodeMessage(SERVICES.message, bytes));
  });
});

/** Objects that JSON and protobuf agree on: no empty entries, texts, or zeros. */
function arbitrary(message: Message): fc.Arbitrary<JsonObject> {
  const fields = Object.fromEntries(message.map((field) => [field.name, values(field)]));
  return fc.record(fields, { requiredKeys: [] });
}

function values(field: Field): fc.Arbitrary<Json> {
  return field.repeated ? fc.array(value(field), { minLength: 1, maxLength: 3 }) : value(field);
}

function value({ kind, message, always }: Field): fc.Arbitrary<Json> {
  const text = fc.string({ minLength: 1, unit: 'grapheme' });
  const second = fc.integer({ min: 1, max: 4e9 }).map((n) => new Date(n * 1000).toISOString());
  switch (kind) {
    case 'text':
      return text;
    case 'integer':
      return fc.integer({ min: -(2 ** 40), max: 2 ** 40 }).filter((n) => n !== 0);
    case 'boolean':
      return always ? fc.constant(true) : fc.boolean();
    case 'time':
      return second.map((iso) => iso.replace('.000', ''));
    case 'microTime':
      return second.map((iso) => iso.replace('.000', '.000071'));
    case 'fields':
      return fc.dictionary(text, fc.constant({}), { minKeys: 1, noNullPrototype: true });
    case 'intOrString':
      return fc.oneof(fc.integer({ min: 1, max: 65_535 }), text);
    case 'textMap':
    case 'quantityMap':
      return fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9./-]{0,9}$/), text, {
        minKeys: 1,
        noNullPrototype: true,
      });
    case 'message':
      break;
  }
  return arbitrary(message).filter((object) => bare(object) !== undefined);
}

describe('answers in protobuf', () => {
  it('are lists, objects and errors', async () => {
    await using server = await startApiServer();
    server.apply(service('a'));
    const list = await ask(`${server.url}/api/v1/services?limit=1`, { headers: ACCEPT });
    assert.equal(list.headers['content-type'], PROTOBUF);
    const content = unwrap(list.bytes);
    assert.deepEqual(content?.type, { apiVersion: 'v1', kind: 'ServiceList' });
    const item = bytesOf(content.message, 2);
    assert.deepEqual(
      bare(decodeMessage(SERVICES.message, item)),
      bare(server.get('Service', 'default', 'a')),
    );
    const missing = await ask(`${server.url}/api/v1/nodes/n`, { headers: ACCEPT });
    assert.equal(missing.status, 404);
    const status = decodeMessage(STATUS, unwrap(missing.bytes)?.message ?? Buffer.alloc(0));
    assert.deepEqual(status['details'], { name: 'n', kind: 'nodes' });
    assert.equal(status['code'], 404);
  });

  it('are watches of frames', async () => {
    await using server = await startApiServer();
    const path = '/apis/discovery.k8s.io/v1/endpointslices?watch=1&resourceVersion=1';
    using stream = await openWatch(server, path, { headers: ACCEPT });
    assert.equal(stream.headers['content-type'], `${PROTOBUF};stream=watch`);
    using lines = await openWatch(server, path);
    server.apply(slice('a', ['10.0.0.1']));
    server.apply(slice('a', ['10.0.0.2']));
    server.delete('EndpointSlice', 'default', 'a');
    for (const type of ['ADDED', 'MODIFIED', 'DELETED']) {
      const frame = (await stream.frame()) ?? Buffer.alloc(0);
      assert.equal(bytesOf(frame, 1).toString(), type);
      const content = unwrap(bytesOf(bytesOf(frame, 2), 1));
      assert.deepEqual(content?.type, { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' });
      const object = decodeMessage(ENDPOINT_SLICES.message, content.message);
      const event = await lines.event();
      assert.equal(event.type, type);
      assert.deepEqual(bare({ ...content.type, ...object }), bare(event.object));
    }
  });

  it('are errors inside of watches', async () => {
    await using server = await startApiServer();
    server.resetRevision(9);
    const path = `${server.url}/api/v1/services?watch=1&resourceVersion=5`;
    using stream = await Stream.open(path, { headers: ACCEPT });
    const frame = (await stream.frame()) ?? Buffer.alloc(0);
    assert.equal(bytesOf(frame, 1).toString(), 'ERROR');
    const content = unwrap(bytesOf(bytesOf(frame, 2), 1));
    assert.deepEqual(content?.type, { apiVersion: 'v1', kind: 'Status' });
    const status = decodeMessage(STATUS, content.message);
    assert.equal(textIn(status, 'message'), 'too old resource version: 5 (9)');
    assert.equal(await stream.over(), 'end');
  });

  for (const [accept, type] of [
    ['', 'application/json'],
    ['*/*', 'application/json'],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'application/json'],
    [`${PROTOBUF}, */*`, PROTOBUF],
    [`application/json;q=0.5, ${PROTOBUF}`, PROTOBUF],
    ['application/cbor, application/json', 'application/json'],
  ] as const) {
    it(`are ${type} for Accept: ${accept}`, async () => {
      await using server = await startApiServer();
      const reply = await ask(`${server.url}/api/v1/nodes`, { headers: { accept } });
      assert.equal(reply.headers['content-type'], type);
    });
  }

  it('are refused to those who accept neither', async () => {
    await using server = await startApiServer();
    const reply = await ask(`${server.url}/api/v1/nodes`, { headers: { accept: 'text/html' } });
    assert.equal(reply.status, 406);
    const message = `only the following media types are accepted: application/json, ${PROTOBUF}`;
    assert.equal(parse(reply.text)['message'], message);
  });
});
