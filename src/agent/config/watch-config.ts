/**
 * Tells when a configuration file says something else. Its folder is watched and not the file, so that
 * files put in its place are noticed: by editors, by `mv`, by ConfigMap volumes.
 */
import { type FSWatcher, existsSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { AgentError } from '../errors.ts';
import { readConfigFile } from './read-file.ts';

/** How to follow a configuration file. */
export interface ConfigWatchOptions {
  readonly path: string;
  /** What is in use: the text that was loaded. */
  readonly loaded: string;
  /** Called each time the file has come to say something else, which may be invalid. */
  readonly onChange: () => void;
  readonly clock: Clock;
  /** The file is read once nothing has happened to it for this long, in milliseconds. */
  readonly settleMs?: number;
  /** How often it is read in case an event was lost, or the folder cannot be watched, in milliseconds. */
  readonly pollMs?: number;
}

const SETTLE_MS = 100;
const POLL_MS = 5000;

/** Follows one file until it is closed. A file that is gone is no change: a new one may come. */
export class ConfigWatcher implements Disposable {
  readonly #options: Required<ConfigWatchOptions>;
  #known: string;
  #watcher: FSWatcher | undefined;
  #cancelSettle = (): void => {};
  #cancelPoll = (): void => {};
  #closed = false;

  /** Starts to watch. A change between loading and this call is noticed, too. */
  constructor(options: ConfigWatchOptions) {
    this.#options = { settleMs: SETTLE_MS, pollMs: POLL_MS, ...options };
    this.#known = options.loaded;
    this.#watch();
    this.#settle();
    this.#poll();
  }

  /** Nothing is told any more. */
  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    this.#cancelSettle();
    this.#cancelPoll();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #watch(): void {
    const { path } = this.#options;
    try {
      this.#watcher = watch(dirname(path), (_event, name) => {
        // In ConfigMap volumes, the file is a link through the link `..data`, which is replaced.
        if (name === null || name === basename(path) || name.startsWith('..')) this.#settle();
      });
      this.#watcher.on('error', () => this.#unwatch());
    } catch {
      this.#unwatch();
    }
  }

  /** Without a watch, the next poll finds changes and tries again. */
  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #settle(): void {
    if (this.#closed) return;
    const { clock, settleMs } = this.#options;
    this.#cancelSettle();
    this.#cancelSettle = clock.after(settleMs, () => this.#compare());
  }

  #poll(): void {
    const { clock, pollMs } = this.#options;
    this.#cancelPoll = clock.after(pollMs, () => {
      if (this.#watcher === undefined) this.#watch();
      this.#settle();
      this.#poll();
    });
  }

  #compare(): void {
    const content = readContent(this.#options.path);
    if (content === undefined || content === this.#known) return;
    this.#known = content;
    this.#options.onChange();
  }
}

/** What the file says, or why it says nothing; `undefined` when there is none. */
function readContent(path: string): string | undefined {
  try {
    return readConfigFile(path);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return existsSync(path) ? error.message : undefined;
  }
}
