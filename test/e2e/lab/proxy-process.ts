/** The real proxy as a process, and its log. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The program as it is developed. */
export const sourceProgram = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
/** The program as it is shipped, if it was built. */
export const builtProgram = fileURLToPath(
  new URL('../../../dist/bin/switchyard.js', import.meta.url),
);

/** A test fails when it waits longer for a line. */
const usualPatienceMs = 20_000;

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running proxy and its log. */
export class ProxyProcess {
  readonly lines: string[] = [];
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  readonly #patienceMs: number;
  #cursor = 0;
  #isOver = false;
  #wake = (): void => undefined;

  constructor(child: ChildProcess, patienceMs = usualPatienceMs) {
    this.#child = child;
    this.#patienceMs = patienceMs;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    if (child.stderr !== null) {
      createInterface({ input: child.stderr }).on('line', (line) => {
        this.lines.push(line);
        this.#wake();
      });
    }
    child.on('close', (code, signal) => {
      this.#isOver = true;
      this.#wake();
      resolve({ code, signal });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The next line that matches, behind the one that was waited for last. */
  async logged(pattern: RegExp): Promise<string> {
    return this.#find(pattern, () => {
      while (this.#cursor < this.lines.length) {
        const line = this.lines[this.#cursor++] ?? '';
        if (pattern.test(line)) return line;
      }
      return undefined;
    });
  }

  /** The first line that matches, wherever it is. For what may come before or after something else. */
  async told(pattern: RegExp): Promise<string> {
    return this.#find(pattern, () => this.lines.find((line) => pattern.test(line)));
  }

  /** Lines so far that match. */
  count(pattern: RegExp): number {
    return this.lines.filter((line) => pattern.test(line)).length;
  }

  /** Looks again with each line. */
  async #find(pattern: RegExp, find: () => string | undefined): Promise<string> {
    const deadline = AbortSignal.timeout(this.#patienceMs);
    deadline.addEventListener('abort', () => this.#wake());
    for (;;) {
      const line = find();
      if (line !== undefined) return line;
      if (this.#isOver || deadline.aborted)
        throw new Error(`the proxy did not log ${pattern} but:\n${this.lines.join('\n')}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
