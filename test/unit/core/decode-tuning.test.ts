import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeEndpointSlice } from '../../../src/core/decode/endpoint-slice.ts';
import { decodeService } from '../../../src/core/decode/service.ts';
import type { Service } from '../../../src/core/model.ts';

interface Read {
  readonly service: Service;
  /** Fields and messages of problems. */
  readonly problems: readonly string[];
}

function read(annotations: Readonly<Record<string, unknown>>): Read {
  const { object, problems } = decodeService({
    metadata: { name: 'web', namespace: 'shop', annotations },
    spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }] },
  });
  assert.ok(object !== undefined);
  return { service: object, problems: problems.map(({ field, message }) => `${field} ${message}`) };
}

test('a scheduler is read from our annotation, from the one of kube-router and from the one of articles', () => {
  for (const name of [
    'switchyard.dev/ipvs-scheduler',
    'kube-router.io/service.scheduler',
    'ipvs.scheduler',
  ]) {
    const { service, problems } = read({ [name]: ' mh ' });
    assert.deepEqual(service.scheduler, { name: 'mh', flags: [] });
    assert.deepEqual(problems, []);
  }
  const both = read({ 'ipvs.scheduler': 'rr', 'switchyard.dev/ipvs-scheduler': 'wlc' });
  assert.equal(both.service.scheduler?.name, 'wlc');
});

test('flags of a scheduler are sorted and said once; words that are none are reported', () => {
  const { service, problems } = read({
    'switchyard.dev/ipvs-scheduler': 'mh',
    'switchyard.dev/ipvs-scheduler-flags': 'mh-port, mh-fallback,mh-port,nonsense',
  });
  assert.deepEqual(service.scheduler, { name: 'mh', flags: ['mh-fallback', 'mh-port'] });
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /scheduler-flags "nonsense" is no flag/);
});

test('what is no name of a scheduler is reported, and the Service is served', () => {
  for (const name of ['', 'Round Robin', 'a'.repeat(16), '../x']) {
    const { service, problems } = read({ 'switchyard.dev/ipvs-scheduler': name });
    assert.equal(service.scheduler, undefined);
    assert.equal(service.ports.length, 1);
    assert.match(problems[0] ?? '', /is no name of a scheduler; the scheduler of the mode is used/);
  }
  assert.match(read({ 'ipvs.scheduler': 3 }).problems[0] ?? '', /must be a string, not 3/);
});

function weights(text: string): unknown {
  return [...(read({ 'switchyard.dev/weight': text }).service.weights ?? [])];
}

test('weights are for all endpoints, for addresses or for zones', () => {
  assert.deepEqual(weights('3'), [['*', 3]]);
  assert.deepEqual(weights('10.0.0.1=3, zone-a = 0,FD00::0001=2,*=1'), [
    ['10.0.0.1', 3],
    ['zone-a', 0],
    ['fd00::1', 2],
    ['*', 1],
  ]);
});

test('a weight that cannot be used is reported, and the others count', () => {
  const { service, problems } = read({ 'switchyard.dev/weight': 'a=1001,b=-1,=3,c=two,d=4' });
  assert.deepEqual([...(service.weights ?? [])], [['d', 4]]);
  assert.equal(problems.length, 4);
  assert.equal(read({ 'switchyard.dev/weight': 'many' }).service.weights, undefined);
});

test('the time to drain is in whole seconds', () => {
  assert.equal(read({ 'switchyard.dev/drain-seconds': '30' }).service.drainSeconds, 30);
  assert.equal(read({ 'switchyard.dev/drain-seconds': '0' }).service.drainSeconds, 0);
  for (const text of ['', '-1', '1.5', '1m', '86401']) {
    const { service, problems } = read({ 'switchyard.dev/drain-seconds': text });
    assert.equal(service.drainSeconds, undefined);
    assert.match(problems[0] ?? '', /must be whole seconds from 0 to 86400/);
  }
});

test('a slice has weights of its own', () => {
  const { object } = decodeEndpointSlice({
    metadata: {
      name: 'web-1',
      namespace: 'shop',
      labels: { 'kubernetes.io/service-name': 'web' },
      annotations: { 'switchyard.dev/weight': '2' },
    },
    addressType: 'IPv4',
  });
  assert.deepEqual([...(object?.weights ?? [])], [['*', 2]]);
});
