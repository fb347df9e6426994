import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempDisposableSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ConfigWatcher } from '../../../../src/agent/config/watch-config.ts';
import type { Clock } from '../../../../src/core/clock.ts';

const SETTLE_MS = 100;
const POLL_MS = 5000;

/** A clock whose timers run when the test says so. */
class TestClock implements Clock {
  readonly #timers = new Set<{ readonly ms: number; readonly run: () => void }>();
  #onTimer = (): void => {};

  now(): number {
    return 0;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { ms, run };
    this.#timers.add(timer);
    this.#onTimer();
    return () => this.#timers.delete(timer);
  }

  has(ms: number): boolean {
    return [...this.#timers].some((timer) => timer.ms === ms);
  }

  /** Runs the timer of this length; waits until there is one. */
  async fire(ms: number): Promise<void> {
    if (!this.has(ms))
      await new Promise<void>((resolve) => {
        this.#onTimer = () => {
          if (this.has(ms)) resolve();
        };
      });
    // What they start is for the next call.
    const due = [...this.#timers].filter((timer) => timer.ms === ms);
    for (const timer of due) this.#timers.delete(timer);
    for (const timer of due) timer.run();
  }
}

interface World {
  readonly folder: string;
  readonly path: string;
  readonly clock: TestClock;
  /** How often a change was told. */
  readonly count: () => number;
  /** Lets time pass until the watcher has told the change that was made. */
  readonly change: () => Promise<void>;
  readonly watcher: ConfigWatcher;
}

function follow(context: TestContext, folder: string, path: string, loaded: string): World {
  const clock = new TestClock();
  const told: true[] = [];
  const watcher = new ConfigWatcher({ path, loaded, onChange: () => told.push(true), clock });
  context.after(() => {
    watcher.close();
  });
  const change = async (): Promise<void> => {
    const before = told.length;
    while (told.length === before) await clock.fire(SETTLE_MS);
  };
  return { folder, path, clock, count: () => told.length, change, watcher };
}

/** A file that says `one` and was loaded. */
async function withFile(context: TestContext): Promise<World> {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'switchyard-'));
  context.after(() => {
    folder.remove();
  });
  const path = join(folder.path, 'config.conf');
  writeFileSync(path, 'one');
  const world = follow(context, folder.path, path, 'one');
  // The first look, in case it changed since it was loaded.
  await world.clock.fire(SETTLE_MS);
  assert.equal(world.count(), 0);
  return world;
}

test('a file that is written, replaced, or deleted and created is noticed, once each', async (context) => {
  const { path, folder, change, count } = await withFile(context);
  writeFileSync(path, 'two');
  await change();
  const other = join(folder, 'other');
  writeFileSync(other, 'three');
  renameSync(other, path);
  await change();
  rmSync(path);
  writeFileSync(path, 'four');
  await change();
  writeFileSync(path, '');
  await change();
  assert.equal(count(), 4);
});

test('what does not change the content is not told', async (context) => {
  const { path, folder, clock, change, count } = await withFile(context);
  utimesSync(path, 1, 1);
  await clock.fire(SETTLE_MS);
  writeFileSync(path, 'one');
  await clock.fire(SETTLE_MS);
  rmSync(path);
  await clock.fire(SETTLE_MS);
  const other = join(folder, 'other');
  writeFileSync(other, 'one');
  renameSync(other, path);
  await clock.fire(SETTLE_MS);
  assert.equal(count(), 0);
  writeFileSync(path, 'two');
  await change();
  assert.equal(count(), 1);
});

test('a half-written file is not read before it has settled', async (context) => {
  const { path, clock, change, count } = await withFile(context);
  writeFileSync(path, 'tw');
  await new Promise<void>((resolve) => {
    const poll = (): void => {
      if (clock.has(SETTLE_MS)) resolve();
      else setImmediate(poll);
    };
    poll();
  });
  writeFileSync(path, 'two');
  await change();
  assert.equal(count(), 1);
});

test('other files of the folder do not matter', async (context) => {
  const { folder, path, clock, change, count } = await withFile(context);
  writeFileSync(join(folder, 'other'), 'x');
  // Events come in order: when the one of this file is there, the other one was, too.
  utimesSync(path, 1, 1);
  await clock.fire(SETTLE_MS);
  assert.equal(count(), 0);
  writeFileSync(path, 'two');
  await change();
  assert.equal(count(), 1);
});

test('a ConfigMap volume that swaps its link is noticed', async (context) => {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'switchyard-'));
  context.after(() => {
    folder.remove();
  });
  const publish = (version: string): void => {
    mkdirSync(join(folder.path, version));
    writeFileSync(join(folder.path, version, 'config.conf'), version);
    symlinkSync(version, join(folder.path, '..data_tmp'));
    renameSync(join(folder.path, '..data_tmp'), join(folder.path, '..data'));
  };
  publish('..v1');
  const path = join(folder.path, 'config.conf');
  symlinkSync('..data/config.conf', path);
  const { change, count } = follow(context, folder.path, path, '..v1');
  publish('..v2');
  await change();
  publish('..v3');
  await change();
  assert.equal(count(), 2);
});

test('a change between loading and watching is noticed', async (context) => {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'switchyard-'));
  context.after(() => {
    folder.remove();
  });
  const path = join(folder.path, 'config.conf');
  writeFileSync(path, 'two');
  const { change, count } = follow(context, folder.path, path, 'one');
  await change();
  assert.equal(count(), 1);
});

test('a file whose folder cannot be watched is read from time to time', async (context) => {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'switchyard-'));
  context.after(() => {
    folder.remove();
  });
  const below = join(folder.path, 'below');
  const path = join(below, 'config.conf');
  const { clock, change, count } = follow(context, folder.path, path, 'one');
  await clock.fire(SETTLE_MS);
  assert.equal(count(), 0);
  mkdirSync(below);
  writeFileSync(path, 'two');
  assert.ok(!clock.has(SETTLE_MS));
  await clock.fire(POLL_MS);
  await change();
  // By now the folder can be watched: no poll is needed any more.
  writeFileSync(path, 'three');
  await change();
  assert.equal(count(), 2);
});

test('a file that cannot be read any more is a change, and so is its return', async (context) => {
  const { path, change, count } = await withFile(context);
  writeFileSync(path, 'a\0b');
  await change();
  writeFileSync(path, 'one');
  await change();
  assert.equal(count(), 2);
});

test('nothing is told after it was closed', async (context) => {
  const { path, watcher, clock, count } = await withFile(context);
  writeFileSync(path, 'two');
  watcher.close();
  assert.ok(!clock.has(SETTLE_MS));
  assert.ok(!clock.has(POLL_MS));
  assert.equal(count(), 0);
});
