/** Cluster IPs: who is reached, and who is not. */
import { nodeAddress, servers } from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { assertShare } from '../expect.ts';
import { service, slice, sliceOf } from '../objects.ts';

const everywhere = ['client', 'pod-a', 'node', 'peer'] as const;

export const basics: readonly ConformanceCase[] = [
  {
    name: 'a cluster IP reaches every endpoint, from outside, from pods and from the node',
    steps: (at) => [
      {
        set: [service(at), slice(at, ['pod-a', 'pod-b', 'pod-c', 'pod-d'])],
        expect: [
          {
            from: everywhere,
            to: [at.clusterIP(), 80],
            reaches: ['pod-a', 'pod-b', 'pod-c', 'pod-d'],
          },
        ],
      },
    ],
  },
  {
    name: 'connections spread evenly over the endpoints',
    steps: (at) => [
      {
        set: [
          service(at),
          // pod-b is in both slices, and counts once.
          slice(at, ['pod-a', 'pod-b'], { name: 'web-1' }),
          slice(at, ['pod-b', 'pod-c'], { name: 'web-2' }),
        ],
        check: async (world) => {
          for (const over of ['TCP', 'UDP'] as const) {
            const probes = 450;
            const options = { count: probes, parallel: 16 };
            const counts = await world.count('client', over, [at.clusterIP(), 80], options);
            for (const server of ['pod-a', 'pod-b', 'pod-c']) {
              assertShare(counts[server] ?? 0, probes, 1 / 3, `${over} ${server}`);
            }
          }
        },
      },
    ],
  },
  {
    name: 'every port of a Service has its own endpoints, joined by name and protocol',
    steps: (at) => [
      {
        set: [
          service(at, {
            ports: [
              { name: 'http', port: 80 },
              { name: 'metrics', port: 9090 },
              { name: 'dns', port: 53, protocol: 'UDP' },
              { name: 'dns-tcp', port: 53 },
            ],
          }),
          slice(at, ['pod-a', 'pod-c'], {
            ports: [
              { name: 'http', port: 8080 },
              { name: 'metrics', port: 8081 },
              { name: 'unrelated', port: 8079 },
            ],
          }),
          slice(at, ['pod-b'], {
            name: 'web-2',
            ports: [
              { name: 'dns', port: 8080, protocol: 'UDP' },
              { name: 'dns-tcp', port: 8081 },
              // The name of another port with the wrong protocol joins nothing.
              { name: 'http', port: 8081, protocol: 'UDP' },
            ],
          }),
        ],
        expect: [
          { from: 'client', to: [at.clusterIP(), 80], over: 'TCP', reaches: ['pod-a', 'pod-c'] },
          {
            from: 'client',
            to: [at.clusterIP(), 9090],
            over: 'TCP',
            reaches: ['pod-a:8081', 'pod-c:8081'],
          },
          { from: 'client', to: [at.clusterIP(), 53], over: 'UDP', reaches: ['pod-b'] },
          { from: 'client', to: [at.clusterIP(), 53], over: 'TCP', reaches: ['pod-b:8081'] },
          { from: 'client', to: [at.clusterIP(), 80], over: 'UDP', fails: 'refused' },
          { from: 'client', to: [at.clusterIP(), 8079], over: 'TCP', fails: 'refused' },
        ],
      },
    ],
  },
  {
    name: 'a named port has another number in every slice',
    steps: (at) => [
      {
        set: [
          service(at, { ports: [{ name: 'http', port: 80 }] }),
          slice(at, ['pod-a'], { name: 'web-1', ports: [{ name: 'http', port: 8080 }] }),
          slice(at, ['pod-b'], { name: 'web-2', ports: [{ name: 'http', port: 8081 }] }),
        ],
        expect: [
          {
            from: ['client', 'node'],
            to: [at.clusterIP(), 80],
            over: 'TCP',
            reaches: ['pod-a', 'pod-b:8081'],
          },
        ],
      },
    ],
  },
  {
    name: 'slices of other Services, headless slices and addresses without a port are not used',
    steps: (at) => [
      {
        set: [
          service(at),
          slice(at, ['pod-a']),
          slice(at, ['pod-b'], { name: 'other-1', service: 'other' }),
          slice(at, ['pod-c'], {
            name: 'web-2',
            labels: { 'service.kubernetes.io/headless': '' },
          }),
          slice(at, ['pod-d'], { name: 'web-3', ports: [] }),
        ],
        expect: [{ from: 'client', to: [at.clusterIP(), 80], reaches: ['pod-a'] }],
      },
      {
        when: 'the slice moves to another Service',
        set: [
          slice(at, ['pod-a'], { name: 'web-1', service: 'other' }),
          slice(at, ['pod-b'], { name: 'web-9' }),
        ],
        expect: [{ from: 'client', to: [at.clusterIP(), 80], reaches: ['pod-b'] }],
      },
    ],
  },
  {
    name: 'only ready endpoints are used while there is one',
    steps: (at) => [
      {
        set: [
          service(at),
          slice(at, [
            'pod-a',
            { server: 'pod-b', ready: false },
            { server: 'pod-c', ready: false, serving: true, terminating: true },
          ]),
        ],
        expect: [{ from: ['client', 'pod-b'], to: [at.clusterIP(), 80], reaches: ['pod-a'] }],
      },
      {
        when: 'readiness changes hands',
        set: [slice(at, [{ server: 'pod-a', ready: false }, 'pod-b'])],
        expect: [{ from: ['client', 'pod-b'], to: [at.clusterIP(), 80], reaches: ['pod-b'] }],
      },
      {
        when: 'both are ready',
        set: [slice(at, ['pod-a', 'pod-b'])],
        expect: [
          { from: ['client', 'pod-b'], to: [at.clusterIP(), 80], reaches: ['pod-a', 'pod-b'] },
        ],
      },
    ],
  },
  {
    name: 'of two entries for one endpoint the one that does not terminate counts',
    steps: (at) => [
      {
        set: [
          service(at),
          slice(at, ['pod-a', { server: 'pod-b', ready: false, terminating: true }], {
            name: 'web-1',
          }),
          slice(at, ['pod-b', { server: 'pod-c', ready: false, terminating: true }], {
            name: 'web-2',
          }),
        ],
        expect: [{ from: 'client', to: [at.clusterIP(), 80], reaches: ['pod-a', 'pod-b'] }],
      },
    ],
  },
  {
    name: 'an unknown port of a cluster IP is refused, an unknown cluster IP is left alone',
    steps: (at) => [
      {
        set: [service(at), slice(at, ['pod-a', 'pod-c'])],
        expect: [
          { from: everywhere, to: [at.clusterIP(), 81], fails: 'refused' },
          { from: everywhere, to: [at.clusterIP(), 8080], fails: 'refused' },
          { from: ['client', 'node'], to: [at.clusterIP(1), 80], fails: 'timeout' },
        ],
      },
    ],
  },
  {
    name: 'an endpoint in the network of the node is reached from everywhere',
    steps: (at) => [
      {
        set: [service(at), slice(at, ['host-net', 'pod-c'])],
        expect: [{ from: everywhere, to: [at.clusterIP(), 80], reaches: ['host-net', 'pod-c'] }],
      },
    ],
  },
  {
    name: 'traffic that is not for a Service is left alone',
    steps: (at) => [
      {
        set: [service(at, { nodePort: at.nodePort() }), slice(at, ['pod-a'])],
        expect: [
          {
            from: ['client', 'pod-a', 'peer'],
            to: [servers['pod-b'].address[at.family], 8081],
            reaches: ['pod-b:8081'],
            seenAs: 'itself',
          },
          {
            from: ['client', 'pod-a'],
            to: [nodeAddress[at.family], 8080],
            reaches: ['host-net'],
            seenAs: 'itself',
          },
          { from: 'client', to: [servers['pod-b'].address[at.family], 80], fails: 'refused' },
        ],
      },
    ],
  },
  {
    name: 'a Service serves the families it has a cluster IP for',
    steps: (at) => {
      const other = { ...at, family: at.family === 'IPv4' ? 'IPv6' : 'IPv4' } as const;
      const { spec, ...rest } = service(at);
      const ips =
        at.family === 'IPv4'
          ? ['10.96.250.1', 'fd00:96::250:1']
          : ['fd00:96::251:1', '10.96.251.1'];
      const families = at.family === 'IPv4' ? ['IPv4', 'IPv6'] : ['IPv6', 'IPv4'];
      const withIPs = (count: number) => ({
        ...rest,
        spec: {
          ...(typeof spec === 'object' ? spec : {}),
          clusterIP: ips[0],
          clusterIPs: ips.slice(0, count),
          ipFamilies: families.slice(0, count),
        },
      });
      const [own = '', second = ''] = ips;
      return [
        {
          set: [
            withIPs(2),
            slice(at, ['pod-a', 'pod-c'], { name: 'web-own' }),
            slice(other, ['pod-b'], { name: 'web-other' }),
          ],
          expect: [
            { from: ['client', 'node', 'pod-a'], to: [own, 80], reaches: ['pod-a', 'pod-c'] },
            { from: ['client', 'node', 'pod-a'], to: [second, 80], reaches: ['pod-b'] },
          ],
        },
        {
          when: 'the second family is taken away',
          set: [withIPs(1)],
          expect: [
            { from: 'client', to: [own, 80], reaches: ['pod-a', 'pod-c'] },
            { from: 'client', to: [second, 80], fails: 'timeout' },
          ],
        },
      ];
    },
  },
  {
    name: 'an endpoint entry counts by its first address',
    steps: (at) => [
      {
        set: [
          service(at),
          sliceOf(at, [
            {
              addresses: [servers['pod-a'].address[at.family], servers['pod-b'].address[at.family]],
            },
          ]),
        ],
        expect: [{ from: ['client', 'pod-a'], to: [at.clusterIP(), 80], reaches: ['pod-a'] }],
      },
    ],
  },
];
