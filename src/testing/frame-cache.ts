import type { Change } from './collection.ts';
import { type EventType, type Media, eventFrame } from './encodings.ts';
import type { JsonObject } from './json.ts';
import type { Resource } from './resources.ts';
import { type Version, revised } from './version.ts';

/** The last change's events, encoded once for all the watches that get them. */
export class FrameCache {
  #change: Change | undefined;
  readonly #frames = new Map<string, Buffer>();

  /**
   * A change as it looks through a selector: what begins to match is ADDED, what stops to match is DELETED, with its last
   * matching content and the new resource version. `undefined` when neither the old nor the new object matches.
   */
  frame(
    media: Media,
    resource: Resource,
    change: Change,
    matches: (object: JsonObject) => boolean,
  ): Buffer | undefined {
    const { current, previous, revision } = change;
    const isIn = current !== undefined && matches(current.object);
    const wasIn = previous !== undefined && matches(previous.object);
    if (isIn) return this.#encoded(change, media, resource, wasIn ? 'MODIFIED' : 'ADDED', current);
    if (wasIn) return this.#encoded(change, media, resource, 'DELETED', previous, revision);
    return undefined;
  }

  #encoded(
    change: Change,
    media: Media,
    resource: Resource,
    type: EventType,
    version: Version,
    revision?: number,
  ): Buffer {
    if (this.#change !== change) {
      this.#change = change;
      this.#frames.clear();
    }
    const key = `${media} ${type}`;
    const known = this.#frames.get(key);
    if (known !== undefined) return known;
    const sent = revision === undefined ? version : revised(version, revision);
    const frame = eventFrame(media, resource, type, sent);
    this.#frames.set(key, frame);
    return frame;
  }
}
