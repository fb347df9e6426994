/** Measures kube-proxy's shape of rules. */
import type { KubeProxyCalls } from './kube-proxy-calls.ts';
import type { Network } from './network.ts';
import type { Site } from './plane.ts';
import type { KubeProxyResult } from './results.ts';
import { summarise } from './statistics.ts';

/** Loads the rules, changes them, and leaves them there. */
export async function measureKubeProxyShape(
  network: Network,
  { node, services }: Site,
  changes: number,
): Promise<KubeProxyResult> {
  const namespace = network.nodes[node];
  if (namespace === undefined) throw new RangeError(`there is no node ${node}`);
  const file = new URL('kube-proxy-worker.ts', import.meta.url);
  const worker = network.start<KubeProxyCalls>(namespace, "kube-proxy's shape", file);
  const load = await worker.call('load', { network: node, services });
  const samples = await worker.call('changeEndpoints', { count: changes });
  await worker.kill();
  return { services, load, endpointChange: summarise(samples) };
}
