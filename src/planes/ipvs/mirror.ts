/**
 * What is wanted in the kernel and what is there, thing by thing. Several may want the same thing; it is there
 * as long as one does.
 */

interface Wanted<T> {
  readonly value: T;
  readonly count: number;
}

/** What one {@link Mirror.settle} has to write. */
export interface MirrorChanges<T> {
  /** Things to add, or to add again because they are there in another state. */
  readonly added: readonly T[];
  readonly deleted: readonly T[];
}

/** Follows things by key. Costs depend on what changes, not on how much there is. */
export class Mirror<T> {
  readonly #wanted = new Map<string, Wanted<T>>();
  readonly #held = new Map<string, T>();
  readonly #touched = new Set<string>();
  readonly #isSame: (one: T, other: T) => boolean;

  /** @param isSame Whether two things of one key are in the same state. */
  constructor(isSame: (one: T, other: T) => boolean) {
    this.#isSame = isSame;
  }

  /** Somebody (more) wants it. The state wanted last counts. */
  retain(key: string, value: T): void {
    this.#wanted.set(key, { value, count: (this.#wanted.get(key)?.count ?? 0) + 1 });
    this.#touched.add(key);
  }

  /** One of those who wanted it does no more. */
  release(key: string): void {
    const wanted = this.#wanted.get(key);
    if (wanted === undefined) return;
    if (wanted.count > 1) this.#wanted.set(key, { ...wanted, count: wanted.count - 1 });
    else this.#wanted.delete(key);
    this.#touched.add(key);
  }

  /** True when it was there after the last {@link settle}, or was found there since. */
  holds(key: string): boolean {
    return this.#held.has(key);
  }

  /** Everything that is there. */
  held(): IteratorObject<T> {
    return this.#held.values();
  }

  /** How much is there. */
  get size(): number {
    return this.#held.size;
  }

  /** True when {@link settle} has nothing to do. */
  get isSettled(): boolean {
    return this.#touched.size === 0;
  }

  /** Takes what the kernel has for what is there, in place of what was known. */
  adopt(found: Iterable<readonly [key: string, value: T]>): void {
    this.#held.clear();
    for (const [key, value] of found) {
      this.#held.set(key, value);
      this.#touched.add(key);
    }
    for (const key of this.#wanted.keys()) this.#touched.add(key);
  }

  /**
   * What must be written so that what is wanted is there; taken for written.
   * @param most Things to look at now; the others come with the next call.
   */
  settle(most: number): MirrorChanges<T> {
    const added: T[] = [];
    const deleted: T[] = [];
    for (const key of this.#touched.values().take(most)) {
      this.#touched.delete(key);
      const wanted = this.#wanted.get(key)?.value;
      const held = this.#held.get(key);
      if (wanted === undefined) {
        if (held === undefined) continue;
        deleted.push(held);
        this.#held.delete(key);
      } else if (held === undefined || !this.#isSame(held, wanted)) {
        added.push(wanted);
        this.#held.set(key, wanted);
      }
    }
    return { added, deleted };
  }
}
