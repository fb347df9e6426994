import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  ENDPOINT_SLICES,
  type Resource,
  SERVICES,
  nodeNamed,
} from '../../../src/kube/resources.ts';
import { SERVICE_CIDRS } from '../../../src/kube/resources.ts';
import type { ListMeta, WireEvent } from '../../../src/kube/wire/reader.ts';
import { parseStatus } from '../../../src/kube/wire/status.ts';
import { StringPool } from '../../../src/kube/wire/string-pool.ts';
import { type WireFormat, formatOf, listReader, watchReader } from '../../../src/kube/wire/wire.ts';
import { errorFrame, statusBody } from '../../../src/testing/encodings.ts';
import { bookmark, event, recorded, service, serviceList } from './bodies.ts';

/** Reads a body that arrives in pieces of these lengths, the last one as often as needed. */
function inPieces(body: Buffer, lengths: readonly number[], push: (chunk: Buffer) => void): void {
  let start = 0;
  for (let index = 0; start < body.length; index++) {
    const end = start + (lengths[index] ?? lengths.at(-1) ?? body.length);
    push(body.subarray(start, end));
    start = end;
  }
}

interface List extends ListMeta {
  readonly items: readonly unknown[];
}

function readList(
  resource: Resource<unknown>,
  body: Buffer | string,
  lengths: readonly number[] = [],
  format: WireFormat = 'json',
): List {
  const items: unknown[] = [];
  const reader = listReader(format, resource.message, new StringPool(), (item) => items.push(item));
  inPieces(Buffer.from(body), lengths, (chunk) => {
    reader.push(chunk);
  });
  return { ...reader.end(), items };
}

function readWatch(
  resource: Resource<unknown>,
  body: Buffer | string,
  lengths: readonly number[] = [],
  format: WireFormat = 'json',
): readonly WireEvent[] {
  const events: WireEvent[] = [];
  const reader = watchReader(format, resource.message, new StringPool(), (one) => events.push(one));
  inPieces(Buffer.from(body), lengths, (chunk) => {
    reader.push(chunk);
  });
  reader.end();
  return events;
}

const lengths = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 });

describe('a recorded list', () => {
  const lists: readonly (readonly [string, Resource<unknown>, number])[] = [
    ['services-list-page1.body', SERVICES, 3],
    ['services-list-page2.body', SERVICES, 3],
    ['endpointslices-list-page1.body', ENDPOINT_SLICES, 3],
    ['node-list.body', nodeNamed('node1'), 1],
    ['servicecidrs-list.body', SERVICE_CIDRS, 1],
  ];
  for (const [file, resource, count] of lists) {
    it(`${file} gives what it holds, however it is cut into pieces`, () => {
      const body = recorded(file);
      const whole = JSON.parse(body.toString()) as {
        readonly kind: string;
        readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
        readonly items: readonly unknown[];
      };
      assert.equal(whole.items.length, count);
      const expected = {
        kind: whole.kind,
        resourceVersion: whole.metadata.resourceVersion,
        continue: whole.metadata.continue ?? '',
        items: whole.items,
      };
      assert.deepEqual(readList(resource, body, [1]), expected);
      fc.assert(
        fc.property(lengths, (pieces) => {
          assert.deepEqual(readList(resource, body, pieces), expected);
        }),
        { numRuns: 50 },
      );
      for (const item of whole.items) {
        const { object, problems } = resource.decode(item);
        assert.ok(object);
        assert.deepEqual(problems, []);
      }
    });
  }

  it('that is cut off anywhere is truncated', () => {
    const body = recorded('services-list-page1.body').subarray(0, -1);
    for (let end = 1; end < body.length; end += 7) {
      assert.throws(() => readList(SERVICES, body.subarray(0, end)), { kind: 'truncated' });
    }
  });
});

describe('a JSON list', () => {
  it('may have its fields in any order, and other lists and odd texts in them', () => {
    const odd = { name: 'a]}\\"', text: '"items":[{', list: [['[{']], 'k"ey\u2028': 'ü€😀' };
    const body = JSON.stringify({
      items: [odd, {}, { items: [1] }],
      notes: [{ items: [1, 2] }],
      'it"ems': [3],
      metadata: { resourceVersion: '7', items: [4] },
      kind: 'ServiceList',
    });
    for (const length of [1, 2, 3, 1000]) {
      const list = readList(SERVICES, body, [length]);
      assert.deepEqual(list, {
        kind: 'ServiceList',
        resourceVersion: '7',
        continue: '',
        items: [odd, {}, { items: [1] }],
      });
    }
  });

  it('may have no items at all', () => {
    for (const items of ['[]', '[ ]', 'null']) {
      const body = `{"kind":"ServiceList","metadata":{"resourceVersion":"7"},"items": ${items}}\n`;
      assert.deepEqual(readList(SERVICES, body).items, []);
    }
  });

  it('with an object of more than 8 MiB is refused before it is whole', () => {
    const body = serviceList([{ text: 'x'.repeat(9_000_000) }], '7');
    assert.throws(() => readList(SERVICES, body.slice(0, 8_500_000), [65_536]), {
      kind: 'too-large',
    });
    assert.throws(() => readList(SERVICES, 'x'.repeat(9_000_000), [65_536]), { kind: 'too-large' });
  });

  it('that is something else is malformed', () => {
    for (const body of ['<html></html>', '[]', '"text"', '17', '{"items":[1]}', '{"a":1}}']) {
      assert.throws(() => readList(SERVICES, body), { name: 'WireFault', kind: 'malformed' }, body);
    }
  });
});

describe('a JSON watch', () => {
  it('as recorded gives its events, however it is cut into pieces', () => {
    const body = recorded('endpointslices-watch.jsonl');
    const lines = body.toString().trimEnd().split('\n');
    const expected = lines.map((line) => {
      const { type, object } = JSON.parse(line) as WireEvent & { readonly object: unknown };
      return { type, kind: 'EndpointSlice', value: object };
    });
    assert.equal(expected.length, 4);
    assert.deepEqual(readWatch(ENDPOINT_SLICES, body, [1]), expected);
    fc.assert(
      fc.property(lengths, (pieces) => {
        assert.deepEqual(readWatch(ENDPOINT_SLICES, body, pieces), expected);
      }),
      { numRuns: 50 },
    );
  });

  it('splits lines before it decodes characters', () => {
    const line = event('ADDED', { metadata: { name: 'a', labels: { text: 'ü€😀\u2028' } } });
    const [one, two, ...more] = readWatch(SERVICES, line + line, [1]);
    assert.deepEqual(one, two);
    assert.match(JSON.stringify(one), /ü€😀/);
    assert.deepEqual(more, []);
  });

  it('that ends inside a line is truncated', () => {
    const body = event('ADDED', service('a', '5')) + bookmark('6').trimEnd();
    assert.throws(() => readWatch(SERVICES, body), { kind: 'truncated' });
  });
});

describe('the protobuf of Kubernetes', () => {
  it('with another beginning, or a broken message, is malformed', () => {
    const bodies: readonly (readonly [string, Buffer])[] = [
      ['JSON', Buffer.from('{"kind":"ServiceList"}')],
      ['another wire type', Buffer.from('k8s\0\x0d\0\0\0\0')],
      ['an endless number', Buffer.concat([Buffer.from('k8s\0'), Buffer.alloc(30, 0xff)])],
      ['an item behind its list', Buffer.from('k8s\0\x12\x03\x12\x05aaaaa')],
      ['a broken item', Buffer.from('k8s\0\x12\x04\x12\x02\x0a\x7f')],
    ];
    for (const [name, body] of bodies) {
      assert.throws(
        () => readList(SERVICES, body, [1], 'protobuf'),
        { name: 'WireFault', kind: 'malformed' },
        name,
      );
    }
  });

  it('with an item or frame of more than 8 MiB is refused before it is whole', () => {
    const item = Buffer.from('k8s\0\x12\xff\xff\xff\x7f\x12\xff\xff\xff\x06');
    assert.throws(() => readList(SERVICES, item, [], 'protobuf'), { kind: 'too-large' });
    const frame = Buffer.from([0x02, 0xfa, 0xf0, 0x80, 0x0a]);
    assert.throws(() => readWatch(SERVICES, frame, [], 'protobuf'), { kind: 'too-large' });
  });

  it('never throws anything but a fault, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), lengths, (bytes, pieces) => {
        const body = Buffer.concat([Buffer.from('k8s\0'), bytes]);
        for (const read of [readList, readWatch]) {
          try {
            read(SERVICES, read === readList ? body : Buffer.from(bytes), pieces, 'protobuf');
          } catch (error) {
            assert.equal((error as Error).name, 'WireFault');
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a Status', () => {
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'Timeout: Too large resource version: 999999999, current: 5831',
    reason: 'Timeout',
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
    code: 504,
  };
  const expected = {
    code: 504,
    reason: 'Timeout',
    message: 'Timeout: Too large resource version: 999999999, current: 5831',
    causes: ['ResourceVersionTooLarge'],
    retryAfterSeconds: 1,
  };

  it('says the same in both formats', () => {
    assert.deepEqual(parseStatus('json', recorded('list-too-large-rv.body')), expected);
    assert.deepEqual(parseStatus('json', statusBody('json', status)), expected);
    assert.deepEqual(parseStatus('protobuf', statusBody('protobuf', status)), expected);
  });

  it('comes as the object of an ERROR event, too', () => {
    for (const format of ['json', 'protobuf'] as const) {
      const [error] = readWatch(SERVICES, errorFrame(format, status), [3], format);
      assert.equal(error?.type, 'ERROR');
      assert.equal(error.kind, 'Status');
      assert.equal((error.value as { readonly code: number }).code, 504);
    }
  });

  it('is nothing else', () => {
    for (const body of ['', 'null', '{}', '[]', '<html>', '{"kind":"Service"}', 'k8s\0']) {
      assert.equal(parseStatus('json', Buffer.from(body)), undefined);
      assert.equal(parseStatus('protobuf', Buffer.from(body)), undefined);
    }
  });
});

it('the content type says which format an answer has', () => {
  assert.equal(formatOf('application/json'), 'json');
  assert.equal(formatOf('application/json; charset=utf-8'), 'json');
  assert.equal(formatOf('application/vnd.kubernetes.protobuf;stream=watch'), 'protobuf');
  assert.equal(formatOf('text/html'), undefined);
  assert.equal(formatOf(undefined), undefined);
});
