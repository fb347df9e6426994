/** Which objects of a collection there are, so that a list can be turned into what it changes. */
import type { Change } from '../core/change.ts';
import type { Problem } from '../core/decode/problem.ts';
import { isFields } from '../core/decode/fields.ts';
import type { Resource } from './resources.ts';
import { malformed } from './wire/fault.ts';
import { textOf } from './wire/reader.ts';

/** Something in an object that cannot be used, told once as long as it lasts. */
export interface ObjectProblem {
  /** `Service shop/web`. */
  readonly object: string;
  /** Path such as `spec.ports[0].port`. */
  readonly field: string;
  readonly message: string;
  /** The object cannot be used at all, and what it was before is still in force. */
  readonly lastGoodStays: boolean;
}

/** An object that is there. `item` is missing when no proxy serves it or nobody could. */
interface Held<I> {
  readonly version: string;
  readonly item: I | undefined;
}

interface Identity {
  /** `namespace/name`, or the name of what has no namespace. */
  readonly key: string;
  readonly version: string;
}

/** The objects of one collection. Of each it keeps the version and the decoded item, which others hold as well. */
export class ObjectTable<I> {
  readonly #resource: Resource<I>;
  readonly #onProblem: (problem: ObjectProblem) => void;
  /** Problems that were told, by key of the object. */
  readonly #told = new Map<string, ReadonlySet<string>>();
  #held = new Map<string, Held<I>>();

  constructor(resource: Resource<I>, onProblem: (problem: ObjectProblem) => void) {
    this.#resource = resource;
    this.#onProblem = onProblem;
  }

  /** Number of objects, usable or not. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * Takes an object's new state. It may be new; the same version again changes nothing.
   * @throws WireFault malformed: it has no name.
   */
  set(value: unknown): Change<I> | undefined {
    const { key, version } = identify(value);
    const before = this.#held.get(key);
    const after = this.#take(key, version, value);
    this.#held.set(key, after);
    return changeOf(before, after);
  }

  /**
   * Takes an object out, which need not be there.
   * @throws WireFault malformed: it has no name.
   */
  remove(value: unknown): Change<I> | undefined {
    const { key } = identify(value);
    const before = this.#held.get(key);
    this.#held.delete(key);
    this.#told.delete(key);
    return changeOf(before, undefined);
  }

  /** Starts a list of all objects. Nothing changes until {@link replace}. */
  replacement(): Replacement<I> {
    return new Replacement((key, version, value) => this.#take(key, version, value));
  }

  /** Puts a complete list in the place of all objects there were. */
  replace(replacement: Replacement<I>): readonly Change<I>[] {
    const changes: Change<I>[] = [];
    const before = this.#held;
    this.#held = replacement.held;
    for (const [key, after] of this.#held) {
      const change = changeOf(before.get(key), after);
      if (change !== undefined) changes.push(change);
    }
    for (const [key, old] of before) {
      if (this.#held.has(key)) continue;
      this.#told.delete(key);
      const change = changeOf(old, undefined);
      if (change !== undefined) changes.push(change);
    }
    return changes;
  }

  /** The object as it will be held. An object that nobody could use stays what it was. */
  #take(key: string, version: string, value: unknown): Held<I> {
    const before = this.#held.get(key);
    if (before !== undefined && version !== '' && before.version === version) return before;
    const { object: item, problems } = this.#resource.decode(value);
    const lastGoodStays = item === undefined && problems.length > 0 && before?.item !== undefined;
    this.#tell(key, problems, lastGoodStays);
    return { version, item: lastGoodStays ? before.item : item };
  }

  #tell(key: string, problems: readonly Problem[], lastGoodStays: boolean): void {
    const before = this.#told.get(key);
    if (problems.length === 0) {
      if (before !== undefined) this.#told.delete(key);
      return;
    }
    const told = new Set<string>();
    for (const { field, message } of problems) {
      const id = `${field}: ${message}`;
      if (before?.has(id) !== true && !told.has(id)) {
        this.#onProblem({ object: `${this.#resource.kind} ${key}`, field, message, lastGoodStays });
      }
      told.add(id);
    }
    this.#told.set(key, told);
  }
}

/** A list that is being read. */
export class Replacement<I> {
  /** What was read so far, by key. */
  readonly held = new Map<string, Held<I>>();
  readonly #take: (key: string, version: string, value: unknown) => Held<I>;

  /** `take` turns an object into what is held of it. */
  constructor(take: (key: string, version: string, value: unknown) => Held<I>) {
    this.#take = take;
  }

  /**
   * Adds an object, or replaces it.
   * @throws WireFault malformed: it has no name.
   */
  set(value: unknown): void {
    const { key, version } = identify(value);
    this.held.set(key, this.#take(key, version, value));
  }

  /** Takes an object out again. */
  remove(value: unknown): void {
    this.held.delete(identify(value).key);
  }
}

/**
 * The version of an object; `''` when it has none.
 */
export function versionOf(value: unknown): string {
  return textOf(metadataOf(value)['resourceVersion']);
}

/** An annotation of an object. */
export function annotationOf(value: unknown, name: string): unknown {
  const { annotations } = metadataOf(value);
  return isFields(annotations) ? annotations[name] : undefined;
}

function identify(value: unknown): Identity {
  const metadata = metadataOf(value);
  const name = textOf(metadata['name']);
  if (name === '') throw malformed('an object has no name');
  const namespace = textOf(metadata['namespace']);
  const key = namespace === '' ? name : `${namespace}/${name}`;
  return { key, version: textOf(metadata['resourceVersion']) };
}

function metadataOf(value: unknown): Readonly<Record<string, unknown>> {
  return isFields(value) && isFields(value['metadata']) ? value['metadata'] : {};
}

function changeOf<I>(
  before: Held<I> | undefined,
  after: Held<I> | undefined,
): Change<I> | undefined {
  const old = before?.item;
  const now = after?.item;
  if (old === now) return undefined;
  if (now !== undefined) return { type: 'set', item: now };
  return old === undefined ? undefined : { type: 'remove', item: old };
}
