/**
 * A set whose elements several frontends share (the cluster IP of all ports of a Service, an endpoint of
 * several Services): an element is in the kernel while somebody uses it.
 */
import type { ElementSink } from './diff.ts';
import type { Packed } from './keys.ts';

/** Counts the users of each element of one set. */
export class SharedSet {
  readonly #name: string;
  readonly #users = new Map<Packed, number>();
  /** Keys whose use changed since the last {@link write}, and whether the kernel has them. */
  readonly #touched = new Map<Packed, boolean>();

  constructor(name: string) {
    this.#name = name;
  }

  retain(key: Packed): void {
    this.#change(key, 1);
  }

  release(key: Packed): void {
    this.#change(key, -1);
  }

  /** Writes what came into use and what went out of use since the last call. */
  write(sink: ElementSink): void {
    for (const [key, present] of this.#touched) {
      const used = this.#users.has(key);
      if (used && !present) sink.add(this.#name, key, {});
      if (!used && present) sink.delete(this.#name, key, {});
    }
    this.#touched.clear();
  }

  /** Writes the difference between what the kernel was found to hold and what is in use. */
  reconcile(found: ReadonlySet<Packed>, sink: ElementSink): void {
    this.#touched.clear();
    for (const key of found) if (!this.#users.has(key)) sink.delete(this.#name, key, {});
    for (const key of this.#users.keys()) if (!found.has(key)) sink.add(this.#name, key, {});
  }

  #change(key: Packed, by: 1 | -1): void {
    const users = this.#users.get(key) ?? 0;
    if (!this.#touched.has(key)) this.#touched.set(key, users > 0);
    if (users + by === 0) this.#users.delete(key);
    else this.#users.set(key, users + by);
  }
}
