import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceCounters } from '../../../../src/planes/plane.ts';
import { Answer, makeMetrics } from './harness.ts';

const CONNECTIONS = 'switchyard_service_connections_total';

function traffic(name: string, connections = 1): ServiceCounters {
  return {
    namespace: 'shop',
    name,
    port: 'http',
    protocol: 'TCP',
    family: 'IPv4',
    connections,
    packetsIn: connections * 10,
    packetsOut: connections * 20,
    bytesIn: connections * 1000,
    bytesOut: connections * 2000,
  };
}

/** Names of the Services that are told of, and how many are left out. */
async function told(metrics: ReturnType<typeof makeMetrics>): Promise<unknown> {
  const answer = await Answer.of(metrics);
  const names = answer.labels(CONNECTIONS).map(({ name = '' }) => name);
  return [names.join(' '), answer.value('switchyard_service_ports_left_out')];
}

test('each answer has what the kernel has counted until then', async () => {
  let ports: readonly ServiceCounters[] = [
    traffic('cart'),
    { ...traffic('cart', 5), family: 'IPv6' },
    { ...traffic('odd', 7), port: '' },
  ];
  const metrics = makeMetrics({ traffic: { maxPorts: 10, read: async () => ports } });
  const first = await Answer.of(metrics);
  const cart = { namespace: 'shop', name: 'cart', port: 'http', ip_family: 'IPv4' };
  assert.equal(first.value(CONNECTIONS, cart), 1);
  const [to, from] = [
    { ...cart, direction: 'in' },
    { ...cart, direction: 'out' },
  ];
  assert.equal(first.value('switchyard_service_packets_total', to), 10);
  assert.equal(first.value('switchyard_service_packets_total', from), 20);
  assert.equal(first.value('switchyard_service_bytes_total', to), 1000);
  assert.equal(first.value('switchyard_service_bytes_total', from), 2000);
  assert.equal(first.value(CONNECTIONS, { ...cart, ip_family: 'IPv6' }), 5);
  assert.equal(first.value(CONNECTIONS, { name: 'odd', port: '' }), 7);
  ports = [traffic('cart', 4)];
  const second = await Answer.of(metrics);
  assert.deepEqual(second.labels(CONNECTIONS), [cart]);
  assert.equal(second.value(CONNECTIONS), 4);
  assert.equal(second.value('switchyard_service_bytes_total', to), 4000);
});

test('beyond the limit Services are left out, and those that were told stay', async () => {
  let ports = ['a', 'b', 'c'].map((name) => traffic(name));
  const metrics = makeMetrics({ traffic: { maxPorts: 2, read: async () => ports } });
  assert.deepEqual(await told(metrics), ['a b', 1]);
  ports = ports.toReversed();
  assert.deepEqual(await told(metrics), ['b a', 1]);
  ports = ports.filter(({ name }) => name !== 'a');
  assert.deepEqual(await told(metrics), ['b c', 0]);
  ports = [traffic('a'), ...ports];
  assert.deepEqual(await told(metrics), ['c b', 1]);
});

test('an answer without traffic is better than none', async () => {
  let isBroken = false;
  const read = async (): Promise<readonly ServiceCounters[]> => {
    if (isBroken) throw new Error('no kernel');
    return [traffic('cart')];
  };
  const metrics = makeMetrics({ traffic: { maxPorts: 2, read } });
  assert.deepEqual(await told(metrics), ['cart', 0]);
  isBroken = true;
  const answer = await Answer.of(metrics);
  assert.deepEqual(answer.labels(CONNECTIONS), []);
  assert.equal(answer.value('switchyard_service_traffic_failures_total'), 1);
  isBroken = false;
  assert.deepEqual(await told(metrics), ['cart', 0]);
});

test('scrapers that ask at the same time share one reading', async () => {
  let readings = 0;
  const { promise, resolve } = Promise.withResolvers<readonly ServiceCounters[]>();
  const read = async (): Promise<readonly ServiceCounters[]> => {
    readings++;
    return promise;
  };
  const metrics = makeMetrics({ traffic: { maxPorts: 2, read } });
  const both = Promise.all([told(metrics), told(metrics)]);
  resolve([traffic('cart')]);
  assert.deepEqual(await both, [
    ['cart', 0],
    ['cart', 0],
  ]);
  assert.equal(readings, 1);
  await told(metrics);
  assert.equal(readings, 2);
});

test('names are escaped', async () => {
  const name = 'a"b\\c\nd';
  const read = async (): Promise<readonly ServiceCounters[]> => [traffic(name)];
  const answer = await Answer.of(makeMetrics({ traffic: { maxPorts: 1, read } }));
  assert.equal(answer.labels(CONNECTIONS)[0]?.['name'], name);
});
