import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SYSTEM_CLOCK } from '../../../../src/agent/clock.ts';
import {
  type HealthCheckAddresses,
  ServiceHealth,
  type ServiceHealthCheck,
} from '../../../../src/agent/http/service-health.ts';
import type { Clock } from '../../../../src/core/clock.ts';
import { FakeClock } from '../fakes.ts';
import { RawClient, TakenPort, address, ask, freePort, isRefused, lacksIPv6 } from './client.ts';

const LOOPBACK: HealthCheckAddresses = { IPv4: [address('127.0.0.1')], IPv6: [address('::1')] };

/** Health checks on loopback, with a proxy that is healthy until a test says otherwise. */
function checksUnderTest(
  t: TestContext,
  {
    clock = SYSTEM_CLOCK,
    addresses = LOOPBACK,
  }: { clock?: Clock; addresses?: HealthCheckAddresses } = {},
) {
  const failures: string[] = [];
  const health = { isHealthy: true };
  const checks = new ServiceHealth({
    health,
    addresses,
    clock,
    failed: (service, { code, message }) => failures.push(`${service} ${code} ${message}`),
    fault: (error) => assert.fail(String(error)),
  });
  t.after(async () => checks.close());
  return { checks, health, failures };
}

function check(port: number, fields: Partial<ServiceHealthCheck> = {}): ServiceHealthCheck {
  return { namespace: 'shop', name: 'web', port, localEndpoints: { IPv4: 1 }, ...fields };
}

test('a Service with ready endpoints here is 200, whatever the path and method', async (t) => {
  const { checks, failures } = checksUnderTest(t);
  const port = await freePort();
  checks.set(check(port, { localEndpoints: { IPv4: 2 } }));
  await checks.settled();
  for (const [path, method] of [
    ['/', 'GET'],
    ['/healthz?x=1', 'POST'],
    ['/any/thing', 'DELETE'],
  ] as const) {
    const { status, headers, body } = await ask({ port, path, method });
    assert.equal(status, 200);
    assert.equal(
      body,
      '{\n\t"service": {\n\t\t"namespace": "shop",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
    );
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-load-balancing-endpoint-weight'], '2');
  }
  assert.deepEqual(failures, []);
});

test('without endpoints here, or with a sick proxy, it is 503', async (t) => {
  const { checks, health } = checksUnderTest(t);
  const port = await freePort();
  checks.set(check(port));
  await checks.settled();
  assert.equal((await ask({ port })).status, 200);
  checks.set(check(port, { localEndpoints: { IPv4: 0 } }));
  const empty = await ask({ port });
  assert.equal(empty.status, 503);
  assert.equal(empty.headers['x-load-balancing-endpoint-weight'], '0');
  assert.match(empty.body, /"localEndpoints": 0,\n\t"serviceProxyHealthy": true/);
  checks.set(check(port));
  health.isHealthy = false;
  const sick = await ask({ port });
  assert.equal(sick.status, 503);
  assert.match(sick.body, /"localEndpoints": 1,\n\t"serviceProxyHealthy": false/);
  health.isHealthy = true;
  assert.equal((await ask({ port })).status, 200);
});

test('a connection that is kept sees new numbers', async (t) => {
  const { checks } = checksUnderTest(t);
  const port = await freePort();
  checks.set(check(port));
  await checks.settled();
  using client = await RawClient.connect(port);
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.saw('200 OK');
  checks.set(check(port, { localEndpoints: { IPv4: 0 } }));
  await checks.settled();
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.saw('503 Service Unavailable');
});

test('each family has a socket and a number of its own', async (t) => {
  const lacking = await lacksIPv6();
  if (lacking !== false) {
    t.skip(lacking);
    return;
  }
  const { checks } = checksUnderTest(t, { addresses: { IPv4: 'any', IPv6: 'any' } });
  const port = await freePort();
  checks.set(check(port, { localEndpoints: { IPv4: 1, IPv6: 0 } }));
  await checks.settled();
  assert.equal((await ask({ port, host: '127.0.0.1' })).status, 200);
  assert.equal((await ask({ port, host: '::1' })).status, 503);
  checks.set(check(port, { localEndpoints: { IPv6: 3 } }));
  await checks.settled();
  assert.equal(await isRefused(port, '127.0.0.1'), true);
  assert.match((await ask({ port, host: '::1' })).body, /"localEndpoints": 3/);
});

test('another port means no answer at the old one', async (t) => {
  const { checks } = checksUnderTest(t);
  const [before, after] = [await freePort(), await freePort()];
  checks.set(check(before));
  await checks.settled();
  checks.set(check(after));
  await checks.settled();
  assert.equal(await isRefused(before), true);
  assert.equal((await ask({ port: after })).status, 200);
});

test('a Service that goes takes its port and its connections along', async (t) => {
  const { checks } = checksUnderTest(t);
  const port = await freePort();
  checks.set(check(port));
  await checks.settled();
  using client = await RawClient.connect(port);
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.saw('200 OK');
  const before = performance.now();
  checks.remove('shop/web');
  await checks.settled();
  await client.gone;
  assert.ok(performance.now() - before < 1000);
  assert.equal(await isRefused(port), true);
  checks.remove('shop/web');
  checks.remove('shop/never');
  await checks.settled();
});

test('what changes back and forth at once ends as it was wanted last', async (t) => {
  const { checks, failures } = checksUnderTest(t);
  const [first, second] = [await freePort(), await freePort()];
  for (let round = 0; round < 10; round++) {
    checks.set(check(first));
    checks.set(check(second));
    checks.remove('shop/web');
    checks.set(check(first));
  }
  await checks.settled();
  assert.equal((await ask({ port: first })).status, 200);
  assert.equal(await isRefused(second), true);
  assert.deepEqual(failures, []);
});

test('the second Service that asks for a port is told, and gets it when the first goes', async (t) => {
  const { checks, failures } = checksUnderTest(t);
  const port = await freePort();
  checks.set(check(port));
  checks.set(check(port, { name: 'late' }));
  await checks.settled();
  checks.set(check(port, { name: 'late', localEndpoints: { IPv4: 5 } }));
  await checks.settled();
  assert.match((await ask({ port })).body, /"name": "web"/);
  assert.deepEqual(failures, [
    `shop/late SY_BIND_FAILED Port ${port} serves the health checks of Service shop/web: give Service shop/late another healthCheckNodePort.`,
  ]);
  checks.remove('shop/web');
  await checks.settled();
  assert.match((await ask({ port })).body, /"name": "late"\n\t\},\n\t"localEndpoints": 5/);
  checks.remove('shop/late');
  await checks.settled();
  assert.equal(await isRefused(port), true);
  assert.equal(failures.length, 1);
});

test('a port that is taken is told once, and served 5 s after it is free', async (t) => {
  await using taken = await TakenPort.take();
  const { port } = taken;
  const clock = new FakeClock();
  const { checks, failures } = checksUnderTest(t, { clock });
  checks.set(check(port));
  await checks.settled();
  await clock.pass(20_000);
  checks.set(check(port, { localEndpoints: { IPv4: 2 } }));
  await checks.settled();
  assert.equal(failures.length, 1);
  assert.match(
    failures[0] ?? '',
    /^shop\/web SY_BIND_FAILED Cannot listen on 127\.0\.0\.1:\d+ for health checks of a Service \(EADDRINUSE\)/,
  );
  await taken.free();
  await clock.pass(5000);
  await checks.settled();
  assert.match((await ask({ port })).body, /"localEndpoints": 2/);
  assert.equal(failures.length, 1);
});

test('one cause at several addresses is one message', async (t) => {
  await using taken = await TakenPort.take();
  await using _other = await TakenPort.take(taken.port, '127.0.0.2');
  const addresses = { ...LOOPBACK, IPv4: ['127.0.0.1', '127.0.0.2', '127.0.0.3'].map(address) };
  const { checks, failures } = checksUnderTest(t, { addresses });
  checks.set(check(taken.port));
  await checks.settled();
  assert.equal(failures.length, 1);
  assert.match(failures[0] ?? '', /127\.0\.0\.1:.*127\.0\.0\.2:/);
  assert.equal((await ask({ port: taken.port, host: '127.0.0.3' })).status, 200);
});

test('a Service that goes while its port is taken is not told of any more', async (t) => {
  await using taken = await TakenPort.take();
  const clock = new FakeClock();
  const { checks, failures } = checksUnderTest(t, { clock });
  checks.set(check(taken.port));
  await checks.settled();
  checks.remove('shop/web');
  await checks.settled();
  assert.equal(failures.length, 1);
  checks.set(check(taken.port));
  await checks.settled();
  assert.equal(failures.length, 2);
  checks.remove('shop/web');
  await checks.settled();
  const { port } = taken;
  await taken.free();
  await clock.pass(60_000);
  assert.equal(await isRefused(port), true);
  assert.equal(failures.length, 2);
});

test('a cause that was gone is told again when it comes back elsewhere', async (t) => {
  await using taken = await TakenPort.take();
  const { port } = taken;
  await using _other = await TakenPort.take(port, '127.0.0.2');
  const clock = new FakeClock();
  const { checks, failures } = checksUnderTest(t, { clock });
  checks.set(check(port));
  await checks.settled();
  await taken.free();
  await clock.pass(5000);
  await checks.settled();
  checks.setAddresses({ ...LOOPBACK, IPv4: ['127.0.0.1', '127.0.0.2'].map(address) });
  await checks.settled();
  assert.equal(failures.length, 2);
  assert.match(failures[1] ?? '', /Cannot listen on 127\.0\.0\.2:/);
  assert.doesNotMatch(failures[1] ?? '', /127\.0\.0\.1:/);
});

test('new addresses are listened on, old ones left, and those that stay keep their connections', async (t) => {
  const { checks } = checksUnderTest(t, {
    addresses: { IPv4: ['127.0.0.1', '127.0.0.2'].map(address), IPv6: [] },
  });
  const port = await freePort();
  checks.set(check(port));
  await checks.settled();
  using client = await RawClient.connect(port);
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.saw('200 OK');
  checks.setAddresses({ IPv4: ['127.0.0.1', '127.0.0.3'].map(address), IPv6: [] });
  checks.set(check(port, { localEndpoints: { IPv4: 0 } }));
  await checks.settled();
  assert.equal(await isRefused(port, '127.0.0.2'), true);
  assert.equal((await ask({ port, host: '127.0.0.3' })).status, 503);
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.saw('503 Service Unavailable');
});

test('single addresses can become all addresses of a family, and back', async (t) => {
  const { checks, failures } = checksUnderTest(t);
  const port = await freePort();
  checks.set(check(port));
  checks.setAddresses({ ...LOOPBACK, IPv4: 'any' });
  await checks.settled();
  assert.equal((await ask({ port, host: '127.0.0.2' })).status, 200);
  checks.setAddresses(LOOPBACK);
  await checks.settled();
  assert.equal(await isRefused(port, '127.0.0.2'), true);
  assert.equal((await ask({ port })).status, 200);
  assert.deepEqual(failures, []);
});

test('close() ends everything within a second, kept connections too, and nothing comes back', async (t) => {
  const { checks } = checksUnderTest(t);
  const ports = await Promise.all(Array.from({ length: 10 }, freePort));
  for (const [index, port] of ports.entries()) checks.set(check(port, { name: `web-${index}` }));
  await checks.settled();
  const clients = await Promise.all(ports.map(async (port) => RawClient.connect(port)));
  for (const client of clients) {
    client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.saw('200 OK');
  }
  const before = performance.now();
  await checks.close();
  await Promise.all(clients.map(async ({ gone }) => gone));
  assert.ok(performance.now() - before < 1000);
  checks.set(check(ports[0] ?? 0, { name: 'too-late' }));
  await checks.settled();
  for (const port of ports) assert.equal(await isRefused(port), true);
});
