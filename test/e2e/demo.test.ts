/** `npm start`: the demo tells its story, checks it, and leaves nothing behind however it ends. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { labReason } from '../lab/lab.ts';

const skip = labReason() ?? false;
const program = fileURLToPath(new URL('../../demo/main.ts', import.meta.url));
const node = process.execPath;

type Demo = ChildProcessByStdio<null, Readable, Readable>;

interface Ending {
  readonly code: number | null;
  readonly output: string;
  readonly complaints: string;
}

/** Starts the demo with a folder for temporary files of its own. */
function start(
  context: TestContext,
  command: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv = {},
): { readonly demo: Demo; readonly temporary: string } {
  const temporary = mkdtempSync(join(tmpdir(), 'switchyard-demo-test-'));
  context.after(() => {
    rmSync(temporary, { recursive: true });
  });
  const [file, ...args] = command;
  const demo = spawn(file, args, {
    env: { ...process.env, FORCE_COLOR: undefined, TMPDIR: temporary, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { demo, temporary };
}

async function ending(demo: Demo): Promise<Ending> {
  const [output, complaints, [code]] = await Promise.all([
    text(demo.stdout),
    text(demo.stderr),
    once(demo, 'close') as Promise<[number | null]>,
  ]);
  return { code, output, complaints };
}

/** Resolves when the demo has printed a text. */
async function printed(demo: Demo, expected: string): Promise<void> {
  let output = '';
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  demo.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output.includes(expected)) resolve(undefined);
  });
  demo.once('close', () => {
    reject(new Error(`the demo ended before it printed ${expected}:\n${output}`));
  });
  await promise;
}

function assertNothingLeft(demo: Demo, temporary: string): void {
  const namespaces = readdirSync('/run/netns').filter((name) =>
    name.startsWith(`switchyard-lab-${demo.pid}-`),
  );
  assert.deepEqual(namespaces, [], 'namespaces');
  assert.deepEqual(readdirSync(temporary), [], 'temporary files');
  assert.deepEqual(processesNaming(temporary), [], 'processes');
}

/** Command lines that contain a text, apart from this process. */
function processesNaming(part: string): readonly string[] {
  const commands: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      commands.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
    } catch {
      // It ended while we looked.
    }
  }
  return commands.filter((command) => command.includes(part));
}

/** What a complete run prints, on a screen of 100 columns. */
function assertWholeStory(output: string): void {
  const lines = output.split('\n');
  const beyond = lines.filter((line) => line.length > 100);
  assert.deepEqual(beyond, [], 'lines wider than the screen');
  assert.ok(lines.length <= 42, `${lines.length} lines`);
  assert.equal(stripVTControlCharacters(output), output);
  for (const expected of [
    /^Switchyard \d+\.\d+\.\d+/,
    /6 Services, 6 EndpointSlices, 1 Node: in the kernel \d+ ms after/,
    /client +frontend +LB IP +203\.0\.113\.80:80 +\d+ +\d+ +\d+ +\d+ +10\.1\.0\.1 /,
    /client +frontend +LB IP +\[2001:db8::80\]:80 +\d+ +\d+ +\d+ +\d+ +fd00:1::1 /,
    /client +frontend +NodePort +10\.1\.0\.1:30080 +\d+ +\d+ +\d+ +\d+ +10\.1\.0\.1 /,
    /client +payments +LB IP +203\.0\.113\.40:443 +\d+ +\d+ +- +- +192\.0\.2\.2 kept/,
    /pod-a +catalog +ClusterIP +10\.96\.0\.20:80 +- +\d+ +\d+ +\d+ +10\.244\.1\.10 kept/,
    /pod-a +dns +ClusterIP +10\.96\.0\.10:53 UDP +- +\d+ +- +\d+ +10\.244\.1\.10 kept/,
    /recommendations +10\.96\.0\.50:80 +no endpoints +refused after \d/,
    /catalog +10\.96\.0\.20:81 .*refused after \d/,
    /payments +203\.0\.113\.40:443 .*silence/,
    /192\.0\.2\.2 → pod-[a-d] +192\.0\.2\.3 → pod-[a-d]/,
    /frontend\.yaml: pod-d deleted +[\d.]+ ms/,
    /search\.yaml: Service added +[\d.]+ ms/,
    /new proxy: .*0 objects written/,
    /connections through steps 4 and 5, 0 failed/,
    /\$ nft list map ip switchyard service-ips\n +elements = \{ 10\.96\.0\.10 \. udp \. 53 /,
    /It is over:.*\n$/,
  ]) {
    assert.match(output, expected);
  }
}

describe('the demo', { skip }, () => {
  test('tells its whole story and leaves nothing behind', async (context) => {
    const { demo, temporary } = start(context, [node, program]);
    const { code, output, complaints } = await ending(demo);
    assert.equal(complaints, '');
    assert.equal(code, 0);
    assertWholeStory(output);
    assertNothingLeft(demo, temporary);
  });

  test('needs no root where the kernel lets everybody make user namespaces', async (context) => {
    const user = ['unshare', '--user', '--map-user=1000', '--map-group=1000'] as const;
    const { demo, temporary } = start(context, [...user, node, program]);
    const { code, output, complaints } = await ending(demo);
    assert.equal(complaints, '');
    assert.equal(code, 0);
    assertWholeStory(output);
    assertNothingLeft(demo, temporary);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`cleans up when ${signal} comes in the middle of it`, async (context) => {
      const { demo, temporary } = start(context, [node, program]);
      const end = ending(demo);
      await printed(demo, '4  Files are edited');
      demo.kill(signal);
      const { code, output, complaints } = await end;
      assert.equal(code, 130);
      assert.match(complaints, /Interrupted: everything the demo made is removed/);
      assert.doesNotMatch(output, /It is over/);
      assertNothingLeft(demo, temporary);
    });
  }

  test('with --keep it stays until SIGINT, shows edits, and then ends well', async (context) => {
    const { demo, temporary } = start(context, [node, program, '--keep']);
    const end = ending(demo);
    await printed(demo, "The proxy's log:");
    const namespace = `switchyard-lab-${demo.pid}-1-client`;
    const visit = `ip netns exec ${namespace} bash -c 'head -1 < /dev/tcp/203.0.113.80/80'`;
    assert.match(execFileSync('sh', ['-c', visit], { encoding: 'utf8' }), /"server":"pod-[abc]"/);
    const [folder = ''] = readdirSync(temporary);
    const logged = printed(demo, '"Programmed"');
    rmSync(join(temporary, folder, 'search.yaml'));
    await logged;
    demo.kill('SIGINT');
    const { code, output, complaints } = await end;
    assert.equal(complaints, '');
    assert.equal(code, 0);
    assert.ok(output.includes(visit), 'the command just used is printed');
    assert.match(output, /It is over/);
    assertNothingLeft(demo, temporary);
  });

  test('fails and names the step when connections fail', async (context) => {
    const { demo, temporary } = start(context, [node, program]);
    const end = ending(demo);
    await printed(demo, '4  Files are edited');
    const nodeNamespace = `switchyard-lab-${demo.pid}-1-node`;
    const sabotage = ['nft', 'delete', 'table', 'ip', 'switchyard'];
    execFileSync('ip', ['netns', 'exec', nodeNamespace, ...sabotage]);
    const { code, output, complaints } = await end;
    assert.equal(code, 1);
    assert.match(complaints, /^demo: failed at "[45] /);
    assert.doesNotMatch(output, /It is over/);
    assertNothingLeft(demo, temporary);
  });

  test('says what is missing where it may not make namespaces', async (context) => {
    // A user who is nobody in the namespace of this process: the kernel gives him no namespaces of his own.
    const { demo, temporary } = start(context, ['unshare', '--user', node, program]);
    const { code, output, complaints } = await ending(demo);
    assert.equal(code, 1);
    assert.equal(output, '');
    assert.match(complaints, /failed at "set-up".*not run by root[^]*sudo npm start/);
    assertNothingLeft(demo, temporary);
  });

  test('refuses options it does not have', async (context) => {
    const { demo } = start(context, [node, program, '--nonsense']);
    const { code, output, complaints } = await ending(demo);
    assert.equal(code, 1);
    assert.equal(output, '');
    assert.match(complaints, /--nonsense[^]*usage: npm start/);
  });
});
