/** Services and slices that change, come and go while traffic runs. */
import { nodeAddress } from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { service, slice } from '../objects.ts';

const from = ['client', 'pod-b', 'node'] as const;

export const lifecycle: readonly ConformanceCase[] = [
  {
    name: 'a Service port gets another number',
    steps: (at) => {
      const onPort = (port: number) => service(at, { ports: [{ name: 'tcp', port }] });
      return [
        {
          set: [onPort(80), slice(at, ['pod-a', 'pod-c'])],
          expect: [
            { from, over: 'TCP', to: [at.clusterIP(), 80], reaches: ['pod-a', 'pod-c'] },
            { from, to: [at.clusterIP(), 81], fails: 'refused' },
          ],
        },
        {
          set: [onPort(81)],
          expect: [
            { from, over: 'TCP', to: [at.clusterIP(), 81], reaches: ['pod-a', 'pod-c'] },
            { from, to: [at.clusterIP(), 80], fails: 'refused' },
          ],
        },
      ];
    },
  },
  {
    name: 'ports and protocols are added to a Service and taken away',
    steps: (at) => {
      const tcp = { name: 'tcp', port: 80 };
      const udp = { name: 'udp', port: 80, protocol: 'UDP' } as const;
      const to = [at.clusterIP(), 80] as const;
      return [
        {
          set: [service(at, { ports: [tcp] }), slice(at, ['pod-a'])],
          expect: [
            { from, over: 'TCP', to, reaches: ['pod-a'] },
            { from, over: 'UDP', to, fails: 'refused' },
          ],
        },
        { set: [service(at, { ports: [tcp, udp] })], expect: [{ from, to, reaches: ['pod-a'] }] },
        {
          set: [service(at, { ports: [udp] })],
          expect: [
            { from, over: 'UDP', to, reaches: ['pod-a'] },
            { from, over: 'TCP', to, fails: 'refused' },
          ],
        },
      ];
    },
  },
  {
    name: 'a Service is made again with another cluster IP',
    steps: (at) => [
      {
        set: [service(at), slice(at, ['pod-a'])],
        expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-a'] }],
      },
      {
        remove: [service(at)],
        expect: [{ from, to: [at.clusterIP(), 80], fails: 'timeout' }],
      },
      {
        set: [service(at, { clusterIP: at.clusterIP(1) })],
        expect: [
          { from, to: [at.clusterIP(0), 80], fails: 'timeout' },
          { from, to: [at.clusterIP(0), 81], fails: 'timeout' },
          { from, to: [at.clusterIP(1), 80], reaches: ['pod-a'] },
        ],
      },
    ],
  },
  {
    name: 'slices may come before their Service and stay after it',
    steps: (at) => [
      {
        set: [slice(at, ['pod-a'])],
        expect: [{ from, to: [at.clusterIP(), 80], fails: 'timeout' }],
      },
      { set: [service(at)], expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-a'] }] },
      { remove: [service(at)], set: [slice(at, ['pod-c'])] },
      { set: [service(at)], expect: [{ from, to: [at.clusterIP(), 80], reaches: ['pod-c'] }] },
      {
        remove: [slice(at, ['pod-c']), service(at)],
        expect: [{ from, to: [at.clusterIP(), 80], fails: 'timeout' }],
      },
    ],
  },
  {
    name: 'a Service changes its type, up and down',
    steps: (at) => {
      const nodePort = [nodeAddress[at.family], at.nodePort()] as const;
      const cluster = [at.clusterIP(), 80] as const;
      const vip = [at.loadBalancerIP(), 80] as const;
      const reached = { from, reaches: ['pod-a', 'pod-c'] } as const;
      const loadBalancer = service(at, {
        nodePort: at.nodePort(),
        loadBalancerIPs: [at.loadBalancerIP()],
      });
      return [
        {
          when: 'ClusterIP',
          set: [service(at), slice(at, ['pod-a', 'pod-c'])],
          expect: [
            { ...reached, to: cluster },
            { from, to: nodePort, fails: 'refused' },
            { from, to: vip, fails: 'timeout' },
          ],
        },
        {
          when: 'NodePort',
          set: [service(at, { nodePort: at.nodePort() })],
          expect: [
            { ...reached, to: cluster },
            { ...reached, to: nodePort },
            { from, to: vip, fails: 'timeout' },
          ],
        },
        {
          when: 'LoadBalancer',
          set: [loadBalancer],
          expect: [cluster, nodePort, vip].map((to) => Object.assign({ to }, reached)),
        },
        {
          when: 'LoadBalancer without node ports, and another address',
          set: [service(at, { loadBalancerIPs: [at.loadBalancerIP(1)] })],
          expect: [
            { ...reached, to: cluster },
            { ...reached, to: [at.loadBalancerIP(1), 80] },
            { from, to: nodePort, fails: 'refused' },
            { from, to: vip, fails: 'timeout' },
          ],
        },
        {
          when: 'ExternalName',
          set: [service(at, { type: 'ExternalName' })],
          expect: [
            { from, to: cluster, fails: 'timeout' },
            { from, to: [at.loadBalancerIP(1), 80], fails: 'timeout' },
          ],
        },
        {
          when: 'ClusterIP again',
          set: [service(at)],
          expect: [
            { ...reached, to: cluster },
            { from, to: nodePort, fails: 'refused' },
          ],
        },
      ];
    },
  },
  {
    name: 'headless Services and those of another proxy are not served, and may change that',
    steps: (at) => {
      const reached = { from, to: [at.clusterIP(), 80], reaches: ['pod-a'] } as const;
      const silent = { from, to: [at.clusterIP(), 80], fails: 'timeout' } as const;
      const labels = { 'service.kubernetes.io/service-proxy-name': '' };
      return [
        { set: [service(at, { labels }), slice(at, ['pod-a'])], expect: [silent] },
        { when: 'the label goes', set: [service(at)], expect: [reached] },
        { when: 'the label comes', set: [service(at, { labels })], expect: [silent] },
        { when: 'headless', set: [service(at, { clusterIP: 'None' })], expect: [silent] },
        { when: 'served again', set: [service(at)], expect: [reached] },
        {
          when: 'its slice becomes headless',
          set: [slice(at, ['pod-a'], { labels: { 'service.kubernetes.io/headless': 'yes' } })],
          expect: [{ from, to: [at.clusterIP(), 80], fails: 'refused' }],
        },
      ];
    },
  },
  {
    name: 'the oldest of two Services has the external IP both claim, and the other one after it',
    steps: (at) => {
      const externalIPs = [at.externalIP()];
      const old = service(at, { name: 'old', createdAt: '2026-01-01T00:00:00Z', externalIPs });
      const young = service(at, {
        name: 'young',
        createdAt: '2026-01-02T00:00:00Z',
        clusterIP: at.clusterIP(1),
        externalIPs,
        ports: [
          { name: 'tcp', port: 80 },
          { name: 'udp', port: 80, protocol: 'UDP' },
          { name: 'own', port: 81 },
        ],
      });
      const slices = [
        slice(at, ['pod-a'], { service: 'old', name: 'old-1' }),
        slice(at, ['pod-c'], {
          service: 'young',
          name: 'young-1',
          ports: [
            { name: 'tcp', port: 8080 },
            { name: 'udp', port: 8080, protocol: 'UDP' },
            { name: 'own', port: 8081 },
          ],
        }),
      ];
      const to = [at.externalIP(), 80] as const;
      return [
        { set: [young, ...slices], expect: [{ from, to, reaches: ['pod-c'] }] },
        {
          when: 'the older one comes second',
          set: [old],
          expect: [
            { from, to, reaches: ['pod-a'] },
            { from, over: 'TCP', to: [at.externalIP(), 81], reaches: ['pod-c:8081'] },
            { from, to: [at.clusterIP(1), 80], reaches: ['pod-c'] },
          ],
        },
        { when: 'the older one goes', remove: [old], expect: [{ from, to, reaches: ['pod-c'] }] },
        { when: 'it is back', set: [old], expect: [{ from, to, reaches: ['pod-a'] }] },
        {
          when: 'the younger one goes',
          remove: [young],
          expect: [
            { from, to, reaches: ['pod-a'] },
            { from, over: 'TCP', to: [at.externalIP(), 81], fails: 'timeout' },
          ],
        },
      ];
    },
  },
];
