/**
 * What is wanted in the kernel and what is there, thing by thing. Several may want the same thing; it is there
 * as long as one does.
 */

/** Follows things by key. Costs depend on what changes, not on how much there is. */
export class Mirror<T> {
  readonly #wanted = new Map<string, T>();
  /** How many want it, of things that more than one does. */
  readonly #shared = new Map<string, number>();
  readonly #held = new Map<string, T>();
  /** Things that may have to be added, and those that may have to be deleted. */
  readonly #touched = new Set<string>();
  readonly #unwanted = new Set<string>();
  readonly #isSame: (one: T, other: T) => boolean;

  /** @param isSame Whether two things of one key are in the same state. */
  constructor(isSame: (one: T, other: T) => boolean) {
    this.#isSame = isSame;
  }

  /** Somebody (more) wants it. The state wanted last counts. */
  retain(key: string, value: T): void {
    if (this.#wanted.has(key)) this.#shared.set(key, (this.#shared.get(key) ?? 1) + 1);
    this.#wanted.set(key, value);
    this.#touched.add(key);
  }

  /** One of those who wanted it does no more. */
  release(key: string): void {
    if (!this.#wanted.has(key)) return;
    const left = (this.#shared.get(key) ?? 1) - 1;
    if (left > 1) this.#shared.set(key, left);
    else this.#shared.delete(key);
    if (left > 0) return;
    this.#wanted.delete(key);
    this.#unwanted.add(key);
  }

  /** True when it was there after all was added and deleted, or was found there since. */
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

  /** True when nothing is left to add. */
  get isComplete(): boolean {
    return this.#touched.size === 0;
  }

  /** True when nothing is left to delete. */
  get isClean(): boolean {
    return this.#unwanted.size === 0;
  }

  /** Takes what the kernel has for what is there, in place of what was known. */
  adopt(found: Iterable<readonly [key: string, value: T]>): void {
    this.#held.clear();
    for (const [key, value] of found) {
      this.#held.set(key, value);
      if (!this.#wanted.has(key)) this.#unwanted.add(key);
    }
    for (const key of this.#wanted.keys()) this.#touched.add(key);
  }

  /**
   * Things to add, or to add again because they are there in another state; taken for added.
   * @param most Things to look at now; the others come with the next call.
   */
  additions(most: number): readonly T[] {
    const added: T[] = [];
    for (const key of taken(this.#touched, most)) {
      const wanted = this.#wanted.get(key);
      if (wanted === undefined) continue;
      const held = this.#held.get(key);
      if (held !== undefined && this.#isSame(held, wanted)) continue;
      this.#held.set(key, wanted);
      added.push(wanted);
    }
    return added;
  }

  /** Things to delete, as {@link additions}. To be asked when it is known that nobody comes to want them. */
  deletions(most: number): readonly T[] {
    const deleted: T[] = [];
    for (const key of taken(this.#unwanted, most)) {
      const held = this.#held.get(key);
      if (held === undefined || this.#wanted.has(key)) continue;
      this.#held.delete(key);
      deleted.push(held);
    }
    return deleted;
  }
}

function taken(keys: Set<string>, most: number): readonly string[] {
  const first: string[] = [];
  for (const key of keys) {
    if (first.length === most) break;
    first.push(key);
    keys.delete(key);
  }
  return first;
}
