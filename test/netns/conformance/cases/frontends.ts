/** Node ports, external IPs, and load-balancer IPs. */
import { clientAddress, nodeAddress, nodeSecondAddress, servers } from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { service, slice } from '../objects.ts';
import type { Place } from '../place.ts';

const inside = ['pod-a', 'node'] as const;
const everywhere = ['client', 'peer', ...inside] as const;

const loopback = (at: Place): string => (at.family === 'IPv4' ? '127.0.0.1' : '::1');

export const frontends: readonly ConformanceCase[] = [
  {
    name: 'a node port answers on the own address of the node and nowhere else',
    steps: (at) => [
      {
        set: [service(at, { nodePort: at.nodePort() }), slice(at, ['pod-a', 'pod-c'])],
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
        setup: { flags: { 'nodeport-addresses': '0.0.0.0/0,::/0' } },
        set: [service(at, { nodePort: at.nodePort() }), slice(at, ['pod-a', 'pod-c'])],
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
        when: 'on those in a range',
        setup: { flags: { 'nodeport-addresses': '192.0.2.0/24,2001:db8:2::/64' } },
        expect: [
          {
            from: 'client',
            to: [nodeSecondAddress[at.family], at.nodePort()],
            reaches: ['pod-a', 'pod-c'],
          },
          { from: 'client', to: [nodeAddress[at.family], at.nodePort()], fails: 'refused' },
        ],
      },
      {
        when: 'they are narrowed down again',
        setup: { flags: { 'nodeport-addresses': 'primary' } },
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
        expect: [0, 1].map((index) => ({
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
    name: 'Services that share an address keep their own policy, source ranges and affinity',
    steps: (at) => {
      const shared = { loadBalancerIPs: [at.loadBalancerIP()] };
      const strict = service(at, {
        ...shared,
        external: 'Local',
        sourceRanges: [clientAddress.IPv4, clientAddress.IPv6].map((address) =>
          address.includes(':') ? `${address}/128` : `${address}/32`,
        ),
        affinitySeconds: 600,
      });
      const open = service(at, {
        ...shared,
        name: 'open',
        clusterIP: at.clusterIP(1),
        ports: [
          { name: 'tcp', port: 81 },
          { name: 'udp', port: 81, protocol: 'UDP' },
        ],
      });
      const all = ['pod-a', 'pod-b', 'pod-c'] as const;
      const toStrict = [at.loadBalancerIP(), 80] as const;
      const toOpen = [at.loadBalancerIP(), 81] as const;
      return [
        {
          set: [
            strict,
            slice(at, ['pod-a', 'pod-c']),
            open,
            slice(at, all, { service: 'open', name: 'open-1' }),
          ],
          expect: [
            { from: 'client', to: toStrict, reaches: ['pod-a'], seenAs: 'itself' },
            { from: 'pod-b', to: toStrict, fails: 'timeout' },
            { from: ['client', 'pod-b'], to: toOpen, reaches: all, seenAs: 'node' },
          ],
        },
        {
          when: 'the strict one goes',
          remove: [strict],
          expect: [
            { from: ['client', 'pod-b'], to: toOpen, reaches: all, seenAs: 'node' },
            { from: ['client', 'pod-b'], to: toStrict, fails: 'timeout' },
          ],
        },
      ];
    },
  },
];
