/** Session affinity. Times are real: the kernel's clock cannot be moved. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  nodeAddress,
  otherClientAddress,
  serverNames,
  type HostName,
  type ServerName,
} from '../../../lab/topology.ts';
import type { L4 } from '../../../lab/agent/calls.ts';
import type { ConformanceCase } from '../case.ts';
import { service, slice, type ServiceOptions } from '../objects.ts';
import type { Place } from '../place.ts';
import type { World } from '../world.ts';

const all = ['pod-a', 'pod-b', 'pod-c', 'pod-d'] as const;
type Frontend = readonly [address: string, port: number];

/** A Service with a frontend of every kind and no affinity. */
function plain(at: Place, options: ServiceOptions = {}) {
  return service(at, {
    nodePort: at.nodePort(),
    externalIPs: [at.externalIP()],
    loadBalancerIPs: [at.loadBalancerIP()],
    ...options,
  });
}

/** The same with affinity. */
function full(at: Place, options: ServiceOptions = {}) {
  return plain(at, { affinitySeconds: 600, ...options });
}

function frontendsOf(at: Place): readonly Frontend[] {
  return [
    [at.clusterIP(), 80],
    [nodeAddress[at.family], at.nodePort()],
    [at.externalIP(), 80],
    [at.loadBalancerIP(), 80],
  ];
}

interface Client {
  readonly from: HostName;
  readonly over: L4;
  readonly source?: string;
}

/** Connects `count` times, one after another, and returns the one server that answered them all. */
async function sticksTo(
  world: World,
  { from, over, source }: Client,
  to: Frontend,
  count: number,
): Promise<ServerName> {
  const options = { count, ...(source === undefined ? {} : { sourceAddress: source }) };
  const counts = await world.count(from, over, to, options);
  const [server] = Object.keys(counts);
  const pod = serverNames.find((each) => each === server);
  assert.ok(pod !== undefined, `no pod answered: ${JSON.stringify(counts)}`);
  assert.deepEqual(counts, { [pod]: count }, `${over} from ${from} to ${to.join(' port ')}`);
  return pod;
}

/** A Service with many ports, so that what is chosen once per port is unlikely to be the same by chance. */
const portNumbers = Array.from({ length: 16 }, (_, index) => 100 + index);

function manyPorts(at: Place, affinitySeconds: number) {
  return [
    full(at, {
      affinitySeconds,
      ports: portNumbers.map((port, index) => ({
        name: `p${port}`,
        port,
        nodePort: at.nodePort(index),
      })),
    }),
    slice(at, all, { ports: portNumbers.map((port) => ({ name: `p${port}`, port: 8080 })) }),
  ];
}

/** All frontends of all those ports, by kind. */
function manyFrontends(at: Place): ReadonlyMap<string, readonly Frontend[]> {
  const on = (address: string): readonly Frontend[] => portNumbers.map((port) => [address, port]);
  return new Map([
    ['cluster IP', on(at.clusterIP())],
    ['node port', portNumbers.map((_, index) => [nodeAddress[at.family], at.nodePort(index)])],
    ['external IP', on(at.externalIP())],
    ['load-balancer IP', on(at.loadBalancerIP())],
  ]);
}

/** Connects once to each and returns the servers in the same order. */
function connectEach(
  world: World,
  frontends: readonly Frontend[],
  source?: string,
): Promise<readonly ServerName[]> {
  const client: Client = {
    from: 'client',
    over: 'TCP',
    ...(source === undefined ? {} : { source }),
  };
  return Promise.all(frontends.map((to) => sticksTo(world, client, to, 1)));
}

export const affinity: readonly ConformanceCase[] = [
  {
    name: 'a client keeps its endpoint on every kind of frontend',
    steps: (at) => [
      {
        set: [full(at), slice(at, all)],
        check: async (world) => {
          for (const from of ['client', 'pod-a', 'node'] as const) {
            for (const over of ['TCP', 'UDP'] as const) {
              await Promise.all(
                frontendsOf(at).map((to) => sticksTo(world, { from, over }, to, 30)),
              );
            }
          }
        },
      },
    ],
  },
  {
    name: 'a client keeps its endpoint also where that is in the network of the node',
    steps: (at) => [
      {
        set: [full(at), slice(at, ['host-net', 'pod-c'])],
        check: async (world) => {
          for (const from of ['client', 'pod-a', 'node'] as const) {
            for (const over of ['TCP', 'UDP'] as const) {
              await Promise.all(
                frontendsOf(at).map((to) => sticksTo(world, { from, over }, to, 30)),
              );
            }
          }
        },
      },
    ],
  },
  {
    name: 'a client keeps its endpoint under traffic policies Local',
    steps: (at) => [
      {
        set: [full(at, { external: 'Local', internal: 'Local' }), slice(at, all)],
        check: async (world) => {
          for (const to of frontendsOf(at)) {
            const pod = await sticksTo(world, { from: 'client', over: 'TCP' }, to, 30);
            assert.ok(['pod-a', 'pod-b'].includes(pod), `${pod} is not local`);
            await sticksTo(world, { from: 'pod-b', over: 'TCP' }, to, 30);
            await sticksTo(world, { from: 'node', over: 'TCP' }, to, 30);
          }
        },
      },
    ],
  },
  {
    name: 'two clients and two ports choose independently',
    steps: (at) => [
      {
        set: manyPorts(at, 600),
        check: async (world) => {
          const other = otherClientAddress[at.family];
          for (const frontends of manyFrontends(at).values()) {
            const first = await connectEach(world, frontends);
            const second = await connectEach(world, frontends, other);
            assert.notDeepEqual(first, second, 'two clients chose alike on every port');
            assert.ok(new Set(first).size > 1, 'every port chose the same');
            // Neither disturbs the other.
            assert.deepEqual(await connectEach(world, frontends), first);
            assert.deepEqual(await connectEach(world, frontends, other), second);
          }
        },
      },
    ],
  },
  {
    name: 'a client keeps its endpoint while others come and go, and moves only when its own goes',
    steps: (at) => [
      {
        set: [full(at), slice(at, ['pod-a', 'pod-b', 'pod-c'])],
        check: async (world) => {
          for (const over of ['TCP', 'UDP'] as const) {
            for (const to of frontendsOf(at)) {
              const client = { from: 'client', over } as const;
              const own = await sticksTo(world, client, to, 5);
              const others = all.filter((pod) => pod !== own);
              await world.change({ set: [slice(at, all)] });
              assert.equal(await sticksTo(world, client, to, 30), own, 'one was added');
              await world.change({ set: [slice(at, [own, ...others.slice(1)])] });
              assert.equal(await sticksTo(world, client, to, 30), own, 'another was removed');
              await world.change({ set: [slice(at, others)] });
              const next = await sticksTo(world, client, to, 30);
              assert.notEqual(next, own, 'its own was removed');
              await world.change({ set: [slice(at, all)] });
              assert.equal(await sticksTo(world, client, to, 30), next, 'its own came back');
              await world.change({ set: [slice(at, ['pod-a', 'pod-b', 'pod-c'])] });
            }
          }
        },
      },
    ],
  },
  {
    name: 'affinity lasts as long as connections keep coming, and ends after its timeout',
    steps: (at) => [
      {
        set: manyPorts(at, 2),
        check: async (world) => {
          const kinds = manyFrontends(at);
          const connect = () =>
            Promise.all([...kinds.values()].map((frontends) => connectEach(world, frontends)));
          const chosen = await connect();
          // Longer than the timeout, but never without a connection for so long.
          for (let round = 0; round < 5; round++) {
            await sleep(500);
            assert.deepEqual(await connect(), chosen, 'an endpoint changed before its time');
          }
          await sleep(2500);
          const later = await connect();
          for (const [index, kind] of [...kinds.keys()].entries()) {
            assert.notDeepEqual(later[index], chosen[index], `affinity of the ${kind} never ends`);
          }
        },
      },
    ],
  },
  {
    name: 'affinity is switched on and off, and its timeout changed, while the Service runs',
    steps: (at) => {
      const spreads = frontendsOf(at).map((to) => ({ from: 'client', to, reaches: all }) as const);
      const sticks = async (world: World): Promise<void> => {
        await Promise.all(
          frontendsOf(at).map((to) => sticksTo(world, { from: 'client', over: 'TCP' }, to, 30)),
        );
      };
      return [
        { set: [plain(at), slice(at, all)], expect: spreads },
        { when: 'switched on', set: [full(at)], check: sticks },
        {
          when: 'the timeout is changed',
          set: [full(at, { affinitySeconds: 300 })],
          check: sticks,
        },
        { when: 'switched off', set: [plain(at)], expect: spreads },
        { when: 'switched on again', set: [full(at)], check: sticks },
      ];
    },
  },
  {
    name: 'affinity of one Service leaves another with the same endpoints alone',
    steps: (at) => [
      {
        set: [
          full(at),
          slice(at, all),
          service(at, { name: 'plain', clusterIP: at.clusterIP(1) }),
          slice(at, all, { service: 'plain', name: 'plain-1' }),
        ],
        expect: [{ from: 'client', to: [at.clusterIP(1), 80], reaches: all }],
        check: async (world) => {
          await sticksTo(world, { from: 'client', over: 'TCP' }, [at.clusterIP(), 80], 30);
        },
      },
    ],
  },
];
