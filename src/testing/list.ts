/** LIST, with the meanings of resourceVersion, resourceVersionMatch, limit and continue (storage/cacher/delegator.go). */
import { decodeContinue, encodeContinue } from './continue-token.ts';
import type { Json, JsonObject } from './json.ts';
import type { ListOptions } from './options.ts';
import type { Resource } from './resources.ts';
import { badRequest, expired, tooLargeResourceVersion } from './status.ts';
import type { Store } from './store.ts';
import type { Version } from './version.ts';

/** What a list's answer is made of. */
export interface ListResult {
  /** ListMeta. */
  readonly metadata: JsonObject;
  readonly versions: readonly Version[];
}

/** How long the server waits for a version that it does not know yet, in milliseconds. */
const BLOCK_MS = 3000;

const TOO_OLD = 'The resourceVersion for the provided list is too old.';
const TOO_OLD_TO_CONTINUE = [
  'The provided continue parameter is too old to display a consistent list result.',
  'You can start a new list without the continue parameter, or use the continue token in this response to',
  'retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list -',
  'objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
].join(' ');

/** Selects the objects of a list. Throws a 400, 410 or 504 Status. */
export async function list(
  store: Store,
  resource: Resource,
  namespace: string,
  options: ListOptions,
): Promise<ListResult> {
  const collection = store.collection(resource);
  const scope = namespace === '' ? '' : `/${namespace}`;
  const from = options.continueToken === '' ? undefined : decodeContinue(options.continueToken);
  let revision = 0;
  if (from !== undefined) {
    if (options.revision > 0) {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    revision = Math.max(0, from.revision);
    if (revision > 0 && revision < collection.forgotten) {
      const start = from.start.slice(1);
      throw expired(TOO_OLD_TO_CONTINUE, encodeContinue({ revision: -1, start }));
    }
  } else if (options.revision > 0) {
    await fresh(store, options.revision);
    const exact = options.match === 'Exact' || (options.match === '' && options.limit > 0);
    if (exact) revision = options.revision;
    if (exact && revision < collection.forgotten) throw expired(TOO_OLD);
  }
  const all = revision === 0 ? collection.list() : collection.at(revision);
  const start = from === undefined ? `${scope}/` : `${scope}${from.start}`;
  const candidates = all.filter(({ key }) => key >= start && key.startsWith(`${scope}/`));
  return page(candidates, scope, revision === 0 ? store.revision : revision, options);
}

/** Waits until the store is at that revision. Throws a 504 Status if that takes too long. */
export async function fresh(store: Store, revision: number): Promise<void> {
  if (await store.reached(revision, BLOCK_MS)) return;
  throw tooLargeResourceVersion(revision, store.revision);
}

function page(
  candidates: readonly Version[],
  scope: string,
  revision: number,
  options: ListOptions,
): ListResult {
  // The watch cache gives everything at once to those who take any version.
  const limit = options.resourceVersion === '0' ? 0 : options.limit;
  const versions: Version[] = [];
  const metadata: Record<string, Json> = { resourceVersion: String(revision) };
  for (const [index, version] of candidates.entries()) {
    if (options.matches(version.object)) versions.push(version);
    if (limit === 0 || versions.length < limit) continue;
    if (index < candidates.length - 1) {
      // The watch cache, which makes first pages, begins the key with a slash; etcd, which makes the others, does not.
      const key = version.key.slice(scope.length + (options.continueToken === '' ? 0 : 1));
      const start = `${key}\0`;
      metadata['continue'] = encodeContinue({ revision, start });
      // Objects that do not match count too, so with selectors the number would be wrong.
      if (!options.selects) metadata['remainingItemCount'] = candidates.length - limit;
    }
    break;
  }
  return { metadata, versions };
}
