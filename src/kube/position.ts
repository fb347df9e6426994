import type { Freshness } from './collection.ts';
import type { KubeError, KubeErrorCode } from './errors.ts';

/** Where a reflector goes on. */
export interface Position {
  /** A watch can resume behind this version; `undefined`: everything must be listed. */
  readonly version: string | undefined;
  /** How new the next list must be. */
  readonly freshness: Freshness;
  /** The next list comes through a watch (KEP-3157). */
  readonly watchList: boolean;
}

/** After these only a list can help. It must not be older than what is known. */
const LIST: ReadonlySet<KubeErrorCode> = new Set<KubeErrorCode>([
  'SY_KUBE_EXPIRED',
  'SY_KUBE_MALFORMED',
  'SY_KUBE_TOO_LARGE',
  // The server may wait for the version to come, which it never does after a restore of etcd.
  'SY_KUBE_SILENT',
]);

/** After these only what is in etcd can be believed, whatever the versions say. */
const LIST_LATEST: ReadonlySet<KubeErrorCode> = new Set<KubeErrorCode>([
  'SY_KUBE_VERSION_AHEAD',
  'SY_KUBE_BACKWARDS',
  'SY_KUBE_EMPTY',
]);

/** A list by another way may succeed: the server does not know watch-lists, or never completes one. */
const GIVE_UP_WATCH_LIST: ReadonlySet<KubeErrorCode> = new Set<KubeErrorCode>([
  'SY_KUBE_REFUSED',
  'SY_KUBE_SILENT',
]);

/** Where to go on after a failure. After most of them: where it was. */
export function afterFailure(position: Position, { code }: KubeError): Position {
  const { version, watchList } = position;
  if (LIST_LATEST.has(code)) return { version: undefined, freshness: { at: 'latest' }, watchList };
  if (version === undefined && GIVE_UP_WATCH_LIST.has(code)) {
    return { ...position, watchList: false };
  }
  if (LIST.has(code)) {
    // A list that failed like this is not asked for again in the same way.
    const freshness: Freshness =
      version === undefined ? { at: 'latest' } : { at: 'newer', version };
    return { version: undefined, freshness, watchList };
  }
  return position;
}
