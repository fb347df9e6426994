/** A child process whose lines are kept and can be waited for. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { monotonicMs } from './clock.ts';
import { DemoFailure } from './failure.ts';
import { parseLogLine, type LogLine } from './log-line.ts';

/** Lines shown when something goes wrong. */
const linesShown = 15;

export class WatchedProcess {
  readonly #title: string;
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #ended: Promise<void>;
  #onLine: ((line: LogLine) => void) | undefined;
  #gone: string | undefined;

  private constructor(title: string, child: ChildProcess) {
    this.#title = title;
    this.#child = child;
    const ended = Promise.withResolvers<undefined>();
    this.#ended = ended.promise;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (text) => {
        const line = parseLogLine(this.#lines.length, text, monotonicMs());
        this.#lines.push(line);
        this.#onLine?.(line);
        this.#wake();
      });
    }
    const lost = (reason: string): void => {
      this.#gone ??= reason;
      this.#wake();
      ended.resolve(undefined);
    };
    child.on('error', (error) => {
      lost(`could not be started: ${error.message}`);
    });
    child.on('close', (code, signal) => {
      lost(`ended with ${signal ?? `exit code ${code}`}`);
    });
  }

  /** Starts a command. A Ctrl-C on the terminal does not reach it: the demo decides when it ends. */
  static start(title: string, command: string, args: readonly string[]): WatchedProcess {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    return new WatchedProcess(title, spawn(command, args, { stdio: [...stdio], detached: true }));
  }

  /** Number of lines so far. */
  get lineCount(): number {
    return this.#lines.length;
  }

  /** Its latest lines, for error messages. */
  get tail(): string {
    return this.#lines
      .slice(-linesShown)
      .map(({ text }) => `    ${text}\n`)
      .join('');
  }

  /** Lines from number `from` on that `matches` accepts. */
  linesFrom(from: number, matches: (line: LogLine) => boolean): readonly LogLine[] {
    return this.#lines.slice(from).filter(matches);
  }

  /**
   * The first line from number `from` on that `matches` accepts, also if it came already. Throws a
   * {@link DemoFailure} when the process ends or `timeoutMs` pass first; `what` says what was waited for.
   */
  async line(
    from: number,
    what: string,
    matches: (line: LogLine) => boolean,
    timeoutMs: number,
  ): Promise<LogLine> {
    const timeout = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const [found] = this.linesFrom(from, matches);
      if (found !== undefined) return found;
      if (this.#gone !== undefined) throw this.#failure(this.#gone);
      if (timeout.aborted) throw this.#failure(`did not say within ${timeoutMs} ms ${what}`);
      await this.#news(timeout);
    }
  }

  /** Calls `onLine` for each line from now on. */
  follow(onLine: (line: LogLine) => void): void {
    this.#onLine = onLine;
  }

  /** Sends a signal and waits until the process is gone; one that does not go is killed. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), 3000);
    await this.#ended;
    clearTimeout(killer);
  }

  /** Kills the process without waiting, for the last moments of this one. */
  killNow(): void {
    this.#child.kill('SIGKILL');
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  async #news(timeout: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = (): void => {
      resolve(undefined);
    };
    this.#waiting.add(wake);
    timeout.addEventListener('abort', wake, { once: true });
    await promise;
    timeout.removeEventListener('abort', wake);
    this.#waiting.delete(wake);
  }

  #failure(reason: string): DemoFailure {
    return new DemoFailure('SY_DEMO_CLAIM', `${this.#title} ${reason}\n${this.tail}`.trimEnd());
  }
}
