/** Objects from YAML files. */
import { ManifestSource, type ManifestUpdate } from '../manifests/source.ts';
import type { ObjectSource, TakeChanges } from './source.ts';

/**
 * Follows the manifests at `path`. `onUpdate` is told everything, also what cannot be used.
 *
 * Rejects with a ManifestError when there is nothing at the path, or it cannot be read or watched.
 */
export async function openManifests(
  path: string,
  onUpdate: (update: ManifestUpdate) => void,
  take: TakeChanges,
): Promise<ObjectSource> {
  const source = await ManifestSource.open({
    path,
    onUpdate: (update) => {
      onUpdate(update);
      take(update.changes, update.noticedAt);
    },
  });
  const { promise: done, resolve } = Promise.withResolvers<void>();
  return {
    synced: Promise.resolve(),
    done,
    [Symbol.asyncDispose]: async () => {
      source.close();
      resolve();
      return Promise.resolve();
    },
  };
}
