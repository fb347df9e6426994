/** A program that is measured from outside: by its log, its exit and what /proc says of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { now } from './statistics.ts';

/** What a program uses, or has used. */
export interface Usage {
  /** Memory now and at most, in MB. */
  readonly rss: number;
  readonly peakRss: number;
  /** Processor time since the start, of the program and of those it started and waited for. */
  readonly processorMs: number;
  /** Time in which its main thread could have run, but others had the processors. */
  readonly waitedMs: number;
}

/** Characters of the log that are kept, for those who ask why it ended. */
const LOG_KEPT = 2000;
/** USER_HZ, the unit of times in /proc: 100 on all architectures that Node.js runs on. */
const TICKS_PER_SECOND = 100;

/** The running program. It leads a process group of its own, so that the programs it starts go with it. */
export class BlackBox {
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  readonly startedAt = now();
  /** The end of what it wrote to standard error. */
  log = '';
  /** How it ended. */
  ending: string | undefined;

  /** Starts it. `environment` is added to that of this process. */
  constructor(
    namespace: string,
    command: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ) {
    // `ip` replaces itself with the program: the process id is the program's.
    this.#child = spawn('ip', ['netns', 'exec', namespace, ...command], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...environment },
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.log = (this.log + text).slice(-LOG_KEPT);
      for (const look of this.#waiting) look();
    });
    this.#child.once('exit', (code, signal) => {
      this.ending = `ended with ${signal ?? `exit code ${code}`}`;
      for (const look of this.#waiting) look();
    });
  }

  /**
   * Resolves when the log contains the text, with that time. Rejects when the program ends before, or takes longer than
   * `limitMs`.
   */
  async logged(text: string, limitMs: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const look = (): void => {
      if (this.log.includes(text)) resolve(now());
      else if (this.ending !== undefined) reject(this.#failure(this.ending));
    };
    const timer = setTimeout(() => {
      reject(this.#failure(`did not say ${text} within ${limitMs / 1000} s`));
    }, limitMs);
    this.#waiting.add(look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(look);
    });
  }

  /** What it uses. Throws when it has ended. */
  usage(): Usage {
    if (this.ending !== undefined) throw this.#failure(this.ending);
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const megabytes = (field: string): number =>
      (Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) * 1024) / 1e6;
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    // utime, stime, cutime and cstime: fields 14 to 17; the second one is in parentheses and may contain spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    // Documentation/scheduler/sched-stats.rst: time on a processor and time waiting for one, in nanoseconds.
    const [, waited] = readFileSync(`/proc/${this.#child.pid}/schedstat`, 'utf8').split(' ');
    return {
      rss: megabytes('VmRSS'),
      peakRss: megabytes('VmHWM'),
      processorMs: (ticks / TICKS_PER_SECOND) * 1000,
      waitedMs: Number(waited) / 1e6,
    };
  }

  killNow(): void {
    if (this.#child.pid === undefined || this.ending !== undefined) return;
    process.kill(-this.#child.pid, 'SIGKILL');
  }

  async kill(): Promise<void> {
    if (this.ending !== undefined) return;
    const exit = once(this.#child, 'exit');
    this.killNow();
    await exit;
  }

  #failure(what: string): Error {
    return new Error(`the program ${what}:\n${this.log}`);
  }
}
