/** A Service in each family, and clients that use it. */
import assert from 'node:assert/strict';
import type { L4 } from '../lab/agent/calls.ts';
import type { KeptConnection } from '../lab/lab-host.ts';
import { nodeAddress } from '../lab/topology.ts';
import { service, slice } from '../netns/conformance/objects.ts';
import { place } from '../netns/conformance/place.ts';
import type { IpvsNode } from './ipvs-node.ts';
import { families } from './ipvs-world.ts';

/** Where its addresses are. */
export const places = families.map((family) => place(family, 1));

/** One Service `web` in each family with a cluster IP and a node port, one file each. */
export function writeWeb(node: IpvsNode): void {
  for (const at of places) {
    node.write(`web-${at.family}`, [
      service(at, { name: `web-${at.family.toLowerCase()}`, nodePort: 30_080 }),
      slice(at, ['pod-a', 'pod-c'], { service: `web-${at.family.toLowerCase()}` }),
    ]);
  }
}

/** Where `web` answers. */
export const frontends = places.flatMap((at) => [
  [at.clusterIP(), 80] as const,
  [nodeAddress[at.family], 30_080] as const,
]);

/** Probes every frontend of `web`, and says which failed. */
export async function failures(node: IpvsNode): Promise<readonly string[]> {
  const protocols: readonly L4[] = ['TCP', 'UDP'];
  const failed = await Promise.all(
    frontends.flatMap(([address, port]) =>
      protocols.map(async (over) => {
        const results = await node.lab
          .host('client')
          .probe(over, { address, port, timeoutMs: 5000, count: 4 });
        return results.flatMap((result) =>
          result.ok ? [] : [`${over} ${address} port ${port}: ${result.error}`],
        );
      }),
    ),
  );
  return failed.flat();
}

/** Opens a connection to each frontend. */
export async function holdEach(node: IpvsNode): Promise<readonly KeptConnection[]> {
  return Promise.all(
    frontends.map(([address, port]) => node.lab.host('client').open(address, port)),
  );
}

export async function assertAlive(held: readonly KeptConnection[]): Promise<void> {
  for (const each of held) assert.equal(await each.echoes('alive'), true);
}
