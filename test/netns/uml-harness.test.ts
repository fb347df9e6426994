/** The way into user-mode Linux: what goes in and comes out, and that nothing stays behind. Each test boots a guest. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { umlReason } from '../lab/uml/uml.ts';

const main = fileURLToPath(new URL('../lab/uml/main.ts', import.meta.url));

function run(script: string, env: NodeJS.ProcessEnv = {}) {
  return spawnSync(process.execPath, [main, 'bash', '-c', script], {
    encoding: 'latin1',
    env: { ...process.env, ...env },
    maxBuffer: 64 << 20,
  });
}

/** Starts a guest that does nothing; resolves once it has booted. */
async function idleGuest(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [main, 'bash', '-c', 'echo here; sleep 1000'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  return child;
}

interface Row {
  readonly pid: number;
  readonly parent: number;
  readonly namespace: string;
}

function processes(): readonly Row[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,ppid=,pidns='], { encoding: 'utf8' });
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, parent, namespace = '']) => ({
      pid: Number(pid),
      parent: Number(parent),
      namespace,
    }));
}

/** PID namespace of the guest of a running harness. */
function guestNamespace(harness: number | undefined): string {
  const rows = processes();
  const outside = rows.find(({ parent }) => parent === harness);
  const inside = rows.find(({ parent }) => parent === outside?.pid);
  assert.ok(inside !== undefined && inside.namespace !== outside?.namespace);
  return inside.namespace;
}

function populationOf(pidNamespace: string): number {
  return processes().filter(({ namespace }) => namespace === pidNamespace).length;
}

describe('a command under user-mode Linux', { skip: umlReason() ?? false }, () => {
  test('gets its words, folder and environment, and gives its output and status', () => {
    const script = `printf '%s|' "$PWD" "$GREETING"; echo oops >&2; sleep 1000 & exit 7`;
    const { status, stdout, stderr } = run(script, { GREETING: `it's "two"\nlines $HOME` });
    assert.equal(status, 7);
    assert.equal(stdout, `${process.cwd()}|it's "two"\nlines $HOME|`);
    assert.match(stderr, /^uml: booted in [\d.]+ s\noops\n$/);
  });

  test('writes any bytes, through a pipe and not a terminal', () => {
    const { stdout } = run(
      '[ -t 1 ] && exit; for i in {1..50}; do printf "%b" {,\\\\0{0,1,2,3}{0..7}}{0..7}; done; head -c 2000000 /dev/zero',
    );
    assert.ok(stdout.length > 2_000_000);
    assert.ok(stdout.includes('\u0000') && stdout.includes('\n') && stdout.includes('\u0004'));
    assert.equal(stdout.slice(-2_000_000), '\u0000'.repeat(2_000_000));
  });

  test('changes nothing on the host', () => {
    const name = `/tmp/switchyard-uml-${process.pid}`;
    const { stdout } = run(`touch ${name} && ls ${name}; cat /sys/class/net/*/address`);
    assert.equal(stdout, `${name}\n00:00:00:00:00:00\n`, 'a file, and no link but lo');
    assert.ok(!existsSync(name));
  });

  test('that takes the kernel down fails with the reason', () => {
    const { status, stderr } = run('echo c > /proc/sysrq-trigger; sleep 1000');
    assert.equal(status, 1);
    assert.match(stderr, /Kernel panic - not syncing: sysrq triggered crash\n$/);
  });

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    test(`leaves no process behind when it is ended by ${signal}`, async (t) => {
      const child = await idleGuest();
      t.after(() => child.kill('SIGKILL'));
      const namespace = guestNamespace(child.pid);
      assert.ok(populationOf(namespace) > 2);
      child.kill(signal);
      const [, endedBy] = (await once(child, 'exit')) as unknown[];
      assert.equal(endedBy, signal);
      const deadline = performance.now() + 5000;
      while (populationOf(namespace) > 0 && performance.now() < deadline);
      assert.equal(populationOf(namespace), 0);
    });
  }
});

describe('a machine without user-mode Linux', () => {
  for (const [ci, expected] of [
    ['', { status: 0, stderr: 'uml: skipped: needs linux.uml (Debian package user-mode-linux)\n' }],
    [
      'true',
      { status: 1, stderr: 'uml: FAILED: needs linux.uml (Debian package user-mode-linux)\n' },
    ],
  ] as const) {
    test(`is told in one line, with CI=${ci}`, () => {
      const { status, stdout, stderr } = run('echo ran', { PATH: '/nowhere', CI: ci });
      assert.deepEqual({ status, stdout, stderr }, { ...expected, stdout: '' });
    });
  }
});
