/** Topology hints: the nearest endpoints, as the hints of the slices have it. */
import { nodeAddress, nodeName, otherNodeName } from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { node, service, slice } from '../objects.ts';

const from = ['client', 'pod-b', 'node'] as const;

const hints = (here: string) => ({ forNodes: [here], forZones: ['zone-a'] });

export const topology: readonly ConformanceCase[] = [
  {
    name: 'zone hints keep traffic in the zone of the node, and follow a change of it',
    steps: (at) => [
      {
        set: [
          service(at, { nodePort: at.nodePort() }),
          slice(at, [
            { server: 'pod-a', forZones: ['zone-a'] },
            { server: 'pod-b', forZones: ['zone-b', 'zone-a'] },
            { server: 'pod-c', forZones: ['zone-b'] },
          ]),
        ],
        expect: [
          { from, to: [at.clusterIP(), 80], reaches: ['pod-a', 'pod-b'] },
          {
            from: 'client',
            to: [nodeAddress[at.family], at.nodePort()],
            reaches: ['pod-a', 'pod-b'],
          },
        ],
      },
      {
        when: 'the node moves to another zone',
        setup: { node: node('zone-b') },
        expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-b', 'pod-c'] }],
      },
      {
        when: 'no endpoint is for the zone',
        setup: { node: node('zone-x') },
        expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-a', 'pod-b', 'pod-c'] }],
      },
    ],
  },
  {
    name: 'zone hints are ignored when one ready endpoint has none',
    steps: (at) => [
      {
        set: [service(at), slice(at, [{ server: 'pod-a', forZones: ['zone-a'] }, 'pod-c'])],
        expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-a', 'pod-c'] }],
      },
      {
        when: 'the one without is not ready',
        set: [
          slice(at, [
            { server: 'pod-a', forZones: ['zone-a'] },
            { server: 'pod-b', forZones: ['zone-b'] },
            { server: 'pod-c', ready: false },
          ]),
        ],
        expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-a'] }],
      },
    ],
  },
  {
    name: 'node hints come before zone hints',
    steps: (at) => {
      return [
        {
          set: [
            service(at),
            slice(at, [
              { server: 'pod-a', ...hints(nodeName) },
              { server: 'pod-c', ...hints(otherNodeName) },
              { server: 'pod-d', forNodes: [otherNodeName], forZones: ['zone-b'] },
            ]),
          ],
          expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-a'] }],
        },
        {
          when: 'no endpoint is for the node',
          set: [
            slice(at, [
              { server: 'pod-c', ...hints(otherNodeName) },
              { server: 'pod-d', forNodes: [otherNodeName], forZones: ['zone-b'] },
            ]),
          ],
          expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-c'] }],
        },
      ];
    },
  },
  {
    name: 'hints do not count for policies Local and for terminating endpoints',
    steps: (at) => [
      {
        set: [
          service(at, { external: 'Local', nodePort: at.nodePort() }),
          slice(at, [
            { server: 'pod-a', forZones: ['zone-b'] },
            { server: 'pod-c', forZones: ['zone-a'] },
          ]),
        ],
        expect: [
          { from: 'client', to: [nodeAddress[at.family], at.nodePort()], reaches: ['pod-a'] },
          { from, to: [at.clusterIP(), 80], reaches: ['pod-c'] },
        ],
      },
      {
        when: 'all endpoints terminate',
        set: [
          slice(
            at,
            (['pod-a', 'pod-c'] as const).map((server, index) => ({
              server,
              ready: false,
              serving: true,
              terminating: true,
              forZones: [index === 0 ? 'zone-a' : 'zone-b'],
            })),
          ),
        ],
        expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-a', 'pod-c'] }],
      },
    ],
  },
];
