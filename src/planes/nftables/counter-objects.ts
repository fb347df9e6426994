/** The counters in one family's table: each is there as long as a frontend leads to it. */
import type { Family } from '../../core/ip.ts';
import type { NftBatch } from '../../kernel/nftables/batch.ts';
import type { CounterNames } from './plan.ts';
import { TABLE } from './schema.ts';

/** Counts the frontends that lead to each counter. */
export class CounterObjects {
  readonly #family: Family;
  readonly #users = new Map<string, number>();
  #inKernel = new Set<string>();
  /** In the kernel, and possibly without users. */
  #idle = new Set<string>();

  constructor(family: Family) {
    this.#family = family;
  }

  /** Starts from what the kernel was found to hold. */
  adopt(names: readonly string[]): void {
    this.#inKernel = new Set(names);
    this.#idle = new Set(names);
  }

  retain(names: CounterNames): void {
    for (const name of present(names)) this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
  }

  release(names: CounterNames): void {
    for (const name of present(names)) {
      const users = (this.#users.get(name) ?? 0) - 1;
      if (users > 0) this.#users.set(name, users);
      else {
        this.#users.delete(name);
        this.#idle.add(name);
      }
    }
  }

  /** Adds those that are missing, ahead of the elements that lead to them. */
  add(batch: NftBatch, names: CounterNames): void {
    for (const name of present(names)) {
      if (this.#inKernel.has(name)) continue;
      batch.addCounter(this.#family, TABLE, name);
      this.#inKernel.add(name);
    }
  }

  /** Deletes those without users, behind the elements that led to them, and returns their names. */
  dropUnused(batch: NftBatch): readonly string[] {
    const unused = [...this.#idle].filter(
      (name) => !this.#users.has(name) && this.#inKernel.delete(name),
    );
    this.#idle.clear();
    for (const name of unused) batch.deleteCounter(this.#family, TABLE, name);
    return unused;
  }
}

function present(names: CounterNames): readonly string[] {
  return Object.values(names).filter((name) => name !== undefined);
}
