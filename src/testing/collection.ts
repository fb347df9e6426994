/** The objects of one resource, with their history: what etcd and the watch cache are to a real API server. */
import type { Resource } from './resources.ts';
import type { Version } from './version.ts';

/** One write. */
export interface Change {
  readonly revision: number;
  /** `undefined` when the object was deleted. */
  readonly current: Version | undefined;
  /** `undefined` when the object was created. */
  readonly previous: Version | undefined;
}

/** Called with each change in the order of revisions. */
export type Listener = (change: Change) => void;

export class Collection {
  readonly resource: Resource;
  readonly #historyLimit: number;
  readonly #current = new Map<string, Version>();
  readonly #listeners = new Set<Listener>();
  #history: Change[] = [];
  #forgotten = 0;
  /** Keys in order, and their versions, until a change makes them wrong. */
  #keys: readonly string[] | undefined;
  #list: readonly Version[] | undefined;
  /** The past that was asked for last: the pages of one list all ask for the same. */
  #past: { readonly revision: number; readonly list: readonly Version[] } | undefined;

  /** @param historyLimit How many changes are remembered. */
  constructor(resource: Resource, historyLimit: number) {
    this.resource = resource;
    this.#historyLimit = historyLimit;
  }

  /** Changes up to this revision are forgotten: watches can start here, and not before. */
  get forgotten(): number {
    return this.#forgotten;
  }

  get(key: string): Version | undefined {
    return this.#current.get(key);
  }

  /** All objects in the order of their keys. */
  list(): readonly Version[] {
    if (this.#list !== undefined) return this.#list;
    this.#keys ??= [...this.#current.keys()].toSorted();
    const list: Version[] = [];
    for (const key of this.#keys) {
      const version = this.#current.get(key);
      if (version !== undefined) list.push(version);
    }
    this.#list = list;
    return list;
  }

  /** All objects as they were at a revision that is not forgotten. */
  at(revision: number): readonly Version[] {
    if (this.#past?.revision === revision) return this.#past.list;
    const undone = new Map<string, Version | undefined>();
    // From the newest change back: what a key had before its first later change is what it had then.
    for (const { current, previous } of this.since(revision).toReversed()) {
      const key = current?.key ?? previous?.key;
      if (key !== undefined) undone.set(key, previous);
    }
    if (undone.size === 0) return this.list();
    const list = this.list().filter(({ key }) => !undone.has(key));
    for (const version of undone.values()) if (version !== undefined) list.push(version);
    list.sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#past = { revision, list };
    return list;
  }

  /** The changes after a revision that is not forgotten. */
  since(revision: number): readonly Change[] {
    let low = 0;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#history[middle]?.revision ?? 0) > revision) high = middle;
      else low = middle + 1;
    }
    return this.#history.slice(low);
  }

  /** Takes a change in and tells the listeners. */
  record(change: Change): void {
    const { current, previous } = change;
    if (current !== undefined) this.#current.set(current.key, current);
    else if (previous !== undefined) this.#current.delete(previous.key);
    if (current === undefined || previous === undefined) this.#keys = undefined;
    this.#list = undefined;
    if (previous !== undefined) {
      previous.json = undefined;
      previous.protobuf = undefined;
    }
    this.#history.push(change);
    if (this.#history.length > this.#historyLimit) {
      this.#forgotten = this.#history.shift()?.revision ?? this.#forgotten;
      this.#past = undefined;
    }
    for (const listener of this.#listeners) listener(change);
  }

  /** Puts versions in as they are, without history and without telling anyone. */
  load(versions: readonly Version[], revision: number): void {
    for (const version of versions) this.#current.set(version.key, version);
    this.#keys = undefined;
    this.#list = undefined;
    this.forget(revision);
  }

  /** Forgets all changes; `revision` is the newest there is. */
  forget(revision: number): void {
    this.#history = [];
    this.#forgotten = revision;
    this.#past = undefined;
  }

  /** Returns a function that ends the subscription. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
