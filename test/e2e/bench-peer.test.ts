/** `npm run bench -- --peer PATH`: a program in kube-proxy's place is measured as a black box, and nothing of it stays. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Network } from '../../bench/network.ts';
import { type Peer, identifyPeer, measurePeer } from '../../bench/peer.ts';
import type { Results } from '../../bench/results.ts';
import { labReason } from '../lab/lab.ts';
import { namespacesMade } from '../lab/namespaces.ts';

const skip = labReason() ?? false;
const bench = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));
const program = fileURLToPath(new URL('fixtures/peer-program.ts', import.meta.url));

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-bench-test-'));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** An executable file in a folder of its own, whose path names its processes. */
function executable(context: TestContext, script: string): string {
  const file = join(folderFor(context), 'kube-proxy');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** The program of fixtures/, as one executable file. */
function standIn(context: TestContext, flags = ''): string {
  return executable(
    context,
    `exec '${process.execPath}' '${program}' "$@" --own-path="$0" ${flags}`,
  );
}

function run(args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [bench, ...args], { encoding: 'utf8' });
}

/** Processes whose command line has all of these parts. */
function processesNaming(...parts: readonly string[]): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return parts.every((part) => command.includes(part));
    } catch {
      // It ended while we looked.
      return false;
    }
  });
}

function namespacesOf(pid: number | undefined): readonly string[] {
  const all = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  return all.filter((name) => name.startsWith(`${namespacesMade}${pid}-`));
}

/** A small run in this process. */
async function measureSmall(peer: Peer, limitMs: number) {
  using network = Network.open(1);
  return await measurePeer(network, peer, { node: 0, services: 20 }, { changes: 1, limitMs });
}

describe('the bench with a kube-proxy of its own', () => {
  for (const [what, script] of [
    ['is not there', undefined],
    ['fails', 'exit 3'],
    ['names no version', 'echo hello'],
  ] as const) {
    test(`refuses a program that ${what}`, (context) => {
      const path =
        script === undefined ? join(folderFor(context), 'none') : executable(context, script);
      const { status, stdout, stderr } = run(['--peer', path]);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.ok(stderr.startsWith(`--peer: ${path} `), stderr);
      assert.match(stderr, /--peer PATH/);
    });
  }

  test('refuses a file that is not executable', (context) => {
    const path = executable(context, 'echo v1');
    chmodSync(path, 0o644);
    const { status, stderr } = run(['--peer', path]);
    assert.equal(status, 2);
    assert.match(stderr, /cannot be run: .*EACCES/);
  });

  test('says in its help what the measurement was tried with', () => {
    const { status, stdout } = run(['--help']);
    assert.equal(status, 0);
    assert.match(stdout, /Tried only with a small stand-in program/);
  });

  test('measures it at 1,000 Services and reports it', { skip }, (context) => {
    const path = standIn(context);
    const json = join(folderFor(context), 'results.json');
    const options = ['--quick', '--sizes', '10', '--json', json, '--peer', path];
    const { pid, status, stdout, stderr } = run(options);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /kube-proxy v0\.0\.0-stand-in, black box/);
    assert.match(stdout, /1,000 Services, black box: start, ms +[\d.,]+ +- +-\n/);
    assert.match(stdout, /black box: one slice changed, ms, p50 +[\d.,]+ +- +-\n/);
    assert.match(stdout, /tried only with a small stand-in program/);

    const text = readFileSync(json, 'utf8');
    assert.ok(!text.includes(path), 'results are published without paths');
    const { peer } = JSON.parse(text) as Results;
    assert.equal(peer?.version, 'v0.0.0-stand-in');
    assert.equal(peer.sizes.length, 1);
    const [size] = peer.sizes;
    assert.equal(size?.services, 1000);
    assert.equal(size.failure, undefined);
    assert.equal(size.endpointChange?.samples, 10);
    assert.ok(size.endpointChange.min > 0, 'no change arrives before it was written');
    assert.ok((size.ready ?? 0) > size.endpointChange.min, 'a start takes longer than a change');
    assert.ok((size.rss ?? 0) > 20 && (size.rss ?? 0) < 1000, `${size.rss} MB`);
    assert.ok((size.processorShare ?? 0) > 0.001 && (size.processorShare ?? 0) < 2);
    assert.deepEqual(namespacesOf(pid), []);
    assert.deepEqual(processesNaming(path), []);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`removes everything when ${signal} comes`, { skip }, async (context) => {
      const path = standIn(context);
      const options = ['--quick', '--sizes', '10', '--peer', path];
      const child = spawn(process.execPath, [bench, ...options], { stdio: 'ignore' });
      while (processesNaming(path, '--cluster-cidr').length === 0) {
        assert.equal(child.exitCode, null, 'the bench ended before it ran the program');
        await setTimeout(20);
      }
      assert.notDeepEqual(namespacesOf(child.pid), []);
      child.kill(signal);
      assert.deepEqual(await once(child, 'exit'), [null, signal]);
      assert.deepEqual(namespacesOf(child.pid), []);
      // Nobody waits for a process killed at the last moment; the test runs out of time if it stays.
      while (processesNaming(path).length > 0) await setTimeout(20);
    });
  }

  test('reports a program that writes no rules', { skip }, async (context) => {
    const path = executable(context, '[ "$1" = --version ] && echo v1.2.3 && exit\nexec sleep 60');
    const peer = identifyPeer(path);
    assert.equal(peer.version, 'v1.2.3');
    const result = await measureSmall(peer, 500);
    assert.equal(result.failure, 'not within 0.5 s');
    assert.equal(result.ready, undefined);
    assert.equal(result.endpointChange, undefined);
    assert.ok((result.rss ?? 0) > 0);
    assert.deepEqual(processesNaming(path), []);
  });

  test('reports a program that ends', { skip }, async (context) => {
    const path = executable(context, '[ "$1" = --version ] && echo v1.2.3 && exit\nexit 3');
    const result = await measureSmall(identifyPeer(path), 20_000);
    assert.deepEqual(result, { services: 20, failure: 'ended with exit code 3' });
  });

  test('reports a program that overlooks a change', { skip }, async (context) => {
    const path = standIn(context, '--deaf');
    const result = await measureSmall(identifyPeer(path), 8000);
    assert.equal(result.failure, 'not within 8 s');
    assert.ok((result.ready ?? 0) > 0, 'it did answer');
    assert.equal(result.endpointChange, undefined);
  });
});
