import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ObjectProblem, ObjectTable } from '../../../src/kube/object-table.ts';
import type { EndpointSliceItem } from '../../../src/core/change.ts';
import { ENDPOINT_SLICES } from '../../../src/kube/resources.ts';
import type { Json } from './bodies.ts';

function slice(version: string, fields: Json = {}, labels: Json = {}): Json {
  const name = 'web-1';
  return {
    metadata: {
      name,
      namespace: 'shop',
      resourceVersion: version,
      labels: { 'kubernetes.io/service-name': 'web', ...labels },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.1.0.1'] }],
    ports: [{ name: '', port: 8080 }],
    ...fields,
  };
}

function tableOf(problems: ObjectProblem[] = []): ObjectTable<EndpointSliceItem> {
  return new ObjectTable(ENDPOINT_SLICES, (problem) => problems.push(problem));
}

describe('a table of objects', () => {
  it('tells a new state, and the same version only once', () => {
    const table = tableOf();
    const first = table.set(slice('5'));
    assert.equal(first?.type, 'set');
    assert.equal(first.item.object.serviceName, 'web');
    assert.equal(table.set(slice('5')), undefined);
    assert.equal(table.set(slice('6'))?.type, 'set');
    assert.equal(table.size, 1);
  });

  it('keeps the last good state of an object that cannot be used any more', () => {
    const problems: ObjectProblem[] = [];
    const table = tableOf(problems);
    const good = table.set(slice('5'));
    assert.equal(table.set(slice('6', { addressType: 'FQDN' })), undefined);
    assert.deepEqual(
      problems.map(({ object, field, lastGoodStays }) => [object, field, lastGoodStays]),
      [['EndpointSlice shop/web-1', 'addressType', true]],
    );
    assert.deepEqual(table.remove(slice('7', { addressType: 'FQDN' })), {
      type: 'remove',
      item: good?.item,
    });
  });

  it('removes an object that no proxy serves any more', () => {
    const table = tableOf();
    table.set(slice('5'));
    const change = table.set(slice('6', {}, { 'service.kubernetes.io/headless': '' }));
    assert.equal(change?.type, 'remove');
    assert.equal(table.size, 1);
    assert.equal(table.remove(slice('7')), undefined);
  });

  it('turns a complete list into the differences, and takes over what is unchanged', () => {
    const table = tableOf();
    const before = table.set(slice('5'));
    const same = table.replacement();
    same.set(slice('5', { endpoints: 'never looked at' }));
    assert.deepEqual(table.replace(same), []);
    const gone = table.replacement();
    assert.deepEqual(table.replace(gone), [{ type: 'remove', item: before?.item }]);
    assert.equal(table.size, 0);
  });

  it('forgets a list that is not completed', () => {
    const table = tableOf();
    table.set(slice('5'));
    const started = table.replacement();
    started.set(slice('6'));
    started.remove(slice('6'));
    assert.equal(table.size, 1);
    assert.equal(table.remove(slice('7'))?.type, 'remove');
  });

  it('refuses an object without a name', () => {
    const table = tableOf();
    for (const value of [{}, null, 17, { metadata: { name: 7 } }, { metadata: [] }]) {
      assert.throws(() => table.set(value), { name: 'WireFault', kind: 'malformed' });
      assert.throws(() => table.remove(value), { name: 'WireFault', kind: 'malformed' });
    }
    assert.equal(table.size, 0);
  });
});
