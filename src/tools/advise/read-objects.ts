/** The Services of a user, read once, and what can be told from them. */
import type { ProxyItem } from '../../core/change.ts';

import { listObjects } from '../../kube/collection.ts';
import { ENDPOINT_SLICES, NODES, type Resource, SERVICES } from '../../kube/resources.ts';
import type { ApiClient } from '../../kube/transport.ts';
import { StringPool } from '../../kube/wire/string-pool.ts';
import { ManifestSource } from '../../manifests/source.ts';
import type { GivenFacts } from './facts.ts';

/** What was read. */
export interface ReadObjects {
  readonly items: readonly ProxyItem[];
  /** What could not be used, a line each. */
  readonly problems: readonly string[];
}

/** What `rr`, the scheduler that any mode can stand in for, is called. */
const ROUND_ROBIN: ReadonlySet<string> = new Set(['rr', 'wrr']);

/** Reads a file or a folder of manifests. Rejects with a ManifestError. */
export async function readManifests(path: string): Promise<ReadObjects> {
  const items: ProxyItem[] = [];
  const problems: string[] = [];
  using _source = await ManifestSource.open({
    path,
    onUpdate: (update) => {
      for (const { type, item } of update.changes) if (type === 'set') items.push(item);
      for (const { file, line, field, message } of update.problems) {
        const place = [file, line, field].filter((part) => part !== undefined && part !== '');
        problems.push(`${place.join(':')}: ${message}`);
      }
    },
  });
  return { items, problems };
}

/** Lists Services, EndpointSlices and Nodes. Rejects with a KubeError. */
export async function readCluster(client: ApiClient, signal: AbortSignal): Promise<ReadObjects> {
  const items: ProxyItem[] = [];
  const problems: string[] = [];
  const pool = new StringPool();
  const list = async (resource: Resource<ProxyItem>): Promise<void> => {
    const collection = { client, resource, format: 'protobuf', pool, signal } as const;
    await listObjects(collection, { at: 'any' }, (value) => {
      const { object, problems: found } = resource.decode(value);
      if (object !== undefined) items.push(object);
      for (const { field, message } of found)
        problems.push(`${resource.kind}: ${field} ${message}`);
    });
  };
  await list(SERVICES);
  await list(ENDPOINT_SLICES);
  await list(NODES);
  return { items, problems };
}

/** What objects say of a cluster. There are no Nodes among manifests that name none. */
export function factsOf(items: readonly ProxyItem[]): GivenFacts {
  let [nodes, services, endpoints, affinityServices] = [0, 0, 0, 0];
  let schedulers = false;
  for (const item of items) {
    if (item.kind === 'Node') nodes++;
    else if (item.kind === 'EndpointSlice') endpoints += item.object.endpoints.length;
    else if (item.kind === 'Service') {
      services++;
      const { affinitySeconds, scheduler } = item.object;
      if (affinitySeconds !== undefined) affinityServices++;
      if (scheduler !== undefined && !ROUND_ROBIN.has(scheduler.name)) schedulers = true;
    }
  }
  return {
    services,
    endpoints,
    affinityServices,
    schedulers,
    ...(nodes > 0 && { nodes }),
  };
}
