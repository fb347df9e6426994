/** The past of a collection: random histories, and every moment of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FrameCache } from '../../../src/testing/frame-cache.ts';
import { type JsonObject, objectIn, parseObject, textIn } from '../../../src/testing/json.ts';
import { SERVICES } from '../../../src/testing/resources.ts';
import { Store } from '../../../src/testing/store.ts';
import { ManualClock } from './client.ts';

interface Write {
  readonly name: string;
  readonly value: number;
  readonly remove: boolean;
}

const writes = fc.array(
  fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    value: fc.integer({ min: 0, max: 2 }),
    remove: fc.boolean(),
  }),
  { maxLength: 30 },
);

function apply(store: Store, { name, value, remove }: Write): void {
  const known = store.collection(SERVICES).get(`/default/${name}`) !== undefined;
  const object = { metadata: { name, labels: { value: String(value) } }, spec: {} };
  if (!known) store.create(SERVICES, object);
  else if (remove) store.remove(SERVICES, 'default', name);
  else store.update(SERVICES, object);
}

const labelOf = (object: JsonObject): string =>
  textIn(objectIn(objectIn(object, 'metadata'), 'labels'), 'value');

const matches = (object: JsonObject): boolean => labelOf(object) === '1';

const everything = (): boolean => true;

/** Names and versions, in order. */
const content = (store: Store, revision: number): string[] =>
  store
    .collection(SERVICES)
    .at(revision)
    .map(({ name, revision: own }) => `${name}@${own}`);

describe('a collection', () => {
  it('knows what it was like at every revision, until that is forgotten', () => {
    fc.assert(
      fc.property(writes, (history) => {
        const store = new Store(new ManualClock(), 1000);
        const moments = new Map([[store.revision, content(store, store.revision)]]);
        for (const write of history) {
          apply(store, write);
          const { revision } = store;
          const now = store.collection(SERVICES).list();
          moments.set(
            revision,
            now.map(({ name, revision: own }) => `${name}@${own}`),
          );
        }
        for (const [revision, expected] of moments) {
          assert.deepEqual(content(store, revision), expected);
        }
        store.compact();
        assert.equal(store.collection(SERVICES).forgotten, store.revision);
        assert.deepEqual(store.collection(SERVICES).since(store.revision), []);
      }),
    );
  });

  it('is encoded once a change and content type, however many watch', () => {
    const store = new Store(new ManualClock(), 1000);
    const frames = new FrameCache();
    const sent: (Buffer | undefined)[] = [];
    store.collection(SERVICES).subscribe((change) => {
      for (const media of ['json', 'protobuf', 'json', 'protobuf'] as const) {
        sent.push(frames.frame(media, SERVICES, change, everything));
      }
    });
    apply(store, { name: 'a', value: 1, remove: false });
    apply(store, { name: 'a', value: 2, remove: false });
    const [json, protobuf, again, protobufAgain, next] = sent;
    assert.ok(json !== undefined && protobuf !== undefined);
    assert.equal(json, again);
    assert.equal(protobuf, protobufAgain);
    assert.notDeepEqual(next, json);
  });

  it('shown through a selector, event by event, ends as what the selector selects', () => {
    fc.assert(
      fc.property(writes, (history) => {
        const store = new Store(new ManualClock(), 1000);
        const frames = new FrameCache();
        const seen = new Map<string, string>();
        store.collection(SERVICES).subscribe((change) => {
          const frame = frames.frame('json', SERVICES, change, matches);
          if (frame === undefined) return;
          const event = parseObject(frame.toString()) ?? {};
          const object = objectIn(event, 'object');
          const name = textIn(objectIn(object, 'metadata'), 'name');
          const revision = textIn(objectIn(object, 'metadata'), 'resourceVersion');
          assert.equal(revision, String(change.revision));
          const type = textIn(event, 'type');
          assert.equal(type === 'ADDED', !seen.has(name));
          assert.equal(labelOf(object), '1', 'a deleted object is shown as it last matched');
          if (type === 'DELETED') seen.delete(name);
          else seen.set(name, revision);
        });
        for (const write of history) apply(store, write);
        const selected = store
          .collection(SERVICES)
          .list()
          .filter(({ object }) => matches(object));
        assert.deepEqual(
          new Map(seen),
          new Map(selected.map(({ name, revision }) => [name, String(revision)])),
        );
      }),
    );
  });
});
