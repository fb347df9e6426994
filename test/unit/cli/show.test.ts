import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Output, TerminalSize } from '../../../src/cli/output.ts';
import { type Lines, type WatchOptions, show, watch } from '../../../src/cli/show.ts';
import { FakeClock, turns } from '../agent/fakes.ts';

/** Notes what is written. */
class Written implements Output {
  readonly parts: string[] = [];
  readonly error = assert.fail;
  readonly terminal: () => TerminalSize | undefined;
  readonly drained: () => Promise<void>;

  constructor(terminal?: TerminalSize, drained: () => Promise<void> = async () => undefined) {
    this.terminal = () => terminal;
    this.drained = drained;
  }

  readonly out = (text: string): void => {
    this.parts.push(text);
  };

  get text(): string {
    return this.parts.join('');
  }
}

async function* failing(): AsyncGenerator<string> {
  yield 'a';
  throw new Error('no kernel');
}

/** The lines of one call after the other. */
function blocks(...all: readonly (readonly string[])[]): Lines {
  let calls = 0;
  return async function* () {
    yield* all[calls++] ?? [];
  };
}

/** Resolves some time after so many parts were written. */
async function written({ parts }: Written, count: number): Promise<void> {
  while (parts.length < count) await turns();
  await turns();
}

function watching(
  lines: Lines,
  output: Output,
  separator: WatchOptions['separator'],
): { readonly clock: FakeClock; readonly stop: AbortController; readonly done: Promise<void> } {
  const clock = new FakeClock();
  const stop = new AbortController();
  return { clock, stop, done: watch(lines, output, { clock, signal: stop.signal, separator }) };
}

test('lines are written in parts, and each part waits for the reader', async () => {
  let read = 0;
  let { promise: ready, resolve: open } = Promise.withResolvers<undefined>();
  const output = new Written(undefined, async () => {
    await ready;
  });
  const line = 'x'.repeat(99);
  const lines: Lines = async function* () {
    for (; read < 10_000; read++) yield line;
  };
  const done = show(lines, output);
  // Reading stops by itself: nothing else is to happen until the reader is ready.
  await written(output, 1);
  const atOnce = read;
  assert.ok(atOnce < 1000, `${atOnce} lines were read at once`);
  assert.equal(output.parts.length, 1);
  open(undefined);
  ({ promise: ready, resolve: open } = Promise.withResolvers<undefined>());
  await written(output, 2);
  assert.equal(output.parts.length, 2);
  assert.ok(read <= 2 * atOnce + 1);
  open(undefined);
  ready = Promise.resolve(undefined);
  await done;
  assert.equal(output.text, `${line}\n`.repeat(10_000));
});

test('without a terminal block follows block, every second, until it is stopped', async () => {
  const output = new Written();
  const { clock, stop, done } = watching(blocks(['a', 'b'], ['c'], ['d']), output, '');
  await clock.pass(999);
  assert.equal(output.text, 'a\nb\n');
  await clock.pass(1);
  assert.equal(output.text, 'a\nb\n\nc\n');
  stop.abort();
  await done;
  await clock.pass(5000);
  assert.equal(output.text, 'a\nb\n\nc\n');
});

test('blocks are separated as their format wants it', async () => {
  for (const [separator, expected] of [
    ['---', 'a\n---\nb\n'],
    [undefined, 'a\nb\n'],
  ] as const) {
    const output = new Written();
    const { clock, stop, done } = watching(blocks(['a'], ['b']), output, separator);
    await clock.pass(1000);
    stop.abort();
    await done;
    assert.equal(output.text, expected);
  }
});

test('on a terminal the screen is written over, with what fits on it', async () => {
  const output = new Written({ rows: 4, columns: 5 });
  const read: string[] = [];
  const lines: Lines = async function* () {
    for (const line of ['1234567', 'two\nthree', 'four', 'five']) {
      read.push(line);
      yield line;
    }
  };
  const { clock, stop, done } = watching(lines, output, '');
  await clock.pass(1000);
  stop.abort();
  await done;
  const screen = '\u001B[H12345\u001B[K\ntwo\u001B[K\nthree\u001B[K\n\u001B[J';
  assert.deepEqual(output.parts, [screen, screen]);
  assert.ok(!read.includes('four'), 'nothing is read that has no room');
});

test('a long block ends in the middle when it is stopped', async () => {
  const output = new Written();
  const stop = new AbortController();
  const lines: Lines = async function* () {
    for (let count = 0; ; count++) {
      if (count === 10) stop.abort();
      yield 'line';
    }
  };
  await watch(lines, output, { clock: new FakeClock(), signal: stop.signal, separator: '' });
  assert.equal(output.text, '');
});

test('a failure ends it', async () => {
  await assert.rejects(watching(failing, new Written(), '').done, /no kernel/);
});
