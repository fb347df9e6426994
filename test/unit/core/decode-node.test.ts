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
        eligible: true,
      },
      problems: [],
    },
  );
});

test('a Node with a name alone is decoded', () => {
  assert.deepEqual(decodeNode({ metadata: { name: 'a' } }), {
    object: { name: 'a', zone: undefined, addresses: [], podCIDRs: [], eligible: true },
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

function eligible(metadata: object, taints: unknown): boolean | undefined {
  return decodeNode({ metadata: { name: 'a', ...metadata }, spec: { taints } }).object?.eligible;
}

test('a Node that is being deleted or that the autoscaler will remove is not eligible', () => {
  const leaving = { key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' };
  const other = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
  assert.equal(eligible({}, undefined), true);
  assert.equal(eligible({ deletionTimestamp: null }, [other]), true);
  assert.equal(eligible({ deletionTimestamp: '2026-11-21T19:35:19Z' }, []), false);
  assert.equal(eligible({}, [other, leaving]), false);
  assert.equal(eligible({}, [{ ...leaving, effect: 'Odd' }]), false);
  assert.equal(eligible({}, [{ value: leaving.key }]), true);
});

test('taints that cannot be read are reported and count as none', () => {
  const { object, problems } = decodeNode({ metadata: { name: 'a' }, spec: { taints: ['x'] } });
  assert.equal(object?.eligible, true);
  assert.deepEqual(
    problems.map(({ field }) => field),
    ['spec.taints[0]'],
  );
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
