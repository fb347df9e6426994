import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { SYSTEM_CLOCK } from '../../../src/agent/clock.ts';
import type { ApiAccess } from '../../../src/kube/access.ts';
import { sourceCredentials } from '../../../src/kube/credentials.ts';
import { type ApiAnswer, Transport } from '../../../src/kube/transport.ts';
import { statusBody } from '../../../src/testing/encodings.ts';
import { FakeClock, turns } from '../agent/fakes.ts';
import { recorded } from './bodies.ts';
import { ScriptedServer, accessTo, get, reply } from './scripted-server.ts';

const JSON_TYPE = 'application/json';

/** Starts a server that does not answer, and time that stands still. */
async function silent(
  handle: Parameters<typeof ScriptedServer.start>[0] = () => undefined,
): Promise<{ server: ScriptedServer; clock: FakeClock; transport: Transport }> {
  const server = await ScriptedServer.start(handle);
  const clock = new FakeClock();
  const times = { connectMs: 10_000, answerMs: 65_000, idleMs: 150_000 };
  return { server, clock, transport: new Transport(accessTo(server.url), clock, times) };
}

async function textOf(answer: ApiAnswer): Promise<string> {
  const chunks: Buffer[] = [];
  await answer.read((chunk) => chunks.push(chunk));
  return Buffer.concat(chunks).toString();
}

describe('a request', () => {
  it('has the path behind that of the server, the token, and what is accepted', async () => {
    await using server = await ScriptedServer.start((_request, response) => {
      reply(response, 200, JSON_TYPE, '{}');
    });
    const credentials = sourceCredentials({
      token: { read: () => ' secret\n', expire: () => undefined },
    });
    const access = accessTo(`${server.url}/clusters/c1/`, { credentials });
    using transport = new Transport(access, SYSTEM_CLOCK);
    const answer = await transport.request(get());
    assert.equal(answer.format, 'json');
    assert.equal(await textOf(answer), '{}');
    const [request] = server.requests;
    assert.equal(request?.url, '/clusters/c1/api/v1/services?limit=500');
    assert.equal(request.headers.authorization, 'Bearer secret');
    assert.equal(request.headers.accept, JSON_TYPE);
    assert.equal(request.headers['accept-encoding'], undefined);
    assert.equal(transport.server, server.url);
  });

  it('can have a body', async () => {
    const bodies: string[] = [];
    await using server = await ScriptedServer.start((request, response) => {
      request.on('data', (chunk: Buffer) => bodies.push(chunk.toString()));
      request.on('end', () => {
        reply(response, 201, JSON_TYPE, '{}');
      });
    });
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    await textOf(
      await transport.request(get({ method: 'POST', body: { type: JSON_TYPE, text: '{"ü":1}' } })),
    );
    assert.deepEqual(bodies, ['{"ü":1}']);
    assert.equal(server.requests[0]?.headers['content-type'], JSON_TYPE);
  });

  it('uses the connection of the one before', async () => {
    await using server = await ScriptedServer.start((_request, response) => {
      reply(response, 200, JSON_TYPE, '{}');
    });
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    await textOf(await transport.request(get()));
    await textOf(await transport.request(get()));
    assert.equal(server.requests[0]?.socket, server.requests[1]?.socket);
  });

  it('is sent again when the server closed the idle connection at that moment', async () => {
    let isFirst = true;
    await using server = await ScriptedServer.start((request, response) => {
      if (server.requests.length === 2 && isFirst) {
        isFirst = false;
        request.socket.destroy();
      } else reply(response, 200, JSON_TYPE, '{}');
    });
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    await textOf(await transport.request(get()));
    assert.equal(await textOf(await transport.request(get())), '{}');
    assert.equal(server.requests.length, 3);
  });

  it('is not sent again on a new connection', async () => {
    await using server = await ScriptedServer.start((request) => request.socket.destroy());
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    await assert.rejects(transport.request(get()), { code: 'SY_KUBE_DROPPED' });
    assert.equal(server.requests.length, 1);
  });
});

describe('an answer', () => {
  const answers: readonly (readonly [
    name: string,
    status: number,
    type: string,
    body: string | Buffer,
    code: string,
    message: RegExp,
  ])[] = [
    [
      'a wrong token',
      401,
      JSON_TYPE,
      recorded('unauthorized.body'),
      'SY_KUBE_UNAUTHORIZED',
      /Unauthorized.*token/,
    ],
    [
      'a missing role',
      403,
      JSON_TYPE,
      '{"kind":"Status","message":"no","code":403}',
      'SY_KUBE_FORBIDDEN',
      /no .*ClusterRole/,
    ],
    [
      'an unknown resource',
      404,
      JSON_TYPE,
      recorded('not-found.body'),
      'SY_KUBE_NOT_FOUND',
      /NotFound/,
    ],
    [
      'an old token of a page',
      410,
      JSON_TYPE,
      recorded('list-expired-continue.body'),
      'SY_KUBE_EXPIRED',
      /too old/,
    ],
    [
      'a version of the future',
      504,
      JSON_TYPE,
      recorded('list-too-large-rv.body'),
      'SY_KUBE_VERSION_AHEAD',
      /Too large resource version/,
    ],
    [
      'a gateway that times out',
      504,
      'text/html',
      '<html>',
      'SY_KUBE_SERVER',
      /HTTP 504 .*text\/html/,
    ],
    [
      'a fault of the server',
      500,
      JSON_TYPE,
      '{"kind":"Status","message":"etcd","code":500}',
      'SY_KUBE_SERVER',
      /etcd/,
    ],
    [
      'a bad parameter',
      400,
      JSON_TYPE,
      '{"kind":"Status","message":"bad","code":400}',
      'SY_KUBE_REFUSED',
      /bad/,
    ],
    ['a body that is no Status', 422, JSON_TYPE, 'oh', 'SY_KUBE_REFUSED', /HTTP 422/],
    [
      'a login page',
      200,
      'text/html; charset=utf-8',
      '<html>',
      'SY_KUBE_NOT_KUBERNETES',
      /a web page/,
    ],
    ['a redirect to one', 302, 'text/html', '<html>', 'SY_KUBE_NOT_KUBERNETES', /redirect/],
    ['another type', 200, 'text/plain', 'ok', 'SY_KUBE_NOT_KUBERNETES', /text\/plain/],
    [
      'a broken Status',
      401,
      'application/vnd.kubernetes.protobuf',
      'k8s\0\xff',
      'SY_KUBE_UNAUTHORIZED',
      /HTTP 401/,
    ],
    [
      'a Status in protobuf',
      403,
      'application/vnd.kubernetes.protobuf',
      statusBody('protobuf', { message: 'services is forbidden', reason: 'Forbidden', code: 403 }),
      'SY_KUBE_FORBIDDEN',
      /services is forbidden \(Forbidden, HTTP 403\)/,
    ],
  ];
  for (const [name, status, type, body, code, message] of answers) {
    it(`such as ${name} is ${code}`, async () => {
      await using server = await ScriptedServer.start((_request, response) => {
        reply(response, status, type, body);
      });
      using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
      await assert.rejects(transport.request(get()), (error: Error) => {
        assert.equal((error as Error & { readonly code: string }).code, code);
        assert.match(error.message, message);
        assert.ok(error.message.startsWith(`Cannot list Services at ${server.url}: `));
        assert.ok(error.message.endsWith('.'));
        return true;
      });
    });
  }

  it('of a server that is too busy says how long to wait', async () => {
    await using server = await ScriptedServer.start((_request, response) => {
      reply(response, 429, 'text/plain', 'busy', { 'retry-after': '7' });
    });
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    await assert.rejects(transport.request(get()), {
      code: 'SY_KUBE_THROTTLED',
      status: 429,
      retryAfterMs: 7000,
    });
  });

  it('may say in its Status how long to wait', async () => {
    await using server = await ScriptedServer.start((_request, response) => {
      reply(response, 504, JSON_TYPE, recorded('list-too-large-rv.body'));
    });
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    await assert.rejects(transport.request(get()), { retryAfterMs: 1000 });
  });

  it('that refuses the credentials makes the next request get others', async () => {
    let expired = 0;
    const credentials: ApiAccess['credentials'] = {
      identity: async () =>
        Promise.resolve({ authorization: `Bearer ${expired}`, cert: undefined, key: undefined }),
      expire: () => expired++,
    };
    await using server = await ScriptedServer.start(({ headers }, response) => {
      const isGood = headers.authorization === 'Bearer 1';
      reply(response, isGood ? 200 : 401, JSON_TYPE, '{}');
    });
    using transport = new Transport(accessTo(server.url, { credentials }), SYSTEM_CLOCK);
    await assert.rejects(transport.request(get()), { code: 'SY_KUBE_UNAUTHORIZED' });
    await textOf(await transport.request(get()));
    assert.equal(expired, 1);
  });

  it('that ends before its announced length is dropped', async () => {
    await using server = await ScriptedServer.start((request, response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE, 'content-length': '100' });
      response.write('{"items"', () => request.socket.destroy());
    });
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    const answer = await transport.request(get());
    await assert.rejects(textOf(answer), { code: 'SY_KUBE_DROPPED' });
  });

  it('is not read on when its reader fails', async () => {
    await using server = await ScriptedServer.start((_request, response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE });
      for (let piece = 0; piece < 10; piece++) response.write('piece\n');
    });
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    const answer = await transport.request(get());
    let calls = 0;
    const fault = new Error('a bug');
    await assert.rejects(
      answer.read(() => {
        calls++;
        throw fault;
      }),
      fault,
    );
    assert.equal(calls, 1);
    for (const socket of server.sockets) await once(socket, 'close');
  });
});

describe('silence', () => {
  it('instead of an answer ends after 65 s', async () => {
    const { server, clock, transport } = await silent();
    await using _server = server;
    using _transport = transport;
    const rejected = assert.rejects(transport.request(get()), {
      code: 'SY_KUBE_TIMEOUT',
      message: `Cannot list Services at ${server.url}: no answer came within 65 s. Check the server’s load and the network.`,
    });
    while (server.requests.length === 0) await turns();
    await clock.pass(64_999);
    assert.equal(server.sockets.size, 1);
    await clock.pass(1);
    await rejected;
  });

  it('instead of a TLS handshake ends after 10 s', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const clock = new FakeClock();
    using transport = new Transport(accessTo(`https://127.0.0.1:${port}`), clock);
    const connected = once(server, 'connection');
    const rejected = assert.rejects(transport.request(get()), {
      code: 'SY_KUBE_TIMEOUT',
      message: /no connection came about within 10 s/,
    });
    await connected;
    await clock.pass(9999);
    assert.equal(sockets[0]?.closed, false);
    await clock.pass(1);
    await rejected;
    sockets[0].destroy();
    server.close();
  });

  it('in the middle of an answer ends after 150 s', async () => {
    const { server, clock, transport } = await silent((_request, response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE });
      response.write('first\n');
    });
    await using _server = server;
    using _transport = transport;
    const answer = await transport.request(get());
    const { promise: first, resolve } = Promise.withResolvers<Buffer>();
    const read = answer.read(resolve);
    await first;
    await clock.pass(149_999);
    const rejected = assert.rejects(read, { code: 'SY_KUBE_SILENT' });
    await clock.pass(1);
    await rejected;
  });

  it('is broken by every piece of the answer', async () => {
    const responses: { write(text: string): boolean }[] = [];
    const { server, clock, transport } = await silent((_request, response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE });
      response.write('first\n');
      responses.push(response);
    });
    await using _server = server;
    using _transport = transport;
    const abort = new AbortController();
    const answer = await transport.request(get({ signal: abort.signal }));
    const pieces = new EventEmitter();
    const first = once(pieces, 'piece');
    const read = answer.read(() => pieces.emit('piece'));
    await first;
    for (let round = 0; round < 3; round++) {
      await clock.pass(100_000);
      const next = once(pieces, 'piece');
      responses[0]?.write('more\n');
      await next;
    }
    abort.abort(new Error('enough'));
    await assert.rejects(read, /enough/);
  });
});

describe('a signal', () => {
  it('ends a request that waits for its answer, and one that waits for credentials', async () => {
    await using server = await ScriptedServer.start(() => undefined);
    const reason = new Error('closing');
    const abort = new AbortController();
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    const request = transport.request(get({ signal: abort.signal }));
    const credentials: ApiAccess['credentials'] = {
      identity: async () => new Promise(() => undefined),
      expire: () => undefined,
    };
    using slow = new Transport(accessTo(server.url, { credentials }), SYSTEM_CLOCK);
    const waiting = slow.request(get({ signal: abort.signal }));
    while (server.requests.length === 0) await turns();
    abort.abort(reason);
    await assert.rejects(request, reason);
    await assert.rejects(waiting, reason);
    await assert.rejects(transport.request(get({ signal: abort.signal })), reason);
    assert.equal(server.requests.length, 1);
  });

  it('ends the reading of an answer', async () => {
    await using server = await ScriptedServer.start((_request, response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE }).write('x');
    });
    const abort = new AbortController();
    using transport = new Transport(accessTo(server.url), SYSTEM_CLOCK);
    const answer = await transport.request(get({ signal: abort.signal }));
    const read = answer.read(() => {
      abort.abort(new Error('closing'));
    });
    await assert.rejects(read, /closing/);
  });
});
