import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNode } from '../../../src/core/decode/node.ts';
import { cidr, ips } from './build.ts';

test('a complete Node is decoded: internal addresses before external ones, other kinds ignored', () => {
  assert.deepEqual(
    decodeNode({
      metadata: { name: 'node-1.example.com', labels: { 'topology.kubernetes.io/zone': 'a' } },
      spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24', 'fd00:1::/64'] },
      status: {
        addresses: [
          { type: 'Hostname', address: 'node-1' },
          { type: 'ExternalIP', address: '198.51.100.1' },
          { type: 'InternalIP', address: '192.168.0.1' },
          { type: 'InternalIP', address: 'FD01::1' },
          { type: 'ExternalIP', address: '192.168.0.1' },
        ],
      },
    }),
    {
      object: {
        name: 'node-1.example.com',
        zone: 'a',
        addresses: ips('192.168.0.1 fd01::1 198.51.100.1'),
        podCIDRs: [cidr('10.1.0.0/24'), cidr('fd00:1::/64')],
      },
      problems: [],
    },
  );
});

test('a Node with a name alone is decoded', () => {
  assert.deepEqual(decodeNode({ metadata: { name: 'a' } }), {
    object: { name: 'a', zone: undefined, addresses: [], podCIDRs: [] },
    problems: [],
  });
});

test('an old Node has only podCIDR', () => {
  const { object } = decodeNode({ metadata: { name: 'a' }, spec: { podCIDR: '10.1.0.0/24' } });
  assert.deepEqual(object?.podCIDRs, [cidr('10.1.0.0/24')]);
});

test('an empty zone is none', () => {
  const labels = { 'topology.kubernetes.io/zone': '' };
  assert.equal(decodeNode({ metadata: { name: 'a', labels } }).object?.zone, undefined);
});

test('what cannot be read is reported and left out', () => {
  const { object, problems } = decodeNode({
    metadata: { name: 'a' },
    spec: { podCIDRs: ['10.1.0.0', '10.2.0.0/16'] },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.1' }, 'x'] },
  });
  assert.deepEqual(object?.podCIDRs, [cidr('10.2.0.0/16')]);
  assert.deepEqual(object.addresses, []);
  assert.deepEqual(
    problems.map(({ field }) => field),
    ['status.addresses[1]', 'status.addresses[0].address', 'spec.podCIDRs[0]'],
  );
});

test('a Node without a name is not used', () => {
  const { object, problems } = decodeNode({ metadata: {} });
  assert.equal(object, undefined);
  assert.deepEqual(
    problems.map(({ field }) => field),
    ['metadata.name'],
  );
});

test('a podCIDR that cannot be read is reported by its own name', () => {
  const { problems } = decodeNode({ metadata: { name: 'a' }, spec: { podCIDR: 'x' } });
  assert.deepEqual(
    problems.map(({ field }) => field),
    ['spec.podCIDR'],
  );
});
