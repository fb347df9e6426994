/** Service, EndpointSlice and Node objects from YAML files on disk, watched. */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { ManifestError } from './errors.ts';
import {
  type ManifestPlace,
  errorCode,
  isManifest,
  listManifests,
  locateManifests,
  readManifest,
  stampOf,
} from './folder.ts';
import { Ledger, type LedgerNews } from './ledger.ts';

/** What one look at the changed files brought. */
export interface ManifestUpdate extends LedgerNews {
  /** When the first of these changes was noticed, on the clock of `performance.now()`. */
  readonly noticedAt: number;
}

/** How to follow manifests. */
export interface ManifestSourceOptions {
  /** A file, or a folder whose `*.yaml`, `*.yml` and `*.json` are read; subfolders are not. */
  readonly path: string;
  /** Called with all objects before {@link ManifestSource.open} resolves, then with each change. */
  readonly onUpdate: (update: ManifestUpdate) => void;
  /** A file is read once nothing has happened to it for this long, in milliseconds. */
  readonly settleMs?: number;
  /**
   * What would remove objects, or is wrong, counts only after this many further milliseconds without an
   * event: editors truncate, rename and delete before they write.
   */
  readonly confirmMs?: number;
  /** How often everything is looked at in case an event was lost, in milliseconds. */
  readonly rescanMs?: number;
}

interface Watched {
  /** See {@link stampOf}; `undefined` when there is no file. */
  stamp: string | undefined;
  timer: NodeJS.Timeout | undefined;
  /** Time of the first event that was not dealt with yet. */
  noticedAt: number | undefined;
}

const SETTLE_MS = 4;
const CONFIRM_MS = 20;
const RESCAN_MS = 5000;
/** Files looked at in one go by a rescan, about 2 ms. */
const RESCAN_CHUNK = 250;

/** Reads manifests and follows their changes until it is closed. */
export class ManifestSource implements Disposable {
  readonly #place: ManifestPlace;
  readonly #options: Required<ManifestSourceOptions>;
  readonly #ledger: Ledger;
  readonly #files = new Map<string, Watched>();
  /** Names to read, with `true` when what would remove objects counts. */
  readonly #queue = new Map<string, boolean>();
  #working: Promise<void> | undefined;
  #watcher: FSWatcher | undefined;
  /** Device and inode of the watched folder. */
  #folderId = '';
  #folderFault = '';
  #rescanTimer: NodeJS.Timeout | undefined;
  #rescanning = Promise.resolve();
  #closed = false;

  private constructor(options: ManifestSourceOptions, place: ManifestPlace) {
    this.#options = {
      settleMs: SETTLE_MS,
      confirmMs: CONFIRM_MS,
      rescanMs: RESCAN_MS,
      ...options,
    };
    this.#place = place;
    this.#ledger = new Ledger(place.folder, async () => setImmediate());
  }

  /**
   * Reads everything, reports it, and starts to watch.
   *
   * Rejects with a {@link ManifestError} when there is nothing at the path, or it cannot be read or watched.
   */
  static async open(options: ManifestSourceOptions): Promise<ManifestSource> {
    const place = locateManifests(options.path);
    const source = new ManifestSource(options, place);
    try {
      // Watched before it is read, so that no change falls between the two.
      source.#watch();
      for (const name of listManifests(place)) source.#enqueue(name, true);
    } catch (error) {
      source.close();
      throw unusable(options.path, errorCode(error));
    }
    await source.#working;
    source.#scheduleRescan(source.#options.rescanMs);
    return source;
  }

  /** Stops watching. Nothing is reported any more; a read that is under way ends by itself. */
  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    clearTimeout(this.#rescanTimer);
    for (const file of this.#files.values()) clearTimeout(file.timer);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #watch(): void {
    this.#watcher?.close();
    this.#folderId = folderId(this.#place);
    this.#watcher = watch(this.#place.folder, (_event, name) => this.#onEvent(name));
    // A folder that goes away is found by the next rescan.
    this.#watcher.on('error', () => this.#scheduleRescan(0));
  }

  #onEvent(name: string | null): void {
    if (this.#closed) return;
    // ConfigMap volumes change by replacing the symbolic link `..data` that all files point through.
    if (name === null || name.startsWith('..')) this.#scheduleRescan(this.#options.settleMs);
    else if (isManifest(this.#place, name)) this.#touch(name);
  }

  #entry(name: string): Watched {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const fresh = { stamp: undefined, timer: undefined, noticedAt: undefined };
    this.#files.set(name, fresh);
    return fresh;
  }

  #touch(name: string): void {
    this.#entry(name).noticedAt ??= performance.now();
    this.#schedule(name, this.#options.settleMs, false);
  }

  #schedule(name: string, delay: number, final: boolean): void {
    if (this.#closed) return;
    const file = this.#entry(name);
    clearTimeout(file.timer);
    file.timer = setTimeout(() => {
      file.timer = undefined;
      this.#enqueue(name, final);
    }, delay);
  }

  #enqueue(name: string, final: boolean): void {
    this.#queue.set(name, final || this.#queue.get(name) === true);
    this.#working ??= this.#work();
  }

  /** Reads what is queued, one file after the other, and reports all of it together. */
  async #work(): Promise<void> {
    while (this.#queue.size > 0 && !this.#closed) {
      const batch = [...this.#queue];
      this.#queue.clear();
      let noticedAt = performance.now();
      for (const [name, final] of batch) {
        noticedAt = Math.min(noticedAt, await this.#read(name, final));
      }
      this.#report({ ...this.#ledger.news(), noticedAt });
    }
    this.#working = undefined;
  }

  /** Returns when the change was noticed. */
  async #read(name: string, final: boolean): Promise<number> {
    const file = this.#entry(name);
    const noticedAt = file.noticedAt ?? performance.now();
    file.noticedAt = undefined;
    const read = await readManifest(this.#place, name);
    file.stamp = read.kind === 'absent' ? undefined : read.stamp;
    // A timer that runs belongs to a newer event: a write may be under way, and will be looked at.
    const done = await this.#ledger.take(name, read, final && file.timer === undefined);
    if (!done && file.timer === undefined) {
      file.noticedAt ??= noticedAt;
      this.#schedule(name, this.#options.confirmMs, true);
    } else if (done && read.kind === 'absent' && file.timer === undefined) {
      this.#files.delete(name);
    }
    return noticedAt;
  }

  #report(update: ManifestUpdate): void {
    if (this.#closed) return;
    const { changes, problems, ignored } = update;
    if (changes.length + problems.length + ignored.length > 0) this.#options.onUpdate(update);
  }

  #scheduleRescan(delay: number): void {
    if (this.#closed) return;
    clearTimeout(this.#rescanTimer);
    this.#rescanTimer = setTimeout(() => {
      this.#rescanTimer = undefined;
      this.#rescanning = this.#rescanning.then(async () => this.#rescan());
    }, delay);
  }

  async #rescan(): Promise<void> {
    try {
      if (folderId(this.#place) !== this.#folderId) this.#watch();
      const names = new Set([...listManifests(this.#place), ...this.#files.keys()]);
      this.#folderFault = '';
      let count = 0;
      for (const name of names) {
        if (++count % RESCAN_CHUNK === 0) await setImmediate();
        const file = this.#entry(name);
        if (file.timer === undefined && stampOf(this.#place, name) !== file.stamp)
          this.#touch(name);
      }
    } catch (error) {
      this.#reportFolder(errorCode(error));
    }
    if (this.#rescanTimer === undefined) this.#scheduleRescan(this.#options.rescanMs);
  }

  #reportFolder(code: string): void {
    if (code === this.#folderFault) return;
    this.#folderFault = code;
    this.#folderId = '';
    const message = `the folder cannot be read (${code})`;
    const problem = { line: undefined, field: '', message, object: undefined, lastGoodStays: true };
    const problems = [{ file: this.#place.folder, ...problem }];
    this.#report({ changes: [], problems, ignored: [], noticedAt: performance.now() });
  }
}

function folderId({ folder }: ManifestPlace): string {
  const { dev, ino } = statSync(folder, { bigint: true });
  return `${dev}:${ino}`;
}

function unusable(path: string, code: string): ManifestError {
  const watches = code === 'ENOSPC' || code === 'EMFILE';
  const advice = watches
    ? 'raise the limits fs.inotify.max_user_watches and fs.inotify.max_user_instances'
    : 'check its permissions';
  const message = `Cannot ${watches ? 'watch' : 'read'} ${path} (${code}): ${advice}.`;
  return new ManifestError('SY_MANIFESTS_UNREADABLE', message);
}
