/** The nodes of a cluster. */
import { listObjects } from '../../kube/collection.ts';
import { NODES } from '../../kube/resources.ts';
import type { ApiClient } from '../../kube/transport.ts';
import { StringPool } from '../../kube/wire/string-pool.ts';

/** Names of all Nodes, sorted. Rejects with a KubeError. */
export async function readNodeNames(
  client: ApiClient,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const names: string[] = [];
  const pool = new StringPool();
  const collection = { client, resource: NODES, format: 'protobuf', pool, signal } as const;
  await listObjects(collection, { at: 'any' }, (value) => {
    const { object } = NODES.decode(value);
    if (object !== undefined) names.push(object.object.name);
  });
  return names.toSorted();
}
