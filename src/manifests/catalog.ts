/**
 * What the files say together: which object counts when two files hold it, and what stays when a
 * document is broken. Knows no file system, so that its rules can be tested as plain values.
 */
import type { ObjectChange, ProxyItem } from '../core/change.ts';

/** `Service shop/web`, `EndpointSlice shop/web-x7`, `Node n1`: kind and name, unique in a cluster. */
export type ObjectId = string;

/** What one file says now. */
export interface FileContent {
  readonly objects: ReadonlyMap<ObjectId, ProxyItem>;
  /** Those of `objects` from which something unusable was left out. */
  readonly doubtful: ReadonlySet<ObjectId>;
  /** Objects the file holds, but in a form nobody can use. */
  readonly broken: ReadonlySet<ObjectId>;
  /** A part of the file cannot be read, so nobody can tell which objects it holds. */
  readonly unreadable: boolean;
}

/** The same object in two files: `ignored` loses. */
export interface Conflict {
  readonly id: ObjectId;
  readonly used: string;
  readonly ignored: string;
}

interface Holding {
  readonly item: ProxyItem;
  /** Nothing had to be left out of it. */
  readonly clean: boolean;
  /** The last good state of an object whose present text is broken or gone. */
  readonly stale: boolean;
}

/** The objects of all files. Files are replaced one by one; {@link Catalog.flush} tells what that changed. */
export class Catalog {
  readonly #files = new Map<string, Map<ObjectId, Holding>>();
  readonly #holders = new Map<ObjectId, Set<string>>();
  readonly #published = new Map<ObjectId, ProxyItem>();
  readonly #touched = new Set<ObjectId>();
  readonly #conflicts = new Map<ObjectId, readonly string[]>();

  /**
   * Takes a file's new content. The last good state of an object stays when its document is broken
   * now, or when it is gone and something unreadable in the file could be it. An object that was never
   * without fault is used as far as it goes. With `keepMissing` every object that is gone stays: the file may still be in the middle of a write.
   * Returns how many objects stay for that second reason alone.
   */
  replace(file: string, content: FileContent, keepMissing: boolean): number {
    const before = this.#files.get(file) ?? new Map<ObjectId, Holding>();
    const after = new Map<ObjectId, Holding>();
    for (const [id, item] of content.objects) {
      const clean = !content.doubtful.has(id);
      const old = clean ? undefined : before.get(id);
      after.set(id, old?.clean === true ? { ...old, stale: true } : { item, clean, stale: false });
    }
    let awaited = 0;
    for (const [id, old] of before) {
      if (after.has(id)) continue;
      const broken = content.unreadable || content.broken.has(id);
      if (!broken && keepMissing) awaited++;
      if (broken || keepMissing) after.set(id, { ...old, stale: true });
      else this.#release(id, file);
    }
    for (const [id, holding] of after) {
      const old = before.get(id);
      if (old?.item === holding.item && old.stale === holding.stale) continue;
      this.#touched.add(id);
      const holders = this.#holders.get(id);
      if (holders === undefined) this.#holders.set(id, new Set([file]));
      else holders.add(file);
    }
    if (after.size === 0) this.#files.delete(file);
    else this.#files.set(file, after);
    return awaited;
  }

  /** True when the last good state of an object, or of any object, of the file is in use. */
  keepsLastGood(file: string, id: ObjectId | undefined): boolean {
    const holdings = this.#files.get(file);
    if (holdings === undefined) return false;
    if (id !== undefined) return holdings.get(id)?.stale === true;
    return holdings.values().some((holding) => holding.stale);
  }

  /** Brings the objects in force up to date with the files. A conflict is told once. */
  flush(): { readonly changes: readonly ObjectChange[]; readonly conflicts: readonly Conflict[] } {
    const changes: ObjectChange[] = [];
    const conflicts: Conflict[] = [];
    for (const id of this.#touched) {
      const old = this.#published.get(id);
      const { winner, losers } = this.#resolve(id);
      conflicts.push(...this.#news(id, losers));
      if (winner === old) continue;
      if (winner !== undefined) {
        this.#published.set(id, winner);
        changes.push({ type: 'set', item: winner });
      } else if (old !== undefined) {
        this.#published.delete(id);
        changes.push({ type: 'remove', item: old });
      }
    }
    this.#touched.clear();
    return { changes, conflicts };
  }

  #release(id: ObjectId, file: string): void {
    const holders = this.#holders.get(id);
    holders?.delete(file);
    if (holders?.size === 0) this.#holders.delete(id);
    this.#touched.add(id);
  }

  /** The first file by name that still holds the object; a last good state counts only where no file does. */
  #resolve(id: ObjectId): {
    readonly winner: ProxyItem | undefined;
    readonly losers: readonly Conflict[];
  } {
    let used: { readonly file: string; readonly holding: Holding } | undefined;
    const losers: Conflict[] = [];
    for (const file of [...(this.#holders.get(id) ?? [])].toSorted()) {
      const holding = this.#files.get(file)?.get(id);
      if (holding === undefined) continue;
      if (used === undefined || (used.holding.stale && !holding.stale)) used = { file, holding };
      else if (!holding.stale) losers.push({ id, used: used.file, ignored: file });
    }
    return { winner: used?.holding.item, losers };
  }

  #news(id: ObjectId, conflicts: readonly Conflict[]): readonly Conflict[] {
    const known = this.#conflicts.get(id) ?? [];
    if (conflicts.length === 0) this.#conflicts.delete(id);
    else
      this.#conflicts.set(
        id,
        conflicts.map((conflict) => conflict.ignored),
      );
    return conflicts.filter((conflict) => !known.includes(conflict.ignored));
  }
}
