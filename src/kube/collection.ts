/** The two ways to read a collection of the API: LIST and WATCH. */
import type { ApiClient } from './transport.ts';
import { type Attempt, bodyError, failure, notKubernetes } from './failures.ts';
import type { Resource } from './resources.ts';
import type { WireEvent } from './wire/reader.ts';
import type { StringPool } from './wire/string-pool.ts';
import { ACCEPT, type WireFormat, listReader, watchReader } from './wire/wire.ts';

/** A collection at a server. */
export interface Collection {
  readonly client: ApiClient;
  readonly resource: Resource<unknown>;
  readonly format: WireFormat;
  readonly pool: StringPool;
  readonly signal: AbortSignal;
}

/**
 * How new a list must be:
 * - `any`: whatever the server has at hand; cheap, and may be old.
 * - `newer`: at least this version.
 * - `latest`: what is there now, if need be read from etcd.
 */
export type Freshness =
  { readonly at: 'any' | 'latest' } | { readonly at: 'newer'; readonly version: string };

/** Objects on one page of a list. */
const PAGE_SIZE = '500';

/**
 * Reads all objects, page by page, and calls back with each. Resolves to the version of the list. Rejects
 * with a KubeError; EXPIRED also when the list became too old between two pages.
 */
export async function listObjects(
  collection: Collection,
  freshness: Freshness,
  onItem: (value: unknown) => void,
): Promise<string> {
  let query = listQuery(freshness);
  for (;;) {
    const page = await readPage(collection, query, onItem);
    if (page.continue === '') return page.version;
    query = { limit: PAGE_SIZE, continue: page.continue };
  }
}

/** What to watch. */
export interface WatchOptions {
  /** Resume behind this version, or begin with all objects as of this freshness (watch-list, KEP-3157). */
  readonly from: string | Freshness;
  /** When the server ends the watch. */
  readonly timeoutSeconds: number;
}

/** What a watch tells. */
export interface WatchEvents {
  /** The server grants the watch. */
  readonly onOpen: () => void;
  readonly onEvent: (event: WireEvent) => void;
  /** All events that have arrived were told; also when the last of them could not be read. */
  readonly onPause: () => void;
}

/** Watches until the server ends it. Rejects with a KubeError, or with what a callback throws. */
export async function watchObjects(
  collection: Collection,
  { from, timeoutSeconds }: WatchOptions,
  { onOpen, onEvent, onPause }: WatchEvents,
): Promise<void> {
  const { client, resource, format, pool, signal } = collection;
  const attempt = attemptTo('watch', collection);
  const path = pathOf(resource, {
    watch: '1',
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(timeoutSeconds),
    ...(typeof from === 'string' ? { resourceVersion: from } : initialQuery(from)),
  });
  const { purpose } = attempt;
  const answer = await client.request({
    purpose,
    method: 'GET',
    path,
    accept: ACCEPT[format],
    signal,
  });
  onOpen();
  const reader = watchReader(answer.format, resource.message, pool, onEvent);
  try {
    await answer.read((chunk) => {
      try {
        reader.push(chunk);
      } finally {
        onPause();
      }
    });
    reader.end();
  } catch (error) {
    throw bodyError(attempt, error);
  }
}

/** What is tried, for messages. */
export function attemptTo(verb: 'list' | 'watch', { client, resource }: Collection): Attempt {
  return { purpose: `${verb} ${resource.plural}`, server: client.server };
}

async function readPage(
  collection: Collection,
  query: Readonly<Record<string, string>>,
  onItem: (value: unknown) => void,
): Promise<{ readonly version: string; readonly continue: string }> {
  const { client, resource, format, pool, signal } = collection;
  const attempt = attemptTo('list', collection);
  const { purpose } = attempt;
  const path = pathOf(resource, query);
  const answer = await client.request({
    purpose,
    method: 'GET',
    path,
    accept: ACCEPT[format],
    signal,
  });
  const reader = listReader(answer.format, resource.message, pool, onItem);
  try {
    await answer.read((chunk) => {
      reader.push(chunk);
    });
    const meta = reader.end();
    // Anything else must not pass for a list without objects.
    if (meta.kind !== `${resource.kind}List`) {
      throw notKubernetes(attempt, `of the kind "${meta.kind}", not ${resource.kind}List`);
    }
    if (meta.resourceVersion === '') {
      const advice = 'Check what stands between this node and the API server.';
      throw failure(attempt, 'SY_KUBE_MALFORMED', 'the list has no resourceVersion', advice);
    }
    return { version: meta.resourceVersion, continue: meta.continue };
  } catch (error) {
    throw bodyError(attempt, error);
  }
}

function listQuery(freshness: Freshness): Readonly<Record<string, string>> {
  if (freshness.at === 'any') return { limit: PAGE_SIZE, resourceVersion: '0' };
  if (freshness.at !== 'newer') return { limit: PAGE_SIZE };
  // Without a limit: with one, older servers would read it from etcd, for every node at once.
  return { resourceVersion: freshness.version, resourceVersionMatch: 'NotOlderThan' };
}

function initialQuery(freshness: Freshness): Readonly<Record<string, string>> {
  const query = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' };
  if (freshness.at === 'newer') return { ...query, resourceVersion: freshness.version };
  return freshness.at === 'any' ? { ...query, resourceVersion: '0' } : query;
}

function pathOf(resource: Resource<unknown>, query: Readonly<Record<string, string>>): string {
  const parameters = new URLSearchParams({ ...resource.selectors, ...query });
  return `${resource.path}?${parameters.toString()}`;
}
