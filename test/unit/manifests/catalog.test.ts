import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ObjectChange, ProxyItem } from '../../../src/core/change.ts';
import { Catalog, type FileContent } from '../../../src/manifests/catalog.ts';

function node(name: string, zone?: string): ProxyItem {
  return { kind: 'Node', object: { name, zone, addresses: [], podCIDRs: [], eligible: true } };
}

interface Said {
  readonly objects?: readonly ProxyItem[];
  readonly doubtful?: readonly string[];
  readonly broken?: readonly string[];
  readonly unreadable?: boolean;
}

function content({
  objects = [],
  doubtful = [],
  broken = [],
  unreadable = false,
}: Said): FileContent {
  return {
    objects: new Map(objects.map((item) => [item.object.name, item])),
    doubtful: new Set(doubtful),
    broken: new Set(broken),
    unreadable,
  };
}

function show(changes: readonly ObjectChange[]): readonly string[] {
  return changes.map(({ type, item }) => {
    assert.ok(item.kind === 'Node');
    return `${type} ${item.object.name}${item.object.zone ?? ''}`;
  });
}

/** Replaces a file as if it were quiet, and returns what that changed. */
function put(catalog: Catalog, file: string, said: Said): readonly string[] {
  catalog.replace(file, content(said), false);
  return show(catalog.flush().changes);
}

test('objects come, change and go with their file', () => {
  const catalog = new Catalog();
  assert.deepEqual(put(catalog, 'a', { objects: [node('x'), node('y')] }), ['set x', 'set y']);
  const x = node('x', '1');
  assert.deepEqual(put(catalog, 'a', { objects: [x] }), ['remove y', 'set x1']);
  assert.deepEqual(put(catalog, 'a', { objects: [x] }), []);
  assert.deepEqual(put(catalog, 'a', {}), ['remove x1']);
});

test('a broken document keeps its last good state, others go on', () => {
  const catalog = new Catalog();
  put(catalog, 'a', { objects: [node('x'), node('y'), node('z')] });
  assert.deepEqual(put(catalog, 'a', { objects: [node('y', '2')], broken: ['x'] }), [
    'remove z',
    'set y2',
  ]);
  assert.equal(catalog.keepsLastGood('a', 'x'), true);
  assert.equal(catalog.keepsLastGood('a', 'y'), false);
  assert.deepEqual(put(catalog, 'a', { objects: [node('x', '3')] }), ['remove y2', 'set x3']);
  assert.equal(catalog.keepsLastGood('a', undefined), false);
});

test('something unreadable keeps everything that it could be', () => {
  const catalog = new Catalog();
  put(catalog, 'a', { objects: [node('x'), node('y')] });
  put(catalog, 'b', { objects: [node('z')] });
  assert.deepEqual(put(catalog, 'a', { objects: [node('y', '2')], unreadable: true }), ['set y2']);
  assert.deepEqual(put(catalog, 'b', {}), ['remove z']);
  assert.deepEqual(put(catalog, 'a', { objects: [node('y', '2')] }), ['remove x', 'set y2']);
});

test('an object with a fault does not replace a good one', () => {
  const catalog = new Catalog();
  put(catalog, 'a', { objects: [node('x', '1')] });
  assert.deepEqual(put(catalog, 'a', { objects: [node('x', '2')], doubtful: ['x'] }), []);
  assert.equal(catalog.keepsLastGood('a', 'x'), true);
  assert.deepEqual(put(catalog, 'a', { objects: [node('x', '3')], doubtful: ['x'] }), []);
  assert.deepEqual(put(catalog, 'a', { objects: [node('x', '4')] }), ['set x4']);
});

test('an object that always had a fault is used as far as it goes', () => {
  const catalog = new Catalog();
  assert.deepEqual(put(catalog, 'a', { objects: [node('x', '1')], doubtful: ['x'] }), ['set x1']);
  assert.deepEqual(put(catalog, 'a', { objects: [node('x', '2')], doubtful: ['x'] }), ['set x2']);
  assert.equal(catalog.keepsLastGood('a', 'x'), false);
  assert.deepEqual(put(catalog, 'a', {}), ['remove x2']);
});

test('of two files with the same object the first by name counts, told once', () => {
  const catalog = new Catalog();
  put(catalog, 'b', { objects: [node('x', 'b')] });
  catalog.replace('a', content({ objects: [node('x', 'a')] }), false);
  const first = catalog.flush();
  assert.deepEqual(show(first.changes), ['set xa']);
  assert.deepEqual(first.conflicts, [{ id: 'x', used: 'a', ignored: 'b' }]);
  catalog.replace('b', content({ objects: [node('x', 'b2')] }), false);
  assert.deepEqual(catalog.flush(), { changes: [], conflicts: [] });
  assert.deepEqual(put(catalog, 'a', {}), ['set xb2']);
  catalog.replace('a', content({ objects: [node('x', 'a')] }), false);
  assert.equal(catalog.flush().conflicts.length, 1);
});

test('a last good state gives way to another file that has the object', () => {
  const catalog = new Catalog();
  put(catalog, 'a', { objects: [node('x', 'a')] });
  put(catalog, 'a', { unreadable: true });
  catalog.replace('b', content({ objects: [node('x', 'b')] }), false);
  const { changes, conflicts } = catalog.flush();
  assert.deepEqual(show(changes), ['set xb']);
  assert.deepEqual(conflicts, []);
  assert.deepEqual(put(catalog, 'a', {}), []);
  assert.deepEqual(put(catalog, 'b', {}), ['remove xb']);
});

test('in the middle of a write nothing goes, and moving to another file is no removal', () => {
  const catalog = new Catalog();
  put(catalog, 'a', { objects: [node('x'), node('y')] });
  assert.equal(catalog.replace('a', content({}), true), 2);
  assert.deepEqual(catalog.flush().changes, []);
  const moved = node('x', 'moved');
  assert.deepEqual(put(catalog, 'b', { objects: [moved] }), ['set xmoved']);
  assert.deepEqual(put(catalog, 'a', {}), ['remove y']);
});

test('whatever happens to the files, the objects in force follow from what the files hold', () => {
  const names = ['x', 'y', 'z'];
  const files = ['a', 'b', 'c'];
  const step = fc.record({
    file: fc.constantFrom(...files),
    objects: fc.uniqueArray(fc.record({ name: fc.constantFrom(...names), zone: fc.string() }), {
      selector: ({ name }) => name,
    }),
    keepMissing: fc.boolean(),
    unreadable: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const catalog = new Catalog();
      const inForce = new Map<string, string | undefined>();
      const follow = (changes: readonly ObjectChange[]): void => {
        for (const { type, item } of changes) {
          assert.ok(item.kind === 'Node');
          if (type === 'remove') assert.ok(inForce.delete(item.object.name));
          else inForce.set(item.object.name, item.object.zone);
        }
      };
      const last = new Map<string, readonly { name: string; zone: string }[]>();
      for (const { file, objects, keepMissing, unreadable } of steps) {
        const said = { objects: objects.map(({ name, zone }) => node(name, zone)), unreadable };
        catalog.replace(file, content(said), keepMissing);
        follow(catalog.flush().changes);
        last.set(file, objects);
      }
      // Once every file is quiet and readable, nothing of the past is left.
      const expected = new Map<string, string>();
      for (const file of files) {
        const objects = last.get(file) ?? [];
        catalog.replace(
          file,
          content({ objects: objects.map((o) => node(o.name, o.zone)) }),
          false,
        );
        for (const { name, zone } of objects) if (!expected.has(name)) expected.set(name, zone);
      }
      follow(catalog.flush().changes);
      assert.deepEqual(inForce, expected);
    }),
  );
});
