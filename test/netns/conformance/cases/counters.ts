/** Traffic counters of Service ports, with packets of every way through the node. */
import assert from 'node:assert/strict';
import { familyOf, parseAddress } from '../../../../src/core/ip.ts';
import type { ServiceCounters } from '../../../../src/planes/plane.ts';
import type { L4 } from '../../../lab/agent/calls.ts';
import { type HostName, type ServerName, nodeAddress } from '../../../lab/topology.ts';
import type { ConformanceCase } from '../case.ts';
import { service, slice } from '../objects.ts';
import type { World } from '../world.ts';

const counted = { countedPorts: 100 } as const;

/** Connects `count` times, one after the other, and asserts that each was answered. */
async function connect(
  world: World,
  from: HostName,
  over: L4,
  to: readonly [address: string, port: number],
  count: number,
): Promise<void> {
  const results = await world.probe(from, over, to, { count });
  assert.equal(results.filter(({ ok }) => ok).length, count, `${over} from ${from}`);
}

/** Bytes of the network header, the UDP header and what a probe sends. */
function probeBytes(address: string): number {
  const parsed = parseAddress(address);
  assert.ok(parsed !== undefined);
  return (familyOf(parsed) === 'IPv4' ? 20 : 40) + 8 + 'hello'.length;
}

async function countersOf(world: World, name: string, over: L4): Promise<ServiceCounters> {
  const found = (await world.counters()).filter(
    (each) => each.namespace === 'shop' && each.name === name && each.protocol === over,
  );
  assert.equal(found.length, 1, `one set of counters for ${over} of ${name}`);
  const [counters] = found;
  assert.ok(counters !== undefined);
  return counters;
}

const ways: readonly {
  readonly name: string;
  readonly from: HostName;
  readonly server: ServerName;
}[] = [
  { name: 'forwarded', from: 'client', server: 'pod-a' },
  { name: 'from this node to elsewhere', from: 'node', server: 'pod-c' },
  { name: 'from elsewhere to this node', from: 'client', server: 'host-net' },
  { name: 'from this node to itself', from: 'node', server: 'host-net' },
  { name: 'from a pod to itself', from: 'pod-a', server: 'pod-a' },
];

export const counters: readonly ConformanceCase[] = [
  {
    name: 'every connection and every packet is counted once, on every way through the node',
    steps: (at) => [
      { setup: counted, set: [service(at)] },
      ...ways.map(({ name, from, server }, index) => ({
        when: name,
        set: [slice(at, [server])],
        check: async (world: World): Promise<void> => {
          await connect(world, from, 'UDP', [at.clusterIP(), 80], 4);
          const { family, port, ...udp } = await countersOf(world, 'web', 'UDP');
          const times = 4 * (index + 1);
          assert.equal(family, at.family);
          assert.equal(port, 'udp');
          assert.equal(udp.connections, times);
          assert.equal(udp.packetsIn, times);
          assert.equal(udp.packetsOut, times);
          assert.equal(udp.bytesIn, times * probeBytes(at.clusterIP()));
          assert.ok(udp.bytesOut > udp.bytesIn, 'answers are longer');
          await connect(world, from, 'TCP', [at.clusterIP(), 80], 3);
          assert.equal((await countersOf(world, 'web', 'TCP')).connections, 3 * (index + 1));
        },
      })),
    ],
  },
  {
    name: 'all frontends of a Service port count together, and no other port with them',
    steps: (at) => [
      {
        setup: counted,
        set: [
          service(at, { nodePort: at.nodePort(), externalIPs: [at.externalIP()] }),
          slice(at, ['pod-a', 'pod-c']),
          service(at, { name: 'idle', clusterIP: at.clusterIP(1) }),
          slice(at, ['pod-a'], { service: 'idle', name: 'idle-1' }),
          service(at, { name: 'empty', clusterIP: at.clusterIP(2) }),
        ],
        check: async (world) => {
          await connect(world, 'client', 'TCP', [at.clusterIP(), 80], 5);
          await connect(world, 'client', 'TCP', [nodeAddress[at.family], at.nodePort()], 3);
          await connect(world, 'client', 'TCP', [at.externalIP(), 80], 2);
          await world.expect([
            { from: 'client', over: 'TCP', to: [at.clusterIP(2), 80], fails: 'refused' },
          ]);
          assert.equal((await countersOf(world, 'web', 'TCP')).connections, 10);
          for (const [name, over] of [
            ['web', 'UDP'],
            ['idle', 'TCP'],
            ['empty', 'TCP'],
          ] as const) {
            const { connections, packetsIn, packetsOut } = await countersOf(world, name, over);
            assert.deepEqual([connections, packetsIn, packetsOut], [0, 0, 0], `${over} of ${name}`);
          }
        },
      },
    ],
  },
  {
    name: 'a kept connection is one connection, and both ways are told apart',
    steps: (at) => [
      {
        setup: counted,
        set: [service(at), slice(at, ['pod-c'])],
        check: async (world) => {
          const kept = await world.connect('client', [at.clusterIP(), 80]);
          const before = await countersOf(world, 'web', 'TCP');
          assert.ok(await kept.echoes('x'.repeat(1000)));
          const after = await countersOf(world, 'web', 'TCP');
          await kept.close();
          assert.equal(after.connections, 1);
          const sent = after.bytesIn - before.bytesIn;
          const received = after.bytesOut - before.bytesOut;
          for (const bytes of [sent, received]) {
            assert.ok(bytes > 1000 && bytes < 1500, `${bytes} bytes for a line of 1000`);
          }
        },
      },
    ],
  },
  {
    name: 'counters live through a crash, and go with their Service',
    steps: (at) => [
      {
        setup: counted,
        set: [service(at), slice(at, ['pod-a'])],
        check: async (world) => {
          await connect(world, 'client', 'TCP', [at.clusterIP(), 80], 4);
          await world.crash();
          await connect(world, 'client', 'TCP', [at.clusterIP(), 80], 2);
          await world.recover();
          assert.equal((await countersOf(world, 'web', 'TCP')).connections, 6);
          assert.deepEqual((await world.verify()).drift, []);
          assert.equal((await countersOf(world, 'web', 'TCP')).connections, 6);
        },
      },
      {
        remove: [service(at)],
        check: async (world) => {
          assert.deepEqual(await world.counters(), []);
        },
      },
    ],
  },
  {
    name: 'counting is switched on and off without disturbing connections',
    steps: (at) => [
      {
        set: [service(at), slice(at, ['pod-a'])],
        check: async (world) => {
          const kept = await world.connect('client', [at.clusterIP(), 80]);
          assert.deepEqual(await world.counters(), []);
          await world.setUp(counted);
          assert.ok(await kept.echoes('counted'));
          const { connections, packetsIn, packetsOut } = await countersOf(world, 'web', 'TCP');
          assert.equal(connections, 0, 'it was there before');
          assert.ok(packetsIn > 0 && packetsOut > 0);
          await world.setUp({ countedPorts: 0 });
          assert.ok(await kept.echoes('not counted'));
          assert.deepEqual(await world.counters(), []);
          assert.deepEqual((await world.verify()).drift, []);
          await kept.close();
        },
      },
    ],
  },
];
