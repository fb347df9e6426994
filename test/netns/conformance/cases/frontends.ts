/** Node ports, external IPs, load-balancer IPs and their source ranges. */
import {
  clientAddress,
  nodeAddress,
  nodeSecondAddress,
  otherClientAddress,
  servers,
} from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { service, slice } from '../objects.ts';
import type { Place } from '../place.ts';

const inside = ['pod-a', 'node'] as const;
const everywhere = ['client', 'peer', ...inside] as const;

const loopback = (at: Place): string => (at.family === 'IPv4' ? '127.0.0.1' : '::1');
/** The range of one address. */
const host = (at: Place, address: string): string =>
  `${address}/${at.family === 'IPv4' ? 32 : 128}`;
const other = (at: Place): string => otherClientAddress[at.family];

export const frontends: readonly ConformanceCase[] = [
  {
    name: 'a node port answers on the own address of the node and nowhere else',
    steps: (at) => [
      {
        set: [
          service(at, { nodePort: at.nodePort() }),
          slice(at, ['pod-a', 'pod-c']),
        ],
        expect: [
          {
            from: everywhere,
            to: [nodeAddress[at.family], at.nodePort()],
            reaches: ['pod-a', 'pod-c'],
          },
          {
            from: ['client', 'pod-b'],
            to: [nodeSecondAddress[at.family], at.nodePort()],
            fails: 'refused',
          },
          { from: 'node', to: [loopback(at), at.nodePort()], fails: 'refused' },
          { from: 'client', to: [at.clusterIP(), at.nodePort()], fails: 'refused' },
          {
            from: 'client',
            to: [servers['pod-b'].address[at.family], at.nodePort()],
            fails: 'refused',
          },
          { from: 'client', to: [nodeAddress[at.family], 80], fails: 'refused' },
          { from: 'client', to: [nodeAddress[at.family], at.nodePort(1)], fails: 'refused' },
        ],
      },
    ],
  },
  {
    name: 'a node port answers on every address of the node when told so, except loopback',
    steps: (at) => [
      {
        setup: { nodePortAddresses: 'all' },
        set: [
          service(at, { nodePort: at.nodePort() }),
          slice(at, ['pod-a', 'pod-c']),
        ],
        expect: [nodeAddress, nodeSecondAddress].flatMap((address) => ({
          from: everywhere,
          to: [address[at.family], at.nodePort()] as const,
          reaches: ['pod-a', 'pod-c'] as const,
        })),
      },
      {
        expect: [{ from: 'node', to: [loopback(at), at.nodePort()], fails: 'refused' }],
      },
      {
        when: 'they are narrowed down again',
        setup: { nodePortAddresses: 'primary' },
        expect: [
          {
            from: 'client',
            to: [nodeAddress[at.family], at.nodePort()],
            reaches: ['pod-a', 'pod-c'],
          },
          {
            from: 'client',
            to: [nodeSecondAddress[at.family], at.nodePort()],
            fails: 'refused',
          },
        ],
      },
    ],
  },
  {
    name: 'every port has its own node port',
    steps: (at) => [
      {
        set: [
          service(at, {
            ports: [
              { name: 'one', port: 80, nodePort: at.nodePort(0) },
              { name: 'two', port: 81, nodePort: at.nodePort(1) },
              { name: 'none', port: 82 },
            ],
          }),
          slice(at, ['pod-a', 'pod-c'], {
            ports: [
              { name: 'one', port: 8080 },
              { name: 'two', port: 8081 },
              { name: 'none', port: 8080 },
            ],
          }),
        ],
        expect: [
          {
            from: 'client',
            to: [nodeAddress[at.family], at.nodePort(0)],
            over: 'TCP',
            reaches: ['pod-a', 'pod-c'],
          },
          {
            from: 'client',
            to: [nodeAddress[at.family], at.nodePort(1)],
            over: 'TCP',
            reaches: ['pod-a:8081', 'pod-c:8081'],
          },
          // Nothing is served over a protocol that the Service does not have.
          {
            from: 'client',
            to: [nodeAddress[at.family], at.nodePort(0)],
            over: 'UDP',
            fails: 'refused',
          },
        ],
      },
    ],
  },
  {
    name: 'an external IP answers on the ports of the Service',
    steps: (at) => [
      {
        set: [
          service(at, { externalIPs: [at.externalIP(0), at.externalIP(1)] }),
          slice(at, ['pod-a', 'pod-c']),
        ],
        expect: [0, 1]
          .map((index) => ({
            from: everywhere,
            to: [at.externalIP(index), 80] as const,
            reaches: ['pod-a', 'pod-c'] as const,
          })),
      },
      {
        when: 'other ports are not the proxy’s business',
        expect: [{ from: ['client', 'pod-b'], to: [at.externalIP(), 81], fails: 'timeout' }],
      },
      {
        when: 'one is taken away',
        set: [service(at, { externalIPs: [at.externalIP(1)] })],
        expect: [
          { from: everywhere, to: [at.externalIP(0), 80], fails: 'timeout' },
          { from: everywhere, to: [at.externalIP(1), 80], reaches: ['pod-a', 'pod-c'] },
        ],
      },
    ],
  },
  {
    name: 'a load-balancer IP answers, unless the load balancer is a proxy',
    steps: (at) => [
      {
        set: [
          service(at, {
            nodePort: at.nodePort(),
            loadBalancerIPs: [
              at.loadBalancerIP(0),
              { ip: at.loadBalancerIP(1), ipMode: 'VIP' },
              { ip: at.loadBalancerIP(2), ipMode: 'Proxy' },
            ],
          }),
          slice(at, ['pod-a', 'pod-c']),
        ],
        expect: [
          { from: everywhere, to: [at.loadBalancerIP(0), 80], reaches: ['pod-a', 'pod-c'] },
          { from: everywhere, to: [at.loadBalancerIP(1), 80], reaches: ['pod-a', 'pod-c'] },
          { from: everywhere, to: [at.loadBalancerIP(2), 80], fails: 'timeout' },
          { from: 'client', to: [at.loadBalancerIP(0), 81], fails: 'timeout' },
        ],
      },
    ],
  },
  {
    name: 'source ranges guard the load-balancer IPs and nothing else',
    steps: (at) => {
      const guarded = (sourceRanges: readonly string[]) =>
        service(at, {
          nodePort: at.nodePort(),
          externalIPs: [at.externalIP()],
          loadBalancerIPs: [at.loadBalancerIP()],
          sourceRanges,
        });
      const denied = { source: other(at), fails: 'timeout' } as const;
      return [
        {
          set: [
            guarded([host(at, clientAddress[at.family]), '198.51.100.0/24', '2001:db8:ffff::/48']),
            slice(at, ['pod-a', 'pod-c']),
          ],
          expect: [
            { from: 'client', to: [at.loadBalancerIP(), 80], reaches: ['pod-a', 'pod-c'] },
            { from: 'client', to: [at.loadBalancerIP(), 80], ...denied },
            { from: ['pod-b', 'peer', 'node'], to: [at.loadBalancerIP(), 80], fails: 'timeout' },
            ...[at.clusterIP(), at.externalIP()].map((address) => ({
              from: 'client' as const,
              source: other(at),
              to: [address, 80] as const,
              reaches: ['pod-a', 'pod-c'] as const,
            })),
            {
              from: 'client',
              source: other(at),
              to: [nodeAddress[at.family], at.nodePort()],
              reaches: ['pod-a', 'pod-c'],
            },
          ],
        },
        {
          when: 'the ranges change',
          set: [guarded([host(at, other(at))])],
          expect: [
            { from: 'client', to: [at.loadBalancerIP(), 80], fails: 'timeout' },
            {
              from: 'client',
              source: other(at),
              to: [at.loadBalancerIP(), 80],
              reaches: ['pod-a', 'pod-c'],
            },
          ],
        },
        {
          when: 'the ranges go',
          set: [guarded([])],
          expect: [
            { from: everywhere, to: [at.loadBalancerIP(), 80], reaches: ['pod-a', 'pod-c'] },
          ],
        },
        {
          when: 'ranges of the other family only',
          set: [guarded([at.family === 'IPv4' ? '2001:db8:ffff::/48' : '198.51.100.0/24'])],
          expect: [{ from: 'client', to: [at.loadBalancerIP(), 80], reaches: ['pod-a', 'pod-c'] }],
        },
        {
          when: 'overlapping ranges',
          set: [
            guarded(
              at.family === 'IPv4'
                ? ['192.0.2.0/24', '192.0.2.0/30', '192.0.2.2/32', '192.0.2.2/32']
                : ['2001:db8:2::/64', '2001:db8:2::/126', '2001:db8:2::2/128'],
            ),
          ],
          expect: [
            { from: 'client', to: [at.loadBalancerIP(), 80], reaches: ['pod-a', 'pod-c'] },
            { from: 'pod-b', to: [at.loadBalancerIP(), 80], fails: 'timeout' },
          ],
        },
      ];
    },
  },
  {
    name: 'a source that is denied is denied also without endpoints and under traffic policy Local',
    steps: (at) => {
      const guarded = (external: 'Cluster' | 'Local') =>
        service(at, {
          external,
          loadBalancerIPs: [at.loadBalancerIP()],
          sourceRanges: [host(at, clientAddress[at.family])],
        });
      const to = [at.loadBalancerIP(), 80] as const;
      return [
        {
          set: [guarded('Cluster')],
          expect: [
            { from: 'client', to, fails: 'refused' },
            { from: 'client', source: other(at), to, fails: 'timeout' },
          ],
        },
        {
          set: [guarded('Local'), slice(at, ['pod-a', 'pod-c'])],
          expect: [
            { from: 'client', to, reaches: ['pod-a'], seenAs: 'itself' },
            { from: 'client', source: other(at), to, fails: 'timeout' },
            { from: ['pod-b', 'node'], to, fails: 'timeout' },
          ],
        },
      ];
    },
  },
  {
    name: 'a range that covers the node lets connections of the node pass whose source is the virtual address',
    steps: (at) => {
      const vip = at.loadBalancerIP();
      const guarded = (range: string) =>
        service(at, { loadBalancerIPs: [vip], sourceRanges: [range] });
      const bind = (verb: 'add' | 'del'): string =>
        `ip addr ${verb} ${host(at, vip)} dev lo${verb === 'add' && at.family === 'IPv6' ? ' nodad' : ''}`;
      return [
        {
          set: [guarded(host(at, nodeAddress[at.family])), slice(at, ['pod-a', 'pod-c'])],
          expect: [
            { from: 'node', to: [vip, 80], reaches: ['pod-a', 'pod-c'] },
            { from: 'client', to: [vip, 80], fails: 'timeout' },
          ],
        },
        {
          when: 'the address is bound on the node, as some load balancers do',
          check: async (world) => {
            world.shell('node', bind('add'));
            try {
              await world.expect([
                { from: 'node', source: vip, to: [vip, 80], reaches: ['pod-a', 'pod-c'] },
              ]);
              await world.change({ set: [guarded(host(at, clientAddress[at.family]))] });
              await world.expect([{ from: 'node', source: vip, to: [vip, 80], fails: 'timeout' }]);
            } finally {
              world.shell('node', bind('del'));
            }
          },
        },
      ];
    },
  },
];
