/** `npm run bench -- agent`: the bundled executable is measured from outside, and nothing of it stays. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { DaemonResults } from '../../bench/daemon/results.ts';
import { labReason } from '../lab/lab.ts';
import { namespacesMade } from '../lab/namespaces.ts';

const skip = labReason() ?? false;
const bench = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));
const bundle = fileURLToPath(new URL('../../dist/bin/switchyard.js', import.meta.url));

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-bench-test-'));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

function run(args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [bench, 'agent', ...args], { encoding: 'utf8' });
}

function namespacesOf(pid: number): readonly string[] {
  const all = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  return all.filter((name) => name.startsWith(`${namespacesMade}${pid}-`));
}

describe('the bench of the agent', () => {
  for (const [args, reason] of [
    [['--services', 'many'], /--services: many is not a whole number from 1 to 60000/],
    [['--seconds', '60', '--minutes', '1'], /--minutes and --seconds say the same/],
    [['--rate', '1000', '--minutes', '60'], /only 262144 changes can be told apart/],
    [['--sizes', '10'], /--sizes/],
  ] as const) {
    test(`refuses ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = run(args);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.match(stderr, reason);
      assert.match(stderr, /npm run bench -- agent \[options\]/);
    });
  }

  test('measures starts, restarts and changes, and reports them', { skip }, (context) => {
    const json = join(folderFor(context), 'results.json');
    const size = ['--services', '40', '--endpoints', '3', '--rate', '20', '--seconds', '2'];
    const options = ['--quick', ...size, '--bundle', bundle, '--json', json];
    const { pid, status, stdout, stderr } = run(options);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /40 Services with 3 endpoints/);
    assert.match(stdout, /process start to all programmed, ms +[\d.,]+ +[\d.,]+\n/);
    assert.match(stdout, /API event to kernel, p50 +<= 5 ms +- +not in this run/);

    const text = readFileSync(json, 'utf8');
    assert.ok(!text.includes(bundle), 'results are published without paths');
    const { start, restart, churn, commandLine } = JSON.parse(text) as DaemonResults;
    assert.equal(
      commandLine,
      'npm run bench -- agent --services 40 --endpoints 3 --rate 20 --seconds 2 --quick',
    );
    for (const { ms, cpuMs, waitedMs, peakRss } of [start, restart]) {
      assert.equal(ms.samples, 1);
      assert.ok(ms.p50 > 50, 'a process does not start in no time');
      assert.ok(cpuMs.p50 > 50);
      assert.ok(waitedMs.p50 >= 0 && waitedMs.p50 < ms.p50, `${waitedMs.p50} ms of ${ms.p50}`);
      assert.ok(peakRss > 40 && peakRss < 250, `${peakRss} MB`);
    }
    assert.ok(churn.changes > 20 && churn.changes < 120, `${churn.changes} changes`);
    assert.equal(churn.latency.samples, churn.changes);
    assert.ok(churn.latency.min > 0, 'no change arrives before it was written');
    assert.ok(churn.transactions > 0 && churn.transactions <= churn.changes);
    assert.ok(churn.processorShare > 0 && churn.processorShare < 2);
    assert.ok(churn.waitedShare >= 0 && churn.waitedShare < 1);
    assert.ok(churn.rss.first > 40 && churn.rss.peak >= churn.rss.last);
    assert.deepEqual(namespacesOf(pid), []);
  });

  test('tells why the executable ended', { skip }, (context) => {
    const failing = join(folderFor(context), 'failing.js');
    writeFileSync(failing, "process.stderr.write('no such thing\\n'); process.exitCode = 3;\n");
    const { pid, status, stdout, stderr } = run([
      '--quick',
      '--services',
      '1',
      '--bundle',
      failing,
    ]);
    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /the program ended with exit code 3:\nno such thing/);
    assert.deepEqual(namespacesOf(pid), []);
  });
});
