/** Showing lines that may be very many: once, or again and again. */
import type { Clock } from '../core/clock.ts';
import type { Output } from './output.ts';

/** What is shown; read anew by each call. Lines are without their end. */
export type Lines = () => AsyncIterable<string>;

/** How {@link watch} shows. */
export interface WatchOptions {
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Line between two blocks where there is no terminal; `undefined` for none. */
  readonly separator: string | undefined;
}

const PERIOD_MS = 1000;
/** Characters that are written at once. */
const CHUNK = 64 * 1024;

/** ECMA-48: to the first character of the screen; erase the rest of the line; erase the rest of the screen. */
const [HOME, ERASE_LINE, ERASE_BELOW] = ['\u001B[H', '\u001B[K', '\u001B[J'];

/** Writes the lines as they come, at the speed of who reads them. */
export async function show(lines: Lines, output: Output, signal?: AbortSignal): Promise<void> {
  let chunk = '';
  for await (const line of lines()) {
    if (signal?.aborted === true) return;
    chunk += `${line}\n`;
    if (chunk.length < CHUNK) continue;
    output.out(chunk);
    chunk = '';
    await output.drained();
  }
  output.out(chunk);
}

/**
 * Shows the lines every second until the signal aborts: on a terminal in place, as many as it has room for; elsewhere
 * block after block.
 */
export async function watch(lines: Lines, output: Output, options: WatchOptions): Promise<void> {
  const { clock, signal, separator } = options;
  for (let isFirst = true; ; isFirst = false) {
    const size = output.terminal();
    if (size === undefined) {
      if (!isFirst && separator !== undefined) output.out(`${separator}\n`);
      await show(lines, output, signal);
    } else {
      // The last row is for the cursor.
      const screen = await firstLines(lines, size.rows - 1);
      const rows = screen.map((line) => `${line.slice(0, size.columns)}${ERASE_LINE}\n`);
      output.out(`${HOME}${rows.join('')}${ERASE_BELOW}`);
    }
    await pause(clock, signal);
    if (signal.aborted) return;
  }
}

async function firstLines(lines: Lines, count: number): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const text of lines()) {
    found.push(...text.split('\n'));
    if (found.length >= count) break;
  }
  return found.slice(0, count);
}

/** Resolves at the time of the next block, or when the signal aborts. */
async function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const end = (): void => {
    resolve(undefined);
  };
  const cancel = clock.after(PERIOD_MS, end);
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  await promise;
  signal.removeEventListener('abort', end);
  cancel();
}
