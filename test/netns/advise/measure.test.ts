/** `switchyard advise --measure` on the real kernel: its figures, and what is left when it is ended. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Results } from '../../../bench/results.ts';
import type { Advice } from '../../../src/tools/advise/advise.ts';
import type { ModeOutcome } from '../../../src/tools/advise/measure/results.ts';
import { labReason } from '../../lab/lab.ts';

const run = promisify(execFile);

const ROOT = join(import.meta.dirname, '../../..');
const PROGRAM = ['src/cli/main.ts', 'advise', '--measure'] as const;
/** Two runs on a machine that does other things, too. */
const AGREEMENT = 4;
const PATIENCE_MS = 10_000;

async function node(args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, args, { cwd: ROOT, maxBuffer: 16 << 20 });
  return stdout;
}

/** Advice with a measurement. */
async function measured(...args: readonly string[]): Promise<Required<Advice>> {
  return JSON.parse(await node([...PROGRAM, ...args, '-o', 'json'])) as Required<Advice>;
}

function nftablesIn({ measured: found }: Advice): ModeOutcome {
  const outcome = found?.modes.find(({ name }) => name === 'nftables');
  assert.ok(outcome);
  return outcome;
}

function agree(what: string, one: number | undefined, other: number | undefined): void {
  assert.ok(one !== undefined && other !== undefined, `${what} was not measured`);
  const ratio = Math.max(one / other, other / one);
  assert.ok(ratio < AGREEMENT, `${what}: ${one} and ${other}`);
}

/** The process namespace that the children of a process are in. */
function childrenNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid_for_children`);
  } catch {
    return undefined;
  }
}

/** Processes in a process namespace. */
function processesIn(namespace: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/ns/pid`) === namespace;
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
}

/** Resolves as soon as a value is there. */
async function until<T>(what: string, look: () => T | undefined): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = look();
    if (value !== undefined) return value;
    assert.ok(performance.now() < deadline, `waited in vain for ${what}`);
    await setTimeout(10);
  }
}

/** Starts a measurement; resolves when it is under way, to it and the process namespace it happens in. */
async function start(): Promise<{ readonly child: ChildProcess; readonly namespace: string }> {
  const child = spawn(process.execPath, [...PROGRAM, '--services', '5000'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await once(createInterface({ input: child.stderr }), 'line');
  const namespace = await until('a process namespace of its own', () => {
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
    const found = childrenNamespace(Number(children.trim().split(' ')[0]));
    return found === childrenNamespace(process.pid) ? undefined : found;
  });
  await until('processes in it', () => (processesIn(namespace).length > 1 ? true : undefined));
  return { child, namespace };
}

describe('advise --measure', { skip: labReason() ?? false }, () => {
  it('measures 1,000 Services, and npm run bench measures the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-measure-'));
    try {
      const advice = await measured('--services', '1000', '--changes-per-second', '1');
      const file = join(folder, 'bench.json');
      await node(['bench/main.ts', '--quick', '--json', file]);
      const bench = JSON.parse(readFileSync(file, 'utf8')) as Results;

      const { plane, connect } = nftablesIn(advice);
      assert.ok(plane.usable);
      assert.ok((plane.change?.samples ?? 0) >= 50);
      const [size] = bench.plane;
      const connectTo = (rules: string, to: string): number | undefined =>
        bench.connect.find(
          (result) =>
            result.rules === rules && result.to === to && [0, 1000].includes(result.services),
        )?.microseconds.p50;
      agree('full load', plane.load.p50, size?.load.ms.p50);
      agree('one change', plane.change?.p50, size?.endpointChange.p50);
      agree('connect to the last', connect?.last.p50, connectTo('switchyard', 'last Service'));
      agree('no rules', advice.measured?.withoutRules?.p50, connectTo('none', 'no Service'));
      for (const { name, plane: other } of advice.measured?.modes ?? []) {
        assert.ok(other.usable || other.reasons.length > 0, name);
      }
      const keepsUp = advice.decisions.find(({ id }) => id === 'keeps-up');
      assert.deepEqual([keepsUp?.answer, keepsUp?.isAssumed], [true, false]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('measures the Services of manifests', async () => {
    const { measured: found, ...advice } = await measured('--manifests', 'examples/shop');
    assert.ok((found?.services ?? 0) > 0);
    const { plane, connect } = nftablesIn({ measured: found, ...advice });
    assert.ok(plane.usable && (plane.change?.samples ?? 0) >= 50);
    assert.ok(connect !== undefined);
  });

  it('leaves nothing behind when it is stopped with Ctrl-C, and says that it was', async () => {
    const { child, namespace } = await start();
    let said = '';
    child.stderr?.on('data', (text) => {
      said += String(text);
    });
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 1);
    assert.match(said, /SY_MEASURE_STOPPED: /);
    await until('the end of all of it', () =>
      processesIn(namespace).length === 0 ? true : undefined,
    );
  });

  it('leaves nothing behind when it is killed', async () => {
    const { child, namespace } = await start();
    child.kill('SIGKILL');
    await once(child, 'close');
    await until('the end of all of it', () =>
      processesIn(namespace).length === 0 ? true : undefined,
    );
  });
});
