/** Connections, old and new, while Services and endpoints change. */
import assert from 'node:assert/strict';
import { nodeAddress } from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { service, slice } from '../objects.ts';

export const continuity: readonly ConformanceCase[] = [
  {
    name: 'established connections outlive their endpoint’s slice and their Service',
    steps: (at) => [
      {
        set: [
          service(at, { nodePort: at.nodePort(), external: 'Local', affinitySeconds: 60 }),
          slice(at, ['pod-a']),
        ],
        check: async (world) => {
          const kept = [
            await world.connect('client', [at.clusterIP(), 80]),
            await world.connect('client', [nodeAddress[at.family], at.nodePort()]),
            await world.connect('pod-b', [at.clusterIP(), 80]),
            await world.connect('pod-a', [at.clusterIP(), 80]),
            await world.connect('node', [at.clusterIP(), 80]),
          ];
          const alive = async (when: string): Promise<void> => {
            for (const connection of kept) {
              assert.equal(await connection.echoes(when), true, when);
            }
          };
          await alive('at first');
          await world.change({ set: [slice(at, ['pod-c'])] });
          await alive('with another endpoint');
          await world.expect([{ from: 'client', to: [at.clusterIP(), 80], reaches: ['pod-c'] }]);
          await world.change({ set: [slice(at, [])] });
          await alive('without an endpoint');
          await world.change({ remove: [service(at)] });
          await alive('without the Service');
          await Promise.all(kept.map((connection) => connection.close()));
        },
      },
    ],
  },
  {
    name: 'no connection fails while endpoints are replaced one by one',
    steps: (at) => [
      {
        set: [
          service(at, { nodePort: at.nodePort(), affinitySeconds: 60 }),
          service(at, { name: 'plain', clusterIP: at.clusterIP(1) }),
          slice(at, ['pod-a']),
          slice(at, ['pod-a'], { service: 'plain', name: 'plain-1' }),
        ],
        check: async (world) => {
          const loops = [
            await world.loop('client', [at.clusterIP(0), 80]),
            await world.loop('client', [at.clusterIP(1), 80]),
            await world.loop('pod-b', [nodeAddress[at.family], at.nodePort()]),
          ];
          const rounds = ['pod-a', 'pod-b', 'pod-c', 'pod-d'] as const;
          for (let round = 0; round < 25; round++) {
            const own = [0, 1, 2].map((index) => rounds[(round + index) % 4] ?? 'pod-a');
            for (const endpoints of [own.slice(0, 1), own, own.slice(1, 2)]) {
              await world.change({
                set: [
                  slice(at, endpoints),
                  slice(at, endpoints, { service: 'plain', name: 'plain-1' }),
                ],
              });
            }
          }
          await world.expect([
            { from: 'client', to: [at.clusterIP(0), 80], reaches: ['pod-b'] },
            { from: 'client', to: [at.clusterIP(1), 80], reaches: ['pod-b'] },
          ]);
          for (const end of loops) {
            const { probes, failures } = await end();
            assert.deepEqual(failures, {}, `of ${probes} probes`);
          }
        },
      },
    ],
  },
];
