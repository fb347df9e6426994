/** All collections behind one revision, as etcd has one for everything. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { timestamp } from './clock.ts';
import { type Change, Collection } from './collection.ts';
import { type JsonObject, objectIn, textIn } from './json.ts';
import { RESOURCES, type Resource } from './resources.ts';
import { alreadyExists, conflict, notFound } from './status.ts';
import { type ObjectName, type Version, keyOf, nameOf, revised, version } from './version.ts';

export class Store {
  readonly #clock: Clock;
  readonly #collections: ReadonlyMap<Resource, Collection>;
  readonly #waiting = new Set<() => void>();
  #revision = 1;

  /** @param historyLimit How many changes of each resource are remembered. */
  constructor(clock: Clock, historyLimit: number) {
    this.#clock = clock;
    this.#collections = new Map(RESOURCES.map((one) => [one, new Collection(one, historyLimit)]));
  }

  /** The resource version of the last write. */
  get revision(): number {
    return this.#revision;
  }

  collection(resource: Resource): Collection {
    const collection = this.#collections.get(resource);
    if (collection === undefined) throw new RangeError(`${resource.plural} are not stored`);
    return collection;
  }

  /** Stores a new object. Throws a 409 Status if there is one of that name. */
  create(resource: Resource, object: JsonObject): Version {
    const where = nameOf(resource, object);
    const collection = this.collection(resource);
    if (collection.get(where.key) !== undefined) throw alreadyExists(resource, where.name);
    const metadata = { ...(resource.counted ? { generation: 1 } : {}), ...this.#born(object) };
    return this.#write(collection, where, metadata, object, undefined);
  }

  /**
   * Stores a new version of an object; nothing happens if nothing differs. Throws a 404 Status if there is none, and a 409
   * Status if the object names another resource version than the newest.
   */
  update(resource: Resource, object: JsonObject): Version {
    const where = nameOf(resource, object);
    const collection = this.collection(resource);
    const previous = collection.get(where.key);
    if (previous === undefined) throw notFound(resource, where.name);
    const given = objectIn(object, 'metadata');
    const expected = textIn(given, 'resourceVersion');
    if (expected !== '' && expected !== String(previous.revision)) {
      throw conflict(resource, where.name);
    }
    const old = objectIn(previous.object, 'metadata');
    const { uid, creationTimestamp, generation, managedFields } = old;
    const metadata = { managedFields, ...given, uid, creationTimestamp, generation };
    const same = version(where, previous.revision, metadata, object);
    if (JSON.stringify(same.object) === JSON.stringify(previous.object)) return previous;
    const count = typeof generation === 'number' && resource.counted ? generation + 1 : generation;
    return this.#write(collection, where, { ...metadata, generation: count }, object, previous);
  }

  /** Deletes an object; returns it with the revision of its end. Throws a 404 Status if there is none. */
  remove(resource: Resource, namespace: string, name: string): Version {
    const collection = this.collection(resource);
    const previous = collection.get(keyOf(namespace, name));
    if (previous === undefined) throw notFound(resource, name);
    const revision = this.#revision + 1;
    this.#record(collection, { revision, current: undefined, previous });
    return revised(previous, revision);
  }

  /**
   * Puts in objects with the resource versions they have; those that have none get the next. They have no history: watches
   * start behind them.
   */
  load(resource: Resource, objects: Iterable<JsonObject>): void {
    const versions: Version[] = [];
    for (const object of objects) {
      const own = Number(textIn(objectIn(object, 'metadata'), 'resourceVersion'));
      const revision = own > 0 ? own : this.#revision + 1;
      this.#revision = Math.max(this.#revision, revision);
      versions.push(version(nameOf(resource, object), revision, this.#born(object), object));
    }
    this.collection(resource).load(versions, this.#revision);
  }

  /** Sets the revision and forgets all history. */
  reset(revision: number): void {
    this.#revision = revision;
    this.compact();
    this.#wake();
  }

  /** Forgets all history, as the compaction of etcd does every five minutes. */
  compact(): void {
    for (const collection of this.#collections.values()) collection.forget(this.#revision);
  }

  /** Resolves with true at a revision of at least that, or with false after `ms` milliseconds. */
  async reached(revision: number, ms: number): Promise<boolean> {
    if (this.#revision >= revision) return true;
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#revision >= revision) end();
      };
      const end = (): void => {
        cancel();
        this.#waiting.delete(look);
        resolve(this.#revision >= revision);
      };
      const cancel = this.#clock.after(ms, end);
      this.#waiting.add(look);
    });
  }

  /** Metadata of a new object: what it brings along stays. */
  #born(object: JsonObject): JsonObject {
    const metadata = objectIn(object, 'metadata');
    return {
      ...metadata,
      uid: metadata['uid'] ?? randomUUID(),
      creationTimestamp: metadata['creationTimestamp'] ?? timestamp(this.#clock.now()),
    };
  }

  #write(
    collection: Collection,
    where: ObjectName,
    metadata: JsonObject,
    object: JsonObject,
    previous: Version | undefined,
  ): Version {
    const revision = this.#revision + 1;
    const current = version(where, revision, metadata, object);
    this.#record(collection, { revision, current, previous });
    return current;
  }

  #record(collection: Collection, change: Change): void {
    this.#revision = change.revision;
    collection.record(change);
    this.#wake();
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }
}
