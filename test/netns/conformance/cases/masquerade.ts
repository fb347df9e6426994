/** Whose address the endpoint sees. */
import { nodeAddress, podInterfacePrefix, podInterfaces, servers } from '../../../lab/topology.ts';
import type { ConformanceCase, Expectation } from '../case.ts';
import { service, slice } from '../objects.ts';
import type { Place } from '../place.ts';
import { defaultSetup } from '../world.ts';

const byInterface = (name: string) => ({
  flags: { 'detect-local-mode': 'BridgeInterface', 'pod-bridge-interface': name },
});

/** An endpoint on this node and one elsewhere, neither of them a client of the cases. */
const endpoints = ['pod-b', 'pod-c'] as const;
const reaches = endpoints;

/** The address of another node's pod, which the peer has. */
const remotePod = (at: Place): string => servers['pod-d'].address[at.family];

function toClusterIP(
  at: Place,
  from: 'client' | 'pod-a' | 'node',
  seenAs: 'itself' | 'node',
): Expectation {
  return { from, to: [at.clusterIP(), 80], reaches, seenAs };
}

export const masquerade: readonly ConformanceCase[] = [
  {
    name: 'with a cluster CIDR, traffic to cluster IPs is masqueraded unless it comes from a pod',
    steps: (at) => [
      {
        set: [
          service(at),
          slice(at, endpoints),
          service(at, { name: 'near', clusterIP: at.clusterIP(1) }),
          slice(at, ['pod-b'], { service: 'near', name: 'near-1' }),
        ],
        expect: [
          toClusterIP(at, 'client', 'node'),
          toClusterIP(at, 'node', 'node'),
          toClusterIP(at, 'pod-a', 'itself'),
          {
            from: 'peer',
            source: remotePod(at),
            to: [at.clusterIP(1), 80],
            reaches: ['pod-b'],
            seenAs: 'itself',
          },
          // Nor is what is for no Service.
          {
            from: 'client',
            to: [servers['pod-b'].address[at.family], 8080],
            reaches: ['pod-b'],
            seenAs: 'itself',
          },
        ],
      },
    ],
  },
  {
    name: 'masqueradeAll masquerades pods too, and switches off again',
    steps: (at) => [
      {
        setup: { flags: { ...defaultSetup.flags, 'masquerade-all': 'true' } },
        set: [service(at), slice(at, endpoints)],
        expect: [
          toClusterIP(at, 'client', 'node'),
          toClusterIP(at, 'node', 'node'),
          toClusterIP(at, 'pod-a', 'node'),
          // It is for Services, not for everything a pod does.
          {
            from: 'pod-a',
            to: [servers['pod-b'].address[at.family], 8080],
            reaches: ['pod-b'],
            seenAs: 'itself',
          },
        ],
      },
      { setup: defaultSetup, expect: [toClusterIP(at, 'pod-a', 'itself')] },
    ],
  },
  {
    name: 'local traffic can be told by the name or the prefix of the interface',
    steps: (at) => {
      const near: Expectation = {
        from: 'peer',
        source: remotePod(at),
        to: [at.clusterIP(1), 80],
        reaches: ['pod-b'],
        seenAs: 'node',
      };
      return [
        {
          when: 'by prefix',
          setup: {
            flags: {
              'detect-local-mode': 'InterfaceNamePrefix',
              'pod-interface-name-prefix': podInterfacePrefix,
            },
          },
          set: [
            service(at),
            slice(at, endpoints),
            service(at, { name: 'near', clusterIP: at.clusterIP(1) }),
            slice(at, ['pod-b'], { service: 'near', name: 'near-1' }),
          ],
          expect: [
            toClusterIP(at, 'client', 'node'),
            toClusterIP(at, 'node', 'node'),
            toClusterIP(at, 'pod-a', 'itself'),
            // Pods of other nodes do not come over a pod interface.
            near,
          ],
        },
        {
          when: 'by name',
          setup: byInterface(podInterfaces['pod-a']),
          expect: [toClusterIP(at, 'client', 'node'), toClusterIP(at, 'pod-a', 'itself'), near],
        },
        {
          when: 'by the name of another interface',
          setup: byInterface(podInterfaces['pod-b']),
          expect: [toClusterIP(at, 'client', 'node'), toClusterIP(at, 'pod-a', 'node')],
        },
      ];
    },
  },
  {
    name: 'local traffic can be told by the pod CIDRs of the node',
    steps: (at) => [
      {
        setup: { flags: { 'detect-local-mode': 'NodeCIDR' } },
        set: [service(at), slice(at, ['pod-b'])],
        expect: [
          {
            from: ['client', 'node'],
            to: [at.clusterIP(), 80],
            reaches: ['pod-b'],
            seenAs: 'node',
          },
          { from: 'pod-a', to: [at.clusterIP(), 80], reaches: ['pod-b'], seenAs: 'itself' },
          // A pod, but one of another node.
          {
            from: 'peer',
            source: remotePod(at),
            to: [at.clusterIP(), 80],
            reaches: ['pod-b'],
            seenAs: 'node',
          },
        ],
      },
    ],
  },
  {
    name: 'without a way to tell local traffic, traffic to cluster IPs keeps its address',
    steps: (at) => [
      {
        setup: { flags: {} },
        set: [service(at), slice(at, endpoints)],
        expect: [toClusterIP(at, 'client', 'itself'), toClusterIP(at, 'pod-a', 'itself')],
      },
    ],
  },
  {
    name: 'external traffic is masqueraded under traffic policy Cluster, whoever sends it',
    steps: (at) => [
      {
        set: [
          service(at, {
            nodePort: at.nodePort(),
            externalIPs: [at.externalIP()],
            loadBalancerIPs: [at.loadBalancerIP()],
          }),
          slice(at, endpoints),
        ],
        expect: [
          [nodeAddress[at.family], at.nodePort()] as const,
          [at.externalIP(), 80] as const,
          [at.loadBalancerIP(), 80] as const,
        ].map((to) => ({ from: ['client', 'pod-a', 'node'], to, reaches, seenAs: 'node' })),
      },
    ],
  },
  {
    name: 'a pod reaches itself through its Service',
    steps: (at) => {
      const full = (external: 'Cluster' | 'Local') =>
        service(at, {
          nodePort: at.nodePort(),
          externalIPs: [at.externalIP()],
          loadBalancerIPs: [at.loadBalancerIP()],
          external,
        });
      const frontends = [
        [at.clusterIP(), 80],
        [nodeAddress[at.family], at.nodePort()],
        [at.externalIP(), 80],
        [at.loadBalancerIP(), 80],
      ] as const;
      const itself = frontends.map(
        (to) => ({ from: 'pod-a', to, reaches: ['pod-a'], seenAs: 'node' }) as const,
      );
      return [
        { set: [full('Cluster'), slice(at, ['pod-a'])], expect: itself },
        { when: 'under policy Local', set: [full('Local')], expect: itself },
        {
          when: 'the endpoint is another pod of the node',
          set: [slice(at, ['pod-b'])],
          expect: frontends.map((to) => ({
            from: 'pod-a',
            to,
            reaches: ['pod-b'],
            // Both pods are endpoints here or there; only a pod that meets itself is masqueraded.
            seenAs: 'itself',
          })),
        },
        {
          when: 'nothing tells local traffic',
          setup: { flags: {} },
          set: [slice(at, ['pod-a'])],
          expect: [itself[0]].flatMap((row) => row ?? []),
        },
      ];
    },
  },
  {
    name: 'two endpoints of one node reach each other through their Service with their own address',
    steps: (at) => [
      {
        set: [service(at), slice(at, ['pod-a', 'pod-b'])],
        check: async (world) => {
          const results = await world.probe('pod-a', 'TCP', [at.clusterIP(), 80], {
            count: 60,
            parallel: 8,
          });
          const seen = { 'pod-a': new Set<string>(), 'pod-b': new Set<string>() };
          for (const result of results) {
            if (!result.ok) throw new Error(`a probe failed: ${result.error}`);
            if (result.server === 'pod-a' || result.server === 'pod-b') {
              seen[result.server].add(result.peer);
            }
          }
          const own = servers['pod-a'].address[at.family];
          if (seen['pod-a'].has(own) || seen['pod-a'].size === 0) {
            throw new Error(`pod-a saw itself as ${[...seen['pod-a']].join(' ')}`);
          }
          if (!seen['pod-b'].has(own) || seen['pod-b'].size !== 1) {
            throw new Error(`pod-b saw pod-a as ${[...seen['pod-b']].join(' ')}`);
          }
        },
      },
    ],
  },
];
