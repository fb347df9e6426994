/** UDP flows: the kernel remembers where a flow went, and must forget what is stale and nothing else. */
import assert from 'node:assert/strict';
import { nodeAddress } from '../../../lab/topology.ts';
import type { ConformanceCase, Expectation } from '../case.ts';
import { service, slice, type ServiceOptions } from '../objects.ts';
import type { Place } from '../place.ts';
import type { World } from '../world.ts';

type Frontend = readonly [address: string, port: number];

function full(at: Place, options: ServiceOptions = {}) {
  return service(at, {
    nodePort: at.nodePort(),
    externalIPs: [at.externalIP()],
    loadBalancerIPs: [at.loadBalancerIP()],
    ...options,
  });
}

function frontendsOf(at: Place): readonly Frontend[] {
  return [
    [at.clusterIP(), 80],
    [nodeAddress[at.family], at.nodePort()],
    [at.externalIP(), 80],
    [at.loadBalancerIP(), 80],
  ];
}

const hosts = ['client', 'pod-b', 'node'] as const;

/** A flow with a fixed source port from each host to each frontend; all have the same result. */
function flows(
  at: Place,
  result: { reaches: readonly ['pod-a' | 'pod-c' | 'pod-d'] } | { fails: 'refused' | 'timeout' },
): readonly Expectation[] {
  return frontendsOf(at).map((to, index) =>
    Object.assign(
      { from: hosts, over: 'UDP', to, sourcePort: at.sourcePort(index) } as const,
      result,
    ),
  );
}

/** The source port under which the endpoint sees a flow of the client: masquerading chooses it once for each entry. */
async function seenPort(world: World, to: Frontend, sourcePort: number): Promise<string> {
  const [result] = await world.probe('client', 'UDP', to, { sourcePort });
  assert.equal(result?.ok, true);
  return `${result.server} ${result.peerPort}`;
}

export const udp: readonly ConformanceCase[] = [
  {
    name: 'a UDP flow moves when its endpoint goes, on every frontend',
    steps: (at) => [
      { set: [full(at), slice(at, ['pod-a'])], expect: flows(at, { reaches: ['pod-a'] }) },
      { set: [slice(at, ['pod-c'])], expect: flows(at, { reaches: ['pod-c'] }) },
    ],
  },
  {
    name: 'a UDP flow is refused without endpoints and recovers with the next one',
    steps: (at) => [
      { set: [full(at)], expect: flows(at, { fails: 'refused' }) },
      { set: [slice(at, ['pod-a'])], expect: flows(at, { reaches: ['pod-a'] }) },
      { set: [slice(at, [])], expect: flows(at, { fails: 'refused' }) },
      { set: [slice(at, ['pod-c'])], expect: flows(at, { reaches: ['pod-c'] }) },
    ],
  },
  {
    name: 'a UDP flow that began before the Service existed reaches it',
    steps: (at) => [
      {
        expect: flows(at, { fails: 'timeout' }).filter(
          ({ to }) => to[0] !== nodeAddress[at.family],
        ),
      },
      { set: [full(at), slice(at, ['pod-a'])], expect: flows(at, { reaches: ['pod-a'] }) },
    ],
  },
  {
    name: 'a UDP flow begun in silence under policy Local reaches the first local endpoint',
    steps: (at) => [
      {
        set: [full(at, { internal: 'Local' }), slice(at, ['pod-c'])],
        expect: [
          {
            from: hosts,
            over: 'UDP',
            to: [at.clusterIP(), 80],
            sourcePort: at.sourcePort(),
            fails: 'timeout',
          },
        ],
      },
      {
        set: [slice(at, ['pod-a', 'pod-c'])],
        expect: [
          {
            from: hosts,
            over: 'UDP',
            to: [at.clusterIP(), 80],
            sourcePort: at.sourcePort(),
            reaches: ['pod-a'],
          },
        ],
      },
    ],
  },
  {
    name: 'a UDP flow follows a change of the target port',
    steps: (at) => [
      { set: [full(at), slice(at, ['pod-a'])], expect: flows(at, { reaches: ['pod-a'] }) },
      {
        set: [slice(at, ['pod-a'], { ports: [{ name: 'udp', port: 8081, protocol: 'UDP' }] })],
        expect: frontendsOf(at).map((to, index) => ({
          from: hosts,
          over: 'UDP',
          to,
          sourcePort: at.sourcePort(index),
          reaches: ['pod-a:8081'],
        })),
      },
    ],
  },
  {
    name: 'a UDP flow stays with an endpoint that terminates but serves; new flows do not go there',
    steps: (at) => [
      { set: [full(at), slice(at, ['pod-a'])], expect: flows(at, { reaches: ['pod-a'] }) },
      {
        set: [
          slice(at, [{ server: 'pod-a', ready: false, serving: true, terminating: true }, 'pod-c']),
        ],
        expect: [
          ...flows(at, { reaches: ['pod-a'] }),
          ...frontendsOf(at).map(
            (to) => ({ from: hosts, over: 'UDP', to, reaches: ['pod-c'] }) as const,
          ),
        ],
      },
      {
        when: 'it no longer serves',
        set: [
          slice(at, [
            { server: 'pod-a', ready: false, serving: false, terminating: true },
            'pod-c',
          ]),
        ],
        expect: flows(at, { reaches: ['pod-c'] }),
      },
    ],
  },
  {
    name: 'a UDP flow does not outlive its frontend or its Service',
    steps: (at) => [
      { set: [full(at), slice(at, ['pod-a'])], expect: flows(at, { reaches: ['pod-a'] }) },
      {
        when: 'external IPs and node ports go',
        set: [service(at)],
        expect: [
          ...flows(at, { fails: 'timeout' }).filter(({ to }) =>
            [at.externalIP(), at.loadBalancerIP()].includes(to[0]),
          ),
          ...flows(at, { fails: 'refused' }).filter(({ to }) => to[0] === nodeAddress[at.family]),
          ...flows(at, { reaches: ['pod-a'] }).filter(({ to }) => to[0] === at.clusterIP()),
        ],
      },
      {
        when: 'the Service goes',
        remove: [service(at)],
        expect: flows(at, { fails: 'timeout' }).filter(({ to }) => to[0] === at.clusterIP()),
      },
    ],
  },
  {
    name: 'UDP flows that are not stale keep their conntrack entries',
    steps: (at) => {
      const other = service(at, {
        name: 'other',
        clusterIP: at.clusterIP(1),
        ports: [{ name: 'udp', port: 80, protocol: 'UDP' }],
      });
      const ownPort = Array.from({ length: 12 }, (_, index) => at.sourcePort(index));
      return [
        {
          set: [
            full(at),
            slice(at, ['pod-a', 'pod-c']),
            other,
            // The same endpoint behind another Service: what goes there through this one stays good.
            slice(at, ['pod-a'], { name: 'other-1', service: 'other' }),
          ],
          check: async (world) => {
            const through = async (to: Frontend): Promise<readonly string[]> => {
              const seen: string[] = [];
              for (const port of ownPort) seen.push(await seenPort(world, to, port));
              return seen;
            };
            const before = await through([at.clusterIP(), 80]);
            const beforeOther = await through([at.clusterIP(1), 80]);
            await world.change({ set: [slice(at, ['pod-c'])] });
            const after = await through([at.clusterIP(), 80]);
            assert.deepEqual(await through([at.clusterIP(1), 80]), beforeOther, 'another Service');
            for (const [index, flow] of before.entries()) {
              if (flow.startsWith('pod-c ')) assert.equal(after[index], flow, 'a good endpoint');
              else assert.match(after[index] ?? '', /^pod-c /, 'a lost endpoint');
            }
            await world.change({ set: [slice(at, ['pod-c', 'pod-d'])] });
            assert.deepEqual(await through([at.clusterIP(), 80]), after, 'one more endpoint');
          },
        },
      ];
    },
  },
  {
    name: 'TCP connections are not cut when UDP flows are',
    steps: (at) => [
      {
        set: [full(at), slice(at, ['pod-a'])],
        check: async (world) => {
          const kept = [];
          for (const to of frontendsOf(at)) {
            for (const host of hosts) kept.push(await world.connect(host, to));
          }
          await world.expect(flows(at, { reaches: ['pod-a'] }));
          await world.change({ set: [slice(at, ['pod-d'])] });
          await world.expect(flows(at, { reaches: ['pod-d'] }));
          for (const connection of kept) {
            assert.equal(connection.greeting.server, 'pod-a');
            assert.equal(await connection.echoes('still here'), true);
            await connection.close();
          }
        },
      },
    ],
  },
];
