import type { RouteChange, RouteKey } from '../core/route.ts';

/**
 * Adds changes to earlier ones, in place, so that there is at most one for each Route: from the state
 * before the first to the state after the last. A Route that comes and goes leaves no change.
 */
export function mergeChanges(
  into: Map<RouteKey, RouteChange>,
  changes: readonly RouteChange[],
): void {
  for (const { key, before, after } of changes) {
    const earlier = into.get(key);
    const first = earlier === undefined ? before : earlier.before;
    // Anew at the end: a Route must follow the ones whose removal makes room for it.
    into.delete(key);
    if (first !== undefined) into.set(key, { key, before: first, after });
    else if (after !== undefined) into.set(key, { key, before: first, after });
  }
}
