/** Source ranges of load-balancer IPs: who is let in. */
import { clientAddress, nodeAddress, otherClientAddress } from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { service, slice } from '../objects.ts';
import type { Place } from '../place.ts';

const inside = ['pod-a', 'node'] as const;
const everywhere = ['client', 'peer', ...inside] as const;

/** The range of one address. */
const host = (at: Place, address: string): string =>
  `${address}/${at.family === 'IPv4' ? 32 : 128}`;
const other = (at: Place): string => otherClientAddress[at.family];

export const sourceRanges: readonly ConformanceCase[] = [
  {
    name: 'source ranges guard the load-balancer IPs and nothing else',
    steps: (at) => {
      const guarded = (ranges: readonly string[]) =>
        service(at, {
          nodePort: at.nodePort(),
          externalIPs: [at.externalIP()],
          loadBalancerIPs: [at.loadBalancerIP()],
          sourceRanges: ranges,
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
            await world.withAddress(vip, async () => {
              const bound = { from: 'node', source: vip, to: [vip, 80] } as const;
              await world.expect([{ ...bound, reaches: ['pod-a', 'pod-c'] }]);
              await world.change({ set: [guarded(host(at, clientAddress[at.family]))] });
              await world.expect([{ ...bound, fails: 'timeout' }]);
            });
          },
        },
      ];
    },
  },
];
