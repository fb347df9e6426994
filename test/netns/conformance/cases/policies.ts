/** Traffic policies, short-circuiting and the fallback to terminating endpoints. */
import { nodeAddress } from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { service, slice, type ServiceOptions } from '../objects.ts';
import type { Place } from '../place.ts';

const outside = ['client', 'peer'] as const;

function full(at: Place, options: ServiceOptions) {
  return service(at, {
    nodePort: at.nodePort(),
    externalIPs: [at.externalIP()],
    loadBalancerIPs: [at.loadBalancerIP()],
    ...options,
  });
}

function externalFrontends(at: Place): readonly (readonly [string, number])[] {
  return [
    [nodeAddress[at.family], at.nodePort()],
    [at.externalIP(), 80],
    [at.loadBalancerIP(), 80],
  ];
}

const dying = { ready: false, serving: true, terminating: true } as const;

export const policies: readonly ConformanceCase[] = [
  {
    name: 'external traffic policy Local: outsiders reach local endpoints only and keep their address',
    steps: (at) => [
      {
        set: [full(at, { external: 'Local' }), slice(at, ['pod-a', 'pod-b', 'pod-c'])],
        expect: [
          ...externalFrontends(at).flatMap((to) => [
            { from: outside, to, reaches: ['pod-a', 'pod-b'], seenAs: 'itself' } as const,
          ]),
          { from: outside, to: [at.clusterIP(), 80], reaches: ['pod-a', 'pod-b', 'pod-c'] },
        ],
      },
      {
        when: 'the policy is Cluster',
        set: [full(at, { external: 'Cluster' })],
        expect: externalFrontends(at).map((to) => ({
          from: outside,
          to,
          reaches: ['pod-a', 'pod-b', 'pod-c'],
          seenAs: 'node',
        })),
      },
      {
        when: 'the policy is Local again',
        set: [full(at, { external: 'Local' })],
        expect: externalFrontends(at).map((to) => ({
          from: 'client',
          to,
          reaches: ['pod-a', 'pod-b'],
          seenAs: 'itself',
        })),
      },
    ],
  },
  {
    name: 'external traffic policy Local: pods and the node itself reach every endpoint',
    steps: (at) => [
      {
        set: [full(at, { external: 'Local' }), slice(at, ['pod-b', 'pod-c'])],
        expect: externalFrontends(at).flatMap((to) => [
          { from: 'pod-a', to, reaches: ['pod-b', 'pod-c'], seenAs: 'itself' } as const,
          { from: 'node', to, reaches: ['pod-b', 'pod-c'], seenAs: 'node' } as const,
        ]),
      },
    ],
  },
  {
    name: 'external traffic policy Local without local endpoints: silent for outsiders, served for insiders',
    steps: (at) => [
      {
        set: [full(at, { external: 'Local' }), slice(at, ['pod-c', 'pod-d'])],
        expect: [
          ...externalFrontends(at).flatMap((to) => [
            { from: outside, to, fails: 'timeout' } as const,
            { from: 'pod-b', to, reaches: ['pod-c', 'pod-d'], seenAs: 'itself' } as const,
            { from: 'node', to, reaches: ['pod-c', 'pod-d'], seenAs: 'node' } as const,
          ]),
          { from: outside, to: [at.clusterIP(), 80], reaches: ['pod-c', 'pod-d'] },
        ],
      },
      {
        when: 'a local endpoint appears',
        set: [slice(at, ['pod-a', 'pod-c'])],
        expect: externalFrontends(at).flatMap((to) => [
          { from: outside, to, reaches: ['pod-a'], seenAs: 'itself' } as const,
          { from: 'pod-b', to, reaches: ['pod-a', 'pod-c'], seenAs: 'itself' } as const,
        ]),
      },
    ],
  },
  {
    name: 'traffic of the node is masqueraded also where its source is the virtual address',
    steps: (at) => {
      const vip = at.loadBalancerIP();
      const reached = { from: 'node', source: vip, to: [vip, 80], seenAs: 'node' } as const;
      return (['Local', 'Cluster'] as const).map((external) => ({
        set: [full(at, { external }), slice(at, ['pod-c', 'pod-d'])],
        check: (world) =>
          world.withAddress(vip, () => world.expect([{ ...reached, reaches: ['pod-c', 'pod-d'] }])),
      }));
    },
  },
  {
    name: 'internal traffic policy Local: everybody reaches local endpoints only',
    steps: (at) => [
      {
        set: [full(at, { internal: 'Local' }), slice(at, ['pod-a', 'pod-c'])],
        expect: [
          { from: [...outside, 'pod-b', 'node'], to: [at.clusterIP(), 80], reaches: ['pod-a'] },
          ...externalFrontends(at).map(
            (to) => ({ from: outside, to, reaches: ['pod-a', 'pod-c'] }) as const,
          ),
        ],
      },
      {
        when: 'no endpoint is local',
        set: [slice(at, ['pod-c', 'pod-d'])],
        expect: [
          { from: [...outside, 'pod-a', 'node'], to: [at.clusterIP(), 80], fails: 'timeout' },
          // Silent, not refused, on the port that is served; unknown ports are refused as ever.
          { from: 'client', to: [at.clusterIP(), 81], fails: 'refused' },
          ...externalFrontends(at).map(
            (to) => ({ from: outside, to, reaches: ['pod-c', 'pod-d'] }) as const,
          ),
        ],
      },
      {
        when: 'the policy is Cluster',
        set: [full(at, {})],
        expect: [
          {
            from: ['client', 'pod-a', 'node'],
            to: [at.clusterIP(), 80],
            reaches: ['pod-c', 'pod-d'],
          },
        ],
      },
    ],
  },
  {
    name: 'both policies Local at once',
    steps: (at) => [
      {
        set: [full(at, { internal: 'Local', external: 'Local' }), slice(at, ['pod-a', 'pod-c'])],
        expect: [
          { from: ['client', 'pod-b', 'node'], to: [at.clusterIP(), 80], reaches: ['pod-a'] },
          ...externalFrontends(at).flatMap((to) => [
            { from: outside, to, reaches: ['pod-a'], seenAs: 'itself' } as const,
            { from: 'pod-b', to, reaches: ['pod-a', 'pod-c'], seenAs: 'itself' } as const,
          ]),
        ],
      },
    ],
  },
  {
    name: 'terminating endpoints are used when nothing is ready, and only those that still serve',
    steps: (at) => [
      {
        set: [
          full(at, {}),
          slice(at, [
            { server: 'pod-a', ...dying },
            { server: 'pod-b', ready: false, serving: false, terminating: true },
            { server: 'pod-c', ...dying },
            { server: 'pod-d', ready: false },
          ]),
        ],
        expect: [
          {
            from: ['client', 'pod-b', 'node'],
            to: [at.clusterIP(), 80],
            reaches: ['pod-a', 'pod-c'],
          },
          ...externalFrontends(at).map(
            (to) => ({ from: 'client', to, reaches: ['pod-a', 'pod-c'] }) as const,
          ),
        ],
      },
      {
        when: 'one is ready',
        set: [slice(at, [{ server: 'pod-a', ...dying }, 'pod-d'])],
        expect: [{ from: ['client', 'node'], to: [at.clusterIP(), 80], reaches: ['pod-d'] }],
      },
    ],
  },
  {
    name: 'policies Local fall back to local terminating endpoints, however many are ready elsewhere',
    steps: (at) => [
      {
        set: [
          full(at, { internal: 'Local', external: 'Local' }),
          slice(at, [{ server: 'pod-a', ...dying }, 'pod-c']),
        ],
        expect: [
          { from: ['client', 'pod-b', 'node'], to: [at.clusterIP(), 80], reaches: ['pod-a'] },
          ...externalFrontends(at).flatMap((to) => [
            { from: outside, to, reaches: ['pod-a'], seenAs: 'itself' } as const,
            { from: 'pod-b', to, reaches: ['pod-c'], seenAs: 'itself' } as const,
          ]),
        ],
      },
      {
        when: 'a local one is ready',
        set: [slice(at, [{ server: 'pod-a', ...dying }, 'pod-b', 'pod-c'])],
        expect: [
          { from: 'client', to: [at.clusterIP(), 80], reaches: ['pod-b'] },
          ...externalFrontends(at).map(
            (to) => ({ from: outside, to, reaches: ['pod-b'], seenAs: 'itself' }) as const,
          ),
        ],
      },
    ],
  },
];
