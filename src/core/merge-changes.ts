/** Several lists of changes as one. */
import type { RouteChange, RouteKey } from './route.ts';
import { sameRoute } from './same-route.ts';

/**
 * Merges changes that happened one after the other: at most one for each Route, from its first `before` to
 * its last `after`, and none for a Route that is again what it was. Removals first.
 */
export function mergeChanges(changes: Iterable<RouteChange>): readonly RouteChange[] {
  const merged = new Map<RouteKey, RouteChange>();
  for (const change of changes) {
    const earlier = merged.get(change.key);
    const joined = earlier === undefined ? change : join(earlier, change);
    if (joined === undefined) merged.delete(change.key);
    else merged.set(change.key, joined);
  }
  const all = [...merged.values()];
  return [
    ...all.filter(({ after }) => after === undefined),
    ...all.filter(({ after }) => after !== undefined),
  ];
}

function join({ key, before }: RouteChange, { after }: RouteChange): RouteChange | undefined {
  if (before === undefined) return after === undefined ? undefined : { key, before, after };
  return after !== undefined && sameRoute(before, after) ? undefined : { key, before, after };
}
