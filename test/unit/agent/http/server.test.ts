import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { AgentError } from '../../../../src/agent/errors.ts';
import { SYSTEM_CLOCK } from '../../../../src/agent/clock.ts';
import { plainText } from '../../../../src/agent/http/answer.ts';
import {
  dualStack,
  type Handle,
  Listener,
  type ListenerLimits,
  type ListenerOptions,
} from '../../../../src/agent/http/server.ts';
import { FakeClock } from '../fakes.ts';
import { RawClient, TakenPort, address, ask, isRefused, lacksIPv6 } from './client.ts';

const ROOMY: ListenerLimits = {
  headersMs: 10_000,
  requestMs: 10_000,
  idleMs: 10_000,
  stalledMs: 10_000,
  unsentBytes: 1_000_000,
};

const greet: Handle = () => plainText(200, 'hello');

/** A listener on loopback that writes down what happens to it. */
function listenerUnderTest(t: TestContext, options: Partial<ListenerOptions> = {}) {
  const listening: string[] = [];
  const failed: string[] = [];
  const faults: unknown[] = [];
  const events = new EventEmitter();
  const listener = new Listener({
    purpose: 'tests',
    addresses: [address('127.0.0.1')],
    port: 0,
    ipv6Only: false,
    clock: SYSTEM_CLOCK,
    handle: greet,
    events: {
      listening: (where) => {
        listening.push(where);
        events.emit('listening');
      },
      failed: ({ cause, message }) => failed.push(`${cause} ${message}`),
      fault: (error) => faults.push(error),
    },
    ...options,
  });
  t.after(async () => listener.close());
  const nextListening = async (): Promise<unknown> => once(events, 'listening');
  return { listener, listening, failed, faults, nextListening };
}

test('a request is answered with the length of the body, and the connection kept', async (t) => {
  const { listener, listening } = listenerUnderTest(t);
  await listener.open();
  const { status, headers, body } = await ask({ port: listener.port });
  assert.deepEqual([status, body, headers['content-length']], [200, 'hello', '5']);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.deepEqual(listening, [`127.0.0.1:${listener.port}`]);
});

test('HEAD is answered like GET, without the body', async (t) => {
  const { listener } = listenerUnderTest(t);
  await listener.open();
  const { status, headers, body } = await ask({ port: listener.port, method: 'HEAD' });
  assert.deepEqual([status, body, headers['content-length']], [200, '', '5']);
});

test('bodies of requests are ignored', async (t) => {
  const { listener, faults } = listenerUnderTest(t);
  await listener.open();
  const { body } = await ask({
    port: listener.port,
    method: 'POST',
    body: 'x'.repeat(2_000_000),
  });
  assert.equal(body, 'hello');
  assert.deepEqual(faults, []);
});

test('a port that is taken is reported once, tried every 5 s, and had when it is free', async (t) => {
  await using taken = await TakenPort.take();
  const clock = new FakeClock();
  const { listener, listening, failed, nextListening } = listenerUnderTest(t, {
    port: taken.port,
    clock,
  });
  await listener.open();
  await clock.pass(20_000);
  assert.deepEqual(failed, [
    `EADDRINUSE Cannot listen on 127.0.0.1:${taken.port} for tests (EADDRINUSE): something else listens there: stop it or choose another port.`,
  ]);
  assert.deepEqual(listening, []);
  const { port } = taken;
  await taken.free();
  const isListening = nextListening();
  await clock.pass(4999);
  assert.deepEqual(listening, []);
  await clock.pass(1);
  await isListening;
  assert.equal((await ask({ port })).body, 'hello');
  assert.equal(failed.length, 1);
});

test('with hard-fail a port that is taken is an error, and is not tried again', async (t) => {
  await using taken = await TakenPort.take();
  const clock = new FakeClock();
  const { listener, listening, failed } = listenerUnderTest(t, { port: taken.port, clock });
  await assert.rejects(listener.openOrFail(), (error: unknown) => {
    assert.ok(error instanceof AgentError);
    assert.equal(error.code, 'SY_BIND_FAILED');
    assert.match(error.message, /^Cannot listen on 127\.0\.0\.1:\d+ for tests \(EADDRINUSE\)/);
    return true;
  });
  await taken.free();
  await clock.pass(60_000);
  assert.deepEqual([listening, failed], [[], []]);
});

test('a listener that is closed while it waits never listens', async (t) => {
  await using taken = await TakenPort.take();
  const { port } = taken;
  const clock = new FakeClock();
  const { listener, listening } = listenerUnderTest(t, { port, clock });
  await listener.open();
  await listener.close();
  await taken.free();
  await clock.pass(60_000);
  assert.deepEqual(listening, []);
  assert.equal(await isRefused(port), true);
});

test('a listener that is closed while it begins does not listen afterwards', async (t) => {
  const { listener } = listenerUnderTest(t);
  const opening = listener.open();
  await listener.close();
  await opening;
  assert.equal(listener.port, undefined);
});

test('a listener that is closed while it fails does not try again', async (t) => {
  await using taken = await TakenPort.take();
  const { port } = taken;
  const clock = new FakeClock();
  const { listener, listening, failed } = listenerUnderTest(t, { port, clock });
  const opening = listener.open();
  await listener.close();
  await opening;
  await taken.free();
  await clock.pass(60_000);
  assert.deepEqual([listening, failed], [[], []]);
});

test('an address that no interface has is told once, with what to do', async (t) => {
  const clock = new FakeClock();
  const { listener, failed } = listenerUnderTest(t, {
    addresses: [address('192.0.2.1')],
    clock,
  });
  await listener.open();
  await clock.pass(10_000);
  assert.equal(failed.length, 1);
  assert.match(failed[0] ?? '', /^EADDRNOTAVAIL .*no interface has this address/);
});

test('a wildcard serves both families', async (t) => {
  const lacking = await lacksIPv6();
  if (lacking !== false) {
    t.skip(lacking);
    return;
  }
  for (const text of ['0.0.0.0', '::']) {
    const { listener, listening } = listenerUnderTest(t, { addresses: dualStack(address(text)) });
    await listener.open();
    const { port } = listener;
    assert.equal((await ask({ port, host: '127.0.0.1' })).body, 'hello');
    assert.equal((await ask({ port, host: '::1' })).body, 'hello');
    assert.deepEqual(listening, [`[::]:${port}`]);
  }
});

test('an address that is not a wildcard is the only one', async (t) => {
  const { listener } = listenerUnderTest(t, { addresses: dualStack(address('127.0.0.1')) });
  await listener.open();
  assert.equal(await isRefused(listener.port ?? 0, '127.0.0.2'), true);
});

test('a machine without the first address gets the second, and no complaint', async (t) => {
  const { listener, listening, failed } = listenerUnderTest(t, {
    addresses: [address('2001:db8::1'), address('127.0.0.1')],
  });
  await listener.open();
  assert.deepEqual(listening, [`127.0.0.1:${listener.port}`]);
  assert.deepEqual(failed, []);
});

test('a first address that is taken is not given up for the second', async (t) => {
  await using taken = await TakenPort.take();
  const { listener, listening, failed } = listenerUnderTest(t, {
    addresses: [address('127.0.0.1'), address('127.0.0.2')],
    port: taken.port,
  });
  await listener.open();
  assert.deepEqual(listening, []);
  assert.equal(failed.length, 1);
});

test('close() breaks connections that are kept, and those that said nothing, at once', async (t) => {
  const { listener } = listenerUnderTest(t);
  await listener.open();
  const { port } = listener;
  const clients = await Promise.all(
    Array.from({ length: 100 }, async () => RawClient.connect(port)),
  );
  for (const client of clients.slice(0, 50)) {
    client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.saw('hello');
  }
  const before = performance.now();
  await listener.close();
  await Promise.all(clients.map(async ({ gone }) => gone));
  assert.ok(performance.now() - before < 1000);
  assert.equal(await isRefused(port ?? 0), true);
});

test('a client that does not come to an end with its headers is cut off', async (t) => {
  const { listener } = listenerUnderTest(t, { limits: { ...ROOMY, headersMs: 100 } });
  await listener.open();
  using slow = await RawClient.connect(listener.port);
  slow.socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  using silent = await RawClient.connect(listener.port);
  await Promise.all([slow.gone, silent.gone]);
  assert.doesNotMatch(slow.text, /200 OK/);
  assert.equal((await ask({ port: listener.port })).status, 200);
});

test('a client that sends a body for ever is cut off', async (t) => {
  const { listener } = listenerUnderTest(t, {
    limits: { ...ROOMY, headersMs: 100, requestMs: 200 },
  });
  await listener.open();
  using endless = await RawClient.connect(listener.port);
  endless.socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx');
  await endless.saw('hello');
  await endless.gone;
});

test('headers that are too long are refused', async (t) => {
  const { listener } = listenerUnderTest(t);
  await listener.open();
  using client = await RawClient.connect(listener.port);
  client.socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
  await client.gone;
  assert.match(client.text, /^HTTP\/1\.1 431 /);
});

test('clients that do not read do not make the server remember more than it may', async (t) => {
  const body = 'x'.repeat(16_000_000);
  const asked = Promise.withResolvers<undefined>();
  const { listener } = listenerUnderTest(t, {
    limits: { ...ROOMY, unsentBytes: 20_000_000 },
    handle: () => {
      asked.resolve(undefined);
      return plainText(200, body);
    },
  });
  await listener.open();
  using first = await RawClient.connect(listener.port);
  first.socket.pause();
  first.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await asked.promise;
  // A second answer does not fit beside the first: the one who waits the longest loses.
  const { status, body: received } = await ask({ port: listener.port });
  assert.deepEqual([status, received.length], [200, body.length]);
  first.socket.resume();
  await first.gone;
  assert.ok(first.text.length < body.length);
});

test('many answers wanted at once on one connection do not make it either', async (t) => {
  const { listener } = listenerUnderTest(t, {
    limits: { ...ROOMY, unsentBytes: 10_000_000 },
    handle: () => plainText(200, 'x'.repeat(3_000_000)),
  });
  await listener.open();
  using greedy = await RawClient.connect(listener.port);
  greedy.socket.pause();
  greedy.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200));
  greedy.socket.resume();
  await greedy.gone;
  assert.ok(greedy.text.length <= 12_000_000);
  assert.equal((await ask({ port: listener.port, method: 'HEAD' })).status, 200);
});

test('an answer that is larger than all that may wait is sent nevertheless', async (t) => {
  const { listener } = listenerUnderTest(t, {
    limits: { ...ROOMY, unsentBytes: 1000 },
    handle: () => plainText(200, 'x'.repeat(5_000_000)),
  });
  await listener.open();
  assert.equal((await ask({ port: listener.port })).body.length, 5_000_000);
});

test('garbage behind a request is refused, and does no harm to others', async (t) => {
  const { listener, faults } = listenerUnderTest(t);
  await listener.open();
  using client = await RawClient.connect(listener.port);
  client.socket.write(
    Buffer.concat([
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.from([0x00, 0xff, 0x0a, 0x80, 0x16, 0x03, 0x01]),
    ]),
  );
  await client.gone;
  using connecting = await RawClient.connect(listener.port);
  connecting.socket.write('CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n');
  await connecting.gone;
  using upgrading = await RawClient.connect(listener.port);
  upgrading.socket.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  await upgrading.saw('hello');
  assert.equal((await ask({ port: listener.port })).status, 200);
  assert.deepEqual(faults, []);
});

test('requests that come at once on one connection are answered in order', async (t) => {
  let count = 0;
  const { listener } = listenerUnderTest(t, { handle: () => plainText(200, `answer ${++count};`) });
  await listener.open();
  using client = await RawClient.connect(listener.port);
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3));
  await client.saw('answer 3;');
  assert.deepEqual(client.text.match(/answer \d/g), ['answer 1', 'answer 2', 'answer 3']);
});

test('what a handler throws is a 500 without details, and reported', async (t) => {
  const { listener, faults } = listenerUnderTest(t, {
    handle: async () => Promise.reject(new Error('secret')),
  });
  await listener.open();
  const { status, body } = await ask({ port: listener.port });
  assert.equal(status, 500);
  assert.doesNotMatch(body, /secret/);
  assert.deepEqual(faults.map(String), ['Error: secret']);
});

test('a client that leaves before its answer is there is no fault, and holds no memory', async (t) => {
  const asked = Promise.withResolvers<undefined>();
  const made = Promise.withResolvers<undefined>();
  const { listener, faults } = listenerUnderTest(t, {
    limits: { ...ROOMY, unsentBytes: 1000 },
    handle: async ({ url }) => {
      if (url !== '/slow') return plainText(200, `hello ${url}`);
      asked.resolve(undefined);
      await made.promise;
      return plainText(200, 'late'.repeat(1000));
    },
  });
  await listener.open();
  const client = await RawClient.connect(listener.port);
  client.socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  await asked.promise;
  client.socket.resetAndDestroy();
  await client.gone;
  made.resolve(undefined);
  assert.equal((await ask({ port: listener.port })).body, 'hello /');
  // Two answers at once would be cut off if there were no room.
  using other = await RawClient.connect(listener.port);
  other.socket.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n');
  await other.saw('hello /1');
  await other.saw('hello /2');
  assert.deepEqual(faults, []);
});
