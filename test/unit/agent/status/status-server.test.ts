import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { json } from '../../../../src/agent/http/answer.ts';
import { askStatus } from '../../../../src/agent/status/ask.ts';
import type { StatusPages } from '../../../../src/agent/status/status-server.ts';
import { Folder, ServerUnderTest, ask } from './socket.ts';

const PERMISSIONS = 0o777;

const PAGES: StatusPages = new Map([
  ['/v1/status', { GET: () => json(200, '{"pid":7,"node":"n1"}') }],
  [
    '/v1/broken',
    {
      GET: () => {
        throw new Error('no kernel');
      },
    },
  ],
]);

async function* halfAnAnswer(): AsyncGenerator<string> {
  yield 'x';
  throw new Error('half-way');
}

function modeOf(path: string): number {
  return lstatSync(path).mode & PERMISSIONS;
}

/** Leaves a socket behind that nobody listens on. */
async function leaveSocket(path: string): Promise<void> {
  const server = net.createServer().listen(`${path}.first`);
  await once(server, 'listening');
  linkSync(`${path}.first`, path);
  server.close();
  await once(server, 'close');
}

test('folder and socket are for their owner only, and nothing else is left in the folder', async () => {
  using folder = new Folder();
  const path = folder.file('run', 'status.sock');
  await using under = new ServerUnderTest(path, PAGES);
  await under.server.open();
  assert.deepEqual(under.told, [`listening at ${path}`]);
  assert.equal(modeOf(folder.file('run')), 0o700);
  assert.equal(modeOf(path), 0o600);
  assert.ok(lstatSync(path).isSocket());
  assert.deepEqual(readdirSync(folder.file('run')), ['status.sock']);
  assert.equal((await ask(path, '/v1/status')).status, 200);
  await under.server.close();
  assert.deepEqual(readdirSync(folder.file('run')), []);
});

test('the socket that a dead agent left is replaced', async () => {
  using folder = new Folder();
  const path = folder.file('status.sock');
  await leaveSocket(path);
  await assert.rejects(ask(path, '/v1/status'), { code: 'ECONNREFUSED' });
  await using under = new ServerUnderTest(path, PAGES);
  await under.server.open();
  assert.deepEqual(under.told, [`listening at ${path}`]);
  assert.equal((await ask(path, '/v1/status')).status, 200);
});

test('the socket of a running agent stays its own; the error names it, once, until it is gone', async () => {
  using folder = new Folder();
  const path = folder.file('status.sock');
  await using first = new ServerUnderTest(path, PAGES);
  await first.server.open();
  await using second = new ServerUnderTest(path, new Map());
  await second.server.open();
  assert.equal(second.told.length, 1);
  assert.match(
    second.told[0] ?? '',
    /^failed: AgentError: Cannot listen on .*status\.sock .*: another agent \(process 7, node n1\) listens there/,
  );
  assert.equal((await ask(path, '/v1/status')).status, 200);

  const before = first.questions;
  while (first.questions === before) await second.clock.pass(5000);
  await first.server.close();
  while (second.told.at(-1)?.startsWith('failed')) await second.clock.pass(5000);
  assert.deepEqual(second.told.slice(1), [`listening at ${path}`]);
  assert.equal((await ask(path, '/v1/status')).status, 404, 'it is the second that answers');
});

test('what is no socket is never removed, and links are not followed', async () => {
  using folder = new Folder();
  writeFileSync(folder.file('precious'), 'text');
  mkdirSync(folder.file('real'), { mode: 0o700 });
  symlinkSync(folder.file('precious'), folder.file('link'));
  symlinkSync(folder.file('nothing'), folder.file('dangling'));
  symlinkSync(folder.file('real'), folder.file('folder'));
  const cases = [
    ['precious', /something that is no socket/],
    ['link', /something that is no socket/],
    ['dangling', /something that is no socket/],
    ['real', /something that is no socket/],
    ['folder/status.sock', /folder is no folder \(links are not followed\)/],
    ['precious/status.sock', /precious is no folder/],
    ['nowhere/deep/status.sock', /its folder cannot be made/],
  ] as const;
  for (const [name, message] of cases) {
    const path = folder.file(name);
    await using under = new ServerUnderTest(path, PAGES);
    await under.server.open();
    assert.equal(under.told.length, 1, name);
    assert.match(under.told[0] ?? '', message);
    assert.ok((under.told[0] ?? '').includes(path), 'the message names the path');
  }
  assert.equal(readFileSync(folder.file('precious'), 'utf8'), 'text');
  assert.ok(lstatSync(folder.file('link')).isSymbolicLink());
  assert.ok(!existsSync(folder.file('nothing')));
  assert.deepEqual(readdirSync(folder.file('real')), []);
});

test('a folder that others can write to is refused, and left as it is', async () => {
  using folder = new Folder();
  for (const mode of [0o770, 0o707, 0o1777]) {
    const open = folder.file(`open-${mode}`);
    mkdirSync(open);
    chmodSync(open, mode);
    await using under = new ServerUnderTest(`${open}/status.sock`, PAGES);
    await under.server.open();
    assert.match(under.told.join(), /others may write to .*chmod 700/);
    assert.deepEqual(readdirSync(open), []);
    assert.equal(lstatSync(open).mode & 0o7777, mode);
  }
});

test('a folder that others can only read will do', async () => {
  using folder = new Folder();
  chmodSync(folder.path, 0o755);
  await using under = new ServerUnderTest(folder.file('status.sock'), PAGES);
  await under.server.open();
  assert.equal(modeOf(folder.file('status.sock')), 0o600);
  assert.equal(modeOf(folder.path), 0o755);
});

test('closing leaves a socket alone that another one has put in its place', async () => {
  using folder = new Folder();
  const path = folder.file('status.sock');
  await using first = new ServerUnderTest(path, PAGES);
  await first.server.open();
  renameSync(path, folder.file('moved'));
  await using second = new ServerUnderTest(path, PAGES);
  await second.server.open();
  await first.server.close();
  assert.equal((await ask(path, '/v1/status')).status, 200);
});

test('unknown paths, other methods and failures have their status, and say why', async () => {
  using folder = new Folder();
  const path = folder.file('status.sock');
  await using under = new ServerUnderTest(path, PAGES);
  await under.server.open();
  const missing = await ask(path, '/v1/nonsense?x=1');
  assert.equal(missing.status, 404);
  assert.deepEqual(JSON.parse(missing.body), { error: 'There is no /v1/nonsense.' });
  const wrong = await ask(path, '/v1/status', 'POST');
  assert.equal(wrong.status, 405);
  assert.equal(wrong.allow, 'GET');
  assert.match(wrong.body, /takes GET only/);
  assert.deepEqual(under.told.length, 1, 'neither is a fault of the agent');
  const broken = await ask(path, '/v1/broken');
  assert.equal(broken.status, 500);
  assert.doesNotMatch(broken.body, /no kernel/);
  assert.deepEqual(under.told.slice(1), ['fault: Error: no kernel']);
  assert.equal((await ask(path, '/v1/status')).status, 200, 'and it goes on');
});

test('an answer is made as fast as it is read, and no further when its reader is gone', async () => {
  using folder = new Folder();
  const path = folder.file('status.sock');
  const over = Promise.withResolvers<undefined>();
  let made = 0;
  const pieces = async function* (): AsyncGenerator<string> {
    try {
      for (;;) {
        made++;
        yield 'x'.repeat(65_536);
      }
    } finally {
      over.resolve(undefined);
    }
  };
  const pages: StatusPages = new Map([
    ['/v1/endless', { GET: () => ({ status: 200, contentType: 'text/plain', pieces: pieces() }) }],
  ]);
  await using under = new ServerUnderTest(path, pages);
  await under.server.open();
  const question = { socket: path, path: '/v1/endless', method: 'GET', timeoutMs: 10_000 } as const;
  const response = await askStatus(question);
  await once(response, 'readable');
  assert.ok(made < 100, `${made} pieces for a reader who does not read`);
  response.destroy();
  await over.promise;
  assert.deepEqual(under.told, [`listening at ${path}`], 'a reader may go');
});

test('an answer that fails half-way breaks off, and is reported', async () => {
  using folder = new Folder();
  const path = folder.file('status.sock');
  const pages: StatusPages = new Map([
    [
      '/v1/half',
      { GET: () => ({ status: 200, contentType: 'text/plain', pieces: halfAnAnswer() }) },
    ],
  ]);
  await using under = new ServerUnderTest(path, pages);
  await under.server.open();
  await assert.rejects(ask(path, '/v1/half'));
  assert.deepEqual(under.told.slice(1), ['fault: Error: half-way']);
});
