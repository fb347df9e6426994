/** Crashes, restarts, other programs in the same kernel, and leaving it. */
import assert from 'node:assert/strict';
import { nodeAddress } from '../../../lab/topology.ts';
import type { ConformanceCase, Expectation } from '../case.ts';
import { service, slice } from '../objects.ts';
import type { Place } from '../place.ts';
import type { World } from '../world.ts';

const from = ['client', 'pod-b', 'node'] as const;

/** Services of every sort the planes treat differently. */
function objects(at: Place) {
  return [
    service(at, {
      nodePort: at.nodePort(),
      loadBalancerIPs: [at.loadBalancerIP()],
      sourceRanges: ['192.0.2.0/24', '2001:db8:2::/64'],
      external: 'Local',
      affinitySeconds: 600,
    }),
    slice(at, ['pod-a', 'pod-c']),
    service(at, { name: 'plain', clusterIP: at.clusterIP(1), externalIPs: [at.externalIP(1)] }),
    slice(at, ['pod-a', 'pod-b', 'pod-c', 'pod-d'], { service: 'plain', name: 'plain-1' }),
    service(at, { name: 'empty', clusterIP: at.clusterIP(2) }),
  ];
}

/** What must be true of them. */
function works(at: Place): readonly Expectation[] {
  const all = ['pod-a', 'pod-b', 'pod-c', 'pod-d'] as const;
  return [
    { from, to: [at.clusterIP(1), 80], reaches: all },
    { from: 'client', to: [at.externalIP(1), 80], reaches: all, seenAs: 'node' },
    {
      from: 'client',
      to: [nodeAddress[at.family], at.nodePort()],
      reaches: ['pod-a'],
      seenAs: 'itself',
    },
    { from: 'client', to: [at.loadBalancerIP(), 80], reaches: ['pod-a'], seenAs: 'itself' },
    { from: 'pod-b', to: [at.loadBalancerIP(), 80], fails: 'timeout' },
    { from, to: [at.clusterIP(2), 80], fails: 'refused' },
    { from, to: [at.clusterIP(1), 81], fails: 'refused' },
    { from: 'pod-a', to: [at.clusterIP(1), 80], reaches: all },
  ];
}

/** The server a client of the Service with affinity has. */
async function ownServer(world: World, at: Place): Promise<string> {
  const counts = await world.count('client', 'TCP', [at.clusterIP(), 80], { count: 10 });
  const servers = Object.keys(counts);
  assert.equal(servers.length, 1, JSON.stringify(counts));
  return servers.join();
}

function dump(world: World): string {
  return world.shell('node', world.plane.dump);
}

/** Does something while objects of another program are there. */
async function besideOthers(world: World, at: Place, act: () => Promise<void>): Promise<void> {
  const { add, remove } = world.plane.foreign;
  world.shell('node', add(at.family, at.clusterIP()));
  try {
    await act();
  } finally {
    world.shell('node', remove(at.family, at.clusterIP()));
  }
}

export const resilience: readonly ConformanceCase[] = [
  {
    name: 'a crash and a restart are not noticed: connections live on and new ones are served all the time',
    steps: (at) => [
      {
        set: objects(at),
        expect: works(at),
        check: async (world) => {
          const own = await ownServer(world, at);
          const kept = [
            await world.connect('client', [at.clusterIP(1), 80]),
            await world.connect('client', [at.loadBalancerIP(), 80]),
            await world.connect('pod-a', [at.clusterIP(1), 80]),
          ];
          const loops = [
            await world.loop('client', [at.clusterIP(0), 80]),
            await world.loop('client', [at.clusterIP(1), 80]),
            await world.loop('pod-b', [at.externalIP(1), 80]),
          ];
          await world.crash();
          await world.expect(works(at));
          const report = await world.recover();
          assert.equal(report.operations, 0, 'what is right already was written again');
          assert.deepEqual((await world.verify()).drift, []);
          await world.expect(works(at));
          for (const end of loops) {
            const { probes, failures } = await end();
            assert.deepEqual(failures, {}, `of ${probes} probes`);
          }
          for (const connection of kept) {
            assert.equal(await connection.echoes('after the restart'), true);
            await connection.close();
          }
          assert.equal(await ownServer(world, at), own, 'affinity was lost');
        },
      },
    ],
  },
  {
    name: 'what changed while no proxy ran is put right at the start, and nothing else is touched',
    steps: (at) => [
      {
        set: objects(at),
        check: async (world) => {
          const flow = {
            from: 'client',
            over: 'UDP',
            to: [at.loadBalancerIP(), 80],
            sourcePort: at.sourcePort(),
          } as const;
          await world.expect([{ ...flow, reaches: ['pod-a'] }]);
          const end = await world.loop('client', [at.externalIP(1), 80]);
          await world.crash();
          world.changeUnseen({
            remove: [service(at, { name: 'empty' })],
            set: [
              slice(at, ['pod-b']),
              service(at, { name: 'fresh', clusterIP: at.clusterIP(3) }),
              slice(at, ['pod-d'], { service: 'fresh', name: 'fresh-1' }),
            ],
          });
          await world.recover();
          await world.expect([
            { ...flow, reaches: ['pod-b'] },
            { from, to: [at.clusterIP(0), 80], reaches: ['pod-b'] },
            { from, to: [at.clusterIP(2), 80], fails: 'timeout' },
            { from, to: [at.clusterIP(3), 80], reaches: ['pod-d'] },
            { from, to: [at.clusterIP(1), 80], reaches: ['pod-a', 'pod-b', 'pod-c', 'pod-d'] },
          ]);
          const { probes, failures } = await end();
          assert.deepEqual(failures, {}, `of ${probes} probes`);
        },
      },
    ],
  },
  {
    name: 'damage done by others is noticed, reported and repaired',
    usesTools: true,
    steps: (at) => [
      {
        set: objects(at),
        expect: works(at),
        check: async (world) => {
          assert.deepEqual((await world.verify()).drift, []);
          for (const { name, script, namesClusterIP, endsConnections } of world.plane.tampering) {
            const kept = await world.connect('client', [at.clusterIP(1), 80]);
            world.shell('node', script(at.family, at.clusterIP(1)));
            assert.equal(await world.disturbed(), world.plane.hearsOfDamage, name);
            const { drift } = await world.verify();
            assert.notDeepEqual(drift, [], name);
            if (namesClusterIP)
              assert.ok(drift.join('\n').includes(at.clusterIP(1)), drift.join('\n'));
            await world.expect(works(at)).catch((cause: unknown) => {
              throw new Error(`after ${name}: ${String(cause)}`, { cause });
            });
            assert.deepEqual((await world.verify()).drift, [], `${name}: repaired for good`);
            assert.equal(await world.disturbed(), false, name);
            if (!endsConnections) assert.equal(await kept.echoes(name), true, name);
            await kept.close();
          }
        },
      },
    ],
  },
  {
    name: 'a change that meets damage done by others is programmed all the same',
    usesTools: true,
    steps: (at) => [
      {
        set: objects(at),
        check: async (world) => {
          for (const { name, script } of world.plane.tampering) {
            world.shell('node', script(at.family, at.clusterIP(1)));
            await world.change({
              remove: [service(at, { name: 'empty' })],
              set: [slice(at, ['pod-b'], { service: 'plain', name: 'plain-1' })],
            });
            if (!world.plane.hearsOfDamage || (await world.disturbed())) await world.verify();
            await world
              .expect([
                { from, to: [at.clusterIP(1), 80], reaches: ['pod-b'] },
                { from, to: [at.clusterIP(2), 80], fails: 'timeout' },
                { from: 'client', to: [at.loadBalancerIP(), 80], reaches: ['pod-a'] },
              ])
              .catch((cause: unknown) => {
                throw new Error(`after ${name}: ${String(cause)}`, { cause });
              });
            await world.change({ set: objects(at) });
          }
          await world.expect(works(at));
        },
      },
    ],
  },
  {
    name: 'rules of other programs are left alone by everything the proxy does',
    usesTools: true,
    steps: (at) => [
      {
        set: objects(at),
        check: async (world) => {
          await besideOthers(world, at, async () => {
            const { list } = world.plane.foreign;
            const theirs = (): string => world.shell('node', list(at.family, at.clusterIP()));
            const before = theirs();
            await world.verify();
            await world.change({ set: [slice(at, ['pod-c'])] });
            await world.crash();
            await world.recover();
            await world.remove();
            assert.equal(theirs(), before);
            await world.setUp({});
            await world.expect([{ from, to: [at.clusterIP(), 80], reaches: ['pod-c'] }]);
            assert.equal(theirs(), before);
          });
        },
      },
    ],
  },
  {
    name: 'removal leaves nothing behind and can be asked for again',
    usesTools: true,
    steps: (at) => [
      {
        set: objects(at),
        check: async (world) => {
          await world.remove();
          await besideOthers(world, at, async () => {
            const before = dump(world);
            await world.setUp({});
            await world.expect(works(at));
            assert.notEqual(dump(world), before);
            assert.equal(await world.remove(), true);
            assert.equal(dump(world), before);
            assert.equal(await world.remove(), false);
            assert.deepEqual(await world.inspect(), []);
            await world.expect([
              { from, to: [at.clusterIP(1), 80], fails: 'timeout' },
              { from: 'client', to: [nodeAddress[at.family], at.nodePort()], fails: 'refused' },
            ]);
          });
          await world.setUp({});
          await world.expect(works(at));
        },
      },
    ],
  },
];
