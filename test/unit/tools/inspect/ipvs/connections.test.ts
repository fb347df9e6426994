import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpvsConnection } from '../../../../../src/kernel/ipvs/connections.ts';
import {
  type ConnectionOptions,
  chooseConnections,
  connectionLines,
} from '../../../../../src/tools/inspect/ipvs/connections.ts';
import type { ServerFilter } from '../../../../../src/tools/inspect/ipvs/servers.ts';
import { address } from './samples.ts';

const ALL: ServerFilter = { virtual: undefined, service: undefined };

function connection(some: Partial<IpvsConnection> = {}): IpvsConnection {
  return {
    protocol: 'TCP',
    client: address('10.0.0.9'),
    clientPort: 40_000,
    virtual: address('10.96.0.1'),
    virtualPort: 80,
    real: address('10.0.0.1'),
    realPort: 8080,
    state: 'ESTABLISHED',
    isTemplate: false,
    expiresSeconds: 899,
    engine: '',
    ...some,
  };
}

async function* from<T>(items: Iterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items;
}

async function lines(
  connections: Iterable<IpvsConnection>,
  filter: Partial<ServerFilter> = {},
  options: Partial<ConnectionOptions> = {},
): Promise<readonly string[]> {
  const chosen = chooseConnections(from(connections), { ...ALL, ...filter }, (server) =>
    'port' in server && server.address === '10.96.0.1'
      ? `shop/web:${server.protocol}-${server.port}`
      : undefined,
  );
  const found: string[] = [];
  for await (const line of connectionLines(chosen, { services: false, wide: false, ...options })) {
    found.push(line);
  }
  return found;
}

test('the time to the end has minutes of two digits or more', async () => {
  const times: string[] = [];
  for (const expiresSeconds of [0, 59, 60, 5999, 6000, 10_800]) {
    const [, , line = ''] = await lines([connection({ expiresSeconds })]);
    times.push(line.slice(4, 11));
  }
  assert.deepEqual(times, ['00:00  ', '00:59  ', '01:00  ', '99:59  ', '100:00 ', '180:00 ']);
});

test('columns are those of ipvsadm, with longer values in the way as there', async () => {
  const long = connection({ protocol: 'SCTP', client: address('2001:db8::1'), state: 'NONE' });
  assert.deepEqual(await lines([connection(), long]), [
    'IPVS connection entries',
    'pro expire state       source             virtual            destination',
    'TCP 14:59  ESTABLISHED 10.0.0.9:40000     10.96.0.1:80       10.0.0.1:8080',
    'SCTP 14:59  NONE        [2001:db8::1]:40000 10.96.0.1:80       10.0.0.1:8080',
  ]);
});

test('names and persistence engines are added at the end when asked for', async () => {
  const sip = connection({ virtual: address('10.96.0.2'), engine: 'sip 123@host' });
  const [, , first, second] = await lines([connection(), sip], {}, { services: true });
  assert.match(first ?? '', / 10\.0\.0\.1:8080 {6}shop\/web:TCP-80$/);
  assert.match(second ?? '', / 10\.0\.0\.1:8080 {6}-$/);
  const wide = await lines([connection(), sip], {}, { services: true, wide: true });
  assert.match(wide[1] ?? '', / destination {11}service +engine$/);
  assert.match(wide[2] ?? '', / 10\.0\.0\.1:8080 {9}shop\/web:TCP-80$/);
  assert.match(wide[3] ?? '', / - +sip 123@host$/);
});

test('connections are chosen by virtual server or Service', async () => {
  const all = [
    connection(),
    connection({ virtualPort: 81 }),
    connection({ protocol: 'UDP' }),
    connection({ virtual: address('10.96.0.2') }),
  ];
  const virtual = { protocol: 'TCP', address: address('10.96.0.1'), port: 80 } as const;
  assert.equal((await lines(all, { virtual })).length, 2 + 1);
  assert.equal((await lines(all, { service: 'shop/web' })).length, 2 + 3);
  assert.equal((await lines(all, { service: 'shop/web:UDP-80' })).length, 2 + 1);
  assert.equal((await lines(all, { service: 'shop/we' })).length, 2);
});

test('no entry is read before the one before was taken', async () => {
  let read = 0;
  const endless = function* (): Generator<IpvsConnection> {
    for (;;) {
      read++;
      yield connection();
    }
  };
  const chosen = chooseConnections(from(endless()), ALL, undefined);
  let taken = 0;
  for await (const _ of connectionLines(chosen, { services: false, wide: false })) {
    taken++;
    assert.equal(read, Math.max(0, taken - 2));
    if (taken === 1000) break;
  }
});
