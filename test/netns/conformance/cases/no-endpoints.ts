/** Services without endpoints are refused at once, on every kind of frontend. */
import { nodeAddress, servers } from '../../../lab/topology.ts';
import type { ConformanceCase, Expectation } from '../case.ts';
import { service, slice, type ServiceOptions } from '../objects.ts';
import type { Place } from '../place.ts';

const everywhere = ['client', 'peer', 'pod-a', 'node'] as const;

function full(at: Place, options: ServiceOptions = {}) {
  return service(at, {
    nodePort: at.nodePort(),
    externalIPs: [at.externalIP()],
    loadBalancerIPs: [at.loadBalancerIP()],
    ...options,
  });
}

function frontendsOf(at: Place): readonly (readonly [string, number])[] {
  return [
    [at.clusterIP(), 80],
    [nodeAddress[at.family], at.nodePort()],
    [at.externalIP(), 80],
    [at.loadBalancerIP(), 80],
  ];
}

function allRefuse(at: Place): readonly Expectation[] {
  return frontendsOf(at).map((to) => ({ from: everywhere, to, fails: 'refused' }));
}

function allReach(at: Place, server: 'pod-b' | 'pod-c'): readonly Expectation[] {
  return frontendsOf(at).map((to) => ({ from: everywhere, to, reaches: [server] }));
}

export const noEndpoints: readonly ConformanceCase[] = [
  {
    name: 'a Service without slices is refused at once, and served as soon as it has an endpoint',
    steps: (at) => [
      { set: [full(at)], expect: allRefuse(at) },
      { when: 'an endpoint', set: [slice(at, ['pod-c'])], expect: allReach(at, 'pod-c') },
      { when: 'none again', set: [slice(at, [])], expect: allRefuse(at) },
      { when: 'another one', set: [slice(at, ['pod-b'])], expect: allReach(at, 'pod-b') },
      { when: 'no slice', remove: [slice(at, [])], expect: allRefuse(at) },
    ],
  },
  {
    name: 'endpoints that are not ready and do not serve are no endpoints',
    steps: (at) => [
      {
        set: [
          full(at),
          slice(at, [
            { server: 'pod-a', ready: false },
            { server: 'pod-b', ready: false, serving: false, terminating: true },
            { server: 'pod-c', ready: false, serving: true },
          ]),
        ],
        expect: allRefuse(at),
      },
    ],
  },
  {
    name: 'policies Local refuse as long as there is no endpoint anywhere',
    steps: (at) => [
      {
        set: [full(at, { external: 'Local', internal: 'Local' })],
        expect: allRefuse(at),
      },
    ],
  },
  {
    name: 'what no Service has of a Service range leads nowhere',
    steps: (at) => {
      const address = servers['pod-c'].address[at.family];
      const direct = { from: ['client', 'pod-a', 'node'], to: [address, 8080] } as const;
      const served: Expectation = {
        from: everywhere,
        to: [at.clusterIP(), 80],
        reaches: ['pod-c'],
      };
      return [
        {
          set: [service(at), slice(at, ['pod-c'])],
          expect: [{ ...direct, reaches: ['pod-c'] }, served],
        },
        {
          when: 'the address of an endpoint is in such a range',
          setup: { serviceCidrs: ['10.244.2.8/29', 'fd00:244:2::10/125'] },
          expect: [{ ...direct, fails: 'timeout' }, served],
        },
        {
          when: 'the range is gone',
          setup: { serviceCidrs: ['10.244.2.0/29', 'fd00:244:2::/125'] },
          expect: [{ ...direct, reaches: ['pod-c'] }, served],
        },
      ];
    },
  },
  {
    name: 'a port without endpoints is refused while another port of the Service is served',
    steps: (at) => [
      {
        set: [
          service(at, {
            ports: [
              { name: 'good', port: 80 },
              { name: 'lonely', port: 81 },
            ],
          }),
          slice(at, ['pod-c'], { ports: [{ name: 'good', port: 8080 }] }),
        ],
        expect: [
          { from: everywhere, to: [at.clusterIP(), 80], over: 'TCP', reaches: ['pod-c'] },
          { from: everywhere, to: [at.clusterIP(), 81], over: 'TCP', fails: 'refused' },
        ],
      },
    ],
  },
];
