/** Endpoints that go, come back, and clients that are kept at one: what becomes of their connections. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeAddress } from '../lab/topology.ts';
import { skipOutsideUml } from '../lab/uml/inside.ts';
import { service, slice } from '../netns/conformance/objects.ts';
import type { Place } from '../netns/conformance/place.ts';
import {
  CrowdBench,
  crowdName,
  crowdNumber,
  crowdService,
  families,
  listed,
  type ListedServer,
  manyClients,
  until,
} from './ipvs-world.ts';

/** Three looks a second apart, in a slow guest, and still before IPVS itself forgets it: after 10 or 120 s. */
const closedIsNoticedMs = 8000;

describe('Connections when endpoints go, in ipvs mode', { skip: skipOutsideUml }, () => {
  const bench = new CrowdBench(100);
  const connect = async (at: Place, count: number, source?: string): Promise<Set<number>> =>
    new Set(await bench.connect(at, count, source));
  const server = (at: Place, index: number, address = at.clusterIP()): ListedServer | undefined =>
    listed(bench.world, [address, 80])?.get(crowdName(at, index));
  /** Lets the plane look after what drains, as the agent does once a second. */
  const tend = async (): Promise<void> => {
    await bench.world.change({});
  };

  const isRemoved = async (at: Place, index: number): Promise<boolean> => {
    await tend();
    return server(at, index) === undefined;
  };

  const serve = async (
    at: Place,
    weights: readonly (number | undefined)[],
    annotations: Readonly<Record<string, string>> = {},
    affinitySeconds?: number,
  ): Promise<void> => {
    const affinity = affinitySeconds === undefined ? {} : { affinitySeconds };
    await bench.world.change({ set: crowdService(at, { weights, annotations, ...affinity }) });
  };

  for (const family of families) {
    const check = bench.check.bind(bench, family);

    /** For what only takes time: it is the same in both families. */
    const checkOnce = family === 'IPv4' ? check : () => undefined;

    describe(family, () => {
      for (const how of ['reset', 'fin'] as const) {
        checkOnce(
          `an endpoint that goes keeps its connections, gets no new ones, and is removed after the last: ${how}`,
          async (at, report) => {
            await serve(at, [1, 1]);
            const one = await bench.hold(at.clusterIP());
            const two = await bench.hold(at.clusterIP());
            const gone = crowdNumber(at, one.greeting.local);
            assert.notEqual(crowdNumber(at, two.greeting.local), gone);
            await serve(at, gone === 0 ? [undefined, 1] : [1, undefined]);
            assert.equal(server(at, gone)?.weight, 0);
            assert.deepEqual(await connect(at, 10), new Set([1 - gone]));
            for (let times = 0; times < 3; times++) await tend();
            assert.equal(await one.echoes('still here'), true);
            assert.equal(await two.echoes('here anyway'), true);
            await one.close(how);
            bench.held = [two];
            assert.equal(server(at, gone)?.inactive, 1);
            const ms = await until('removal', () => isRemoved(at, gone), closedIsNoticedMs);
            report(`removed ${(ms / 1000).toFixed(1)} s after the end`);
            assert.equal(server(at, 1 - gone)?.weight, 1);
            assert.equal(await two.echoes('not disturbed'), true);
          },
        );
      }

      check(
        'drain-seconds is the limit: then the endpoint goes, and the connection ends',
        async (at) => {
          const annotations = { 'drain-seconds': '2' };
          await serve(at, [1, 1], annotations);
          const one = await bench.hold(at.clusterIP());
          const gone = crowdNumber(at, one.greeting.local);
          const before = performance.now();
          await serve(at, gone === 0 ? [undefined, 1] : [1, undefined], annotations);
          // Without the annotation it would have 30 s.
          await until('removal', () => isRemoved(at, gone), 10_000);
          const ms = performance.now() - before;
          assert.ok(ms >= 2000, `removed after ${ms} ms`);
          assert.equal(await one.echoes('too late'), false);
          assert.deepEqual(await connect(at, 4), new Set([1 - gone]));
        },
      );

      check(
        'an endpoint that comes back while it drains gets new connections again, and keeps the old',
        async (at) => {
          const annotations = { 'drain-seconds': '2' };
          await serve(at, [1, 3], annotations);
          const all = [await bench.hold(at.clusterIP()), await bench.hold(at.clusterIP())];
          await serve(at, [1, undefined], annotations);
          assert.equal(server(at, 1)?.weight, 0);
          await serve(at, [1, 3], annotations);
          assert.equal(server(at, 1)?.weight, 3);
          // The limit of the drain that is over must not count any more.
          await sleep(2300);
          await tend();
          for (const each of all) assert.equal(await each.echoes('here'), true);
          assert.deepEqual(await connect(at, 8), new Set([0, 1]));
        },
      );

      check('the last endpoint goes: its connection lives, new ones are refused', async (at) => {
        await serve(at, [1]);
        const one = await bench.hold(at.clusterIP());
        await serve(at, []);
        await tend();
        await bench.world.expect([
          {
            from: ['client', 'node', 'pod-a'],
            to: [at.clusterIP(), 80],
            over: 'TCP',
            fails: 'refused',
          },
        ]);
        assert.equal(await one.echoes('alone'), true);
        await serve(at, [undefined, 1]);
        assert.deepEqual(await connect(at, 4), new Set([1]));
        assert.equal(await one.echoes('not alone'), true);
      });

      check(
        'a Service goes: its connections live, on every kind of address, and all is gone after the last',
        async (at) => {
          const externalIPs = [at.externalIP()];
          await bench.world.change({
            set: crowdService(at, {
              weights: [1],
              nodePort: at.nodePort(),
              externalIPs,
              annotations: { 'drain-seconds': '3' },
            }),
          });
          const addresses = [
            [at.clusterIP(), 80],
            [at.externalIP(), 80],
            [nodeAddress[family], at.nodePort()],
          ] as const;
          for (const [address, port] of addresses) await bench.hold(address, port);
          await bench.world.change({ remove: crowdService(at, { weights: [1] }) });
          await tend();
          for (const each of bench.held) assert.equal(await each.echoes('nobody knows me'), true);
          for (const to of addresses) {
            const [result] = await bench.world.probe('client', 'TCP', to, { timeoutMs: 300 });
            assert.equal(result?.ok, false, `${to.join(' port ')} still answers`);
          }
          await Promise.all(bench.held.map((each) => each.close()));
          bench.held = [];
          await until('removal', async () => {
            await tend();
            return addresses.every((to) => listed(bench.world, to) === undefined);
          });
          const left = bench.world.shell(
            'node',
            'ip route show table local; ip -6 route show table local; ipset save',
          );
          for (const address of [at.clusterIP(), at.externalIP()]) {
            assert.ok(!left.split(/[\s,]/).includes(address), `${address} is left:\n${left}`);
          }
        },
      );

      // dh cannot pass over an endpoint that drains: there endpoints go at once.
      for (const scheduler of 'rr wrr lc wlc sed nq sh mh fo ovf lblc lblcr'.split(' ')) {
        check(
          `${scheduler}: while an endpoint drains, every client is served by the others`,
          async (at) => {
            const annotations = { 'ipvs-scheduler': scheduler };
            // ovf sends no more connections than that to an endpoint.
            const weight = scheduler === 'ovf' ? 100 : 1;
            const all = [weight, weight, weight];
            await serve(at, all, annotations);
            const one = await bench.hold(at.clusterIP());
            const gone = crowdNumber(at, one.greeting.local);
            const rest = all.map((each, index) => (index === gone ? undefined : each));
            await serve(at, rest, annotations);
            assert.equal(
              server(at, gone)?.weight,
              0,
              'it must drain for this test to say anything',
            );
            const answers = await Promise.all(
              manyClients(family).map((source) => connect(at, 1, source)),
            );
            for (const answer of answers) assert.ok(!answer.has(gone), 'it must get none');
            assert.equal(await one.echoes('still here'), true);
          },
        );
      }

      check(
        'a sticky client leaves the endpoint that goes, though a connection stays there, and does not come back',
        async (at) => {
          await serve(at, [1, 1, 1], {}, 600);
          const one = await bench.hold(at.clusterIP());
          const gone = crowdNumber(at, one.greeting.local);
          assert.deepEqual(await connect(at, 8), new Set([gone]));
          await serve(
            at,
            [1, 1, 1].map((weight, index) => (index === gone ? undefined : weight)),
            {},
            600,
          );
          const [next] = await connect(at, 1);
          assert.ok(next !== undefined && next !== gone);
          assert.deepEqual(await connect(at, 8), new Set([next]));
          assert.equal(await one.echoes('where I was'), true);
          await serve(at, [1, 1, 1], {}, 600);
          assert.deepEqual(
            await connect(at, 8),
            new Set([next]),
            'affinity must outlast the return',
          );
          assert.equal(await one.echoes('where I am'), true);
        },
      );

      checkOnce('affinity ends after its timeout without flows, and not before', async (at) => {
        const all = ['pod-a', 'pod-b', 'pod-c', 'pod-d'] as const;
        const to = [at.clusterIP(), 80] as const;
        /** The endpoint of four flows, one after another. */
        const ask = async (): Promise<string> => {
          const counts = await bench.world.count('client', 'UDP', to, { count: 4 });
          return all.find((pod) => counts[pod] === 4) ?? assert.fail(JSON.stringify(counts));
        };
        // Not from the table of connections: of a reading, what ends meanwhile hides others that are there.
        const isKept = (): boolean =>
          [...(listed(bench.world, to, 'UDP')?.values() ?? [])].some((each) => each.persistent > 0);
        // A flow holds the affinity until it is forgotten: usually five minutes after its last packet.
        bench.world.shell('node', 'ipvsadm --set 0 0 1');
        try {
          const ports = [{ name: 'udp', port: 80, protocol: 'UDP' }] as const;
          const endpoints = slice(at, all, { ports: [{ ...ports[0], port: 8080 }] });
          await bench.world.change({
            set: [service(at, { ports, affinitySeconds: 3 }), endpoints],
          });
          const first = await ask();
          let lastAsked = 0;
          for (let round = 0; round < 8; round++) {
            await sleep(500);
            lastAsked = performance.now();
            assert.equal(await ask(), first, 'with flows all the time');
          }
          assert.ok(isKept());
          // If the timer of the affinity found a flow, it would wait for 60 s more (ip_vs_conn_expire()).
          await until('the end of the affinity', () => !isKept(), 10_000);
          const ms = performance.now() - lastAsked;
          assert.ok(ms > 2500, `ended after ${ms} ms`);
          assert.notEqual(await ask(), first, 'rr goes on with the next one');
        } finally {
          bench.world.shell('node', 'ipvsadm --set 0 0 300');
        }
      });

      check('UDP flows move at once, those of other endpoints stay', async (at) => {
        const all = ['pod-a', 'pod-b'] as const;
        await bench.world.change({ set: [service(at), slice(at, all)] });
        const ask = async (index: number): Promise<string> => {
          const options = { sourcePort: at.sourcePort(index) };
          return Object.keys(
            await bench.world.count('client', 'UDP', [at.clusterIP(), 80], options),
          ).join();
        };
        const flows = [0, 1, 2, 3];
        const first = [];
        for (const flow of flows) first.push(await ask(flow));
        for (const flow of flows) assert.equal(await ask(flow), first[flow]);
        await bench.world.change({ set: [slice(at, ['pod-b'])] });
        for (const flow of flows) assert.equal(await ask(flow), 'pod-b');
        await bench.world.change({ set: [slice(at, all)] });
        for (const flow of flows)
          assert.equal(await ask(flow), 'pod-b', 'no flow moves without need');
      });
    });
  }
});
