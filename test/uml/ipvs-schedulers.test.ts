/** Every scheduler of the kernel, chosen by annotation: real connections, against what it promises. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { skipOutsideUml } from '../lab/uml/inside.ts';
import type { Place } from '../netns/conformance/place.ts';
import {
  CrowdBench,
  countEach,
  crowdNumber,
  crowdService,
  families,
  listed,
  manyClients,
  until,
} from './ipvs-world.ts';

const ones = (count: number): readonly number[] => Array.from({ length: count }, () => 1);

describe('IPVS schedulers by annotation', { skip: skipOutsideUml }, () => {
  const bench = new CrowdBench(0);
  const connect = bench.connect.bind(bench);

  /** Opens a connection that stays, and says which endpoint has it. */
  const hold = async (at: Place): Promise<number> => {
    const { greeting } = await bench.hold(at.clusterIP());
    return crowdNumber(at, greeting.local);
  };
  const holdMany = async (at: Place, count: number): Promise<readonly number[]> => {
    const numbers: number[] = [];
    while (numbers.length < count) numbers.push(await hold(at));
    return numbers;
  };
  /** The endpoint that each of many clients gets every time. */
  const homes = (at: Place): Promise<readonly number[]> =>
    Promise.all(
      manyClients(at.family).map(async (source) => {
        const answers = await connect(at, 3, source);
        const [home] = answers;
        assert.ok(home !== undefined);
        assert.deepEqual(answers, [home, home, home], `${source} must stay`);
        return home;
      }),
    );

  const serve = async (
    at: Place,
    scheduler: string,
    weights: readonly (number | undefined)[],
    flags = '',
  ): Promise<void> => {
    const annotations = {
      'ipvs-scheduler': scheduler,
      ...(flags !== '' && { 'ipvs-scheduler-flags': flags }),
    };
    const { notices } = await bench.world.change({
      set: crowdService(at, { weights, annotations }),
    });
    assert.deepEqual(notices, []);
  };

  for (const family of families) {
    const check = bench.check.bind(bench, family);

    describe(family, () => {
      check('rr: in turn, whatever the weights', async (at) => {
        await serve(at, 'rr', [3, 1, 1]);
        const answers = await connect(at, 12);
        assert.deepEqual(countEach(answers, 3), [4, 4, 4]);
        for (const [index, answer] of answers.entries()) {
          assert.equal(answer, answers[index % 3]);
        }
      });

      check('wrr: as the weights are, also where only the mode says rr', async (at) => {
        await serve(at, 'wrr', [3, 2, 1]);
        assert.deepEqual(countEach(await connect(at, 60), 3), [30, 20, 10]);
        await bench.world.change({ set: crowdService(at, { weights: [1, 4] }) });
        assert.deepEqual(countEach(await connect(at, 50), 2), [10, 40]);
      });

      check('lc: the one with the fewest connections, whatever the weights', async (at) => {
        await serve(at, 'lc', [5, 1]);
        const numbers = await holdMany(at, 6);
        assert.deepEqual(countEach(numbers, 2), [3, 3]);
        await Promise.all(
          bench.held.filter((_, index) => numbers[index] === 1).map((each) => each.close()),
        );
        bench.held = bench.held.filter((_, index) => numbers[index] === 0);
        assert.deepEqual(await holdMany(at, 2), [1, 1]);
      });

      check('wlc: held connections in the proportion of the weights', async (at) => {
        await serve(at, 'wlc', [3, 1]);
        assert.deepEqual(countEach(await holdMany(at, 12), 2), [9, 3]);
      });

      check(
        'sed: the shortest expected delay, a strong endpoint before an idle one',
        async (at) => {
          await serve(at, 'sed', [4, 1]);
          const numbers = await holdMany(at, 10);
          assert.deepEqual(numbers.slice(0, 3), [0, 0, 0]);
          assert.deepEqual(countEach(numbers, 2), [8, 2]);
        },
      );

      check('nq: an idle endpoint before the shortest expected delay', async (at) => {
        await serve(at, 'nq', [4, 1]);
        const numbers = await holdMany(at, 5);
        assert.deepEqual(countEach(numbers.slice(0, 2), 2), [1, 1]);
        assert.deepEqual(numbers.slice(2), [0, 0, 0]);
      });

      for (const scheduler of ['sh', 'mh']) {
        check(
          `${scheduler}: a client stays, clients spread; with ${scheduler}-port, connections do`,
          async (at) => {
            await serve(at, scheduler, ones(8));
            const spread = new Set(await homes(at));
            assert.ok(spread.size >= 5, `60 clients on ${spread.size} of 8 endpoints`);
            await serve(at, scheduler, ones(8), `${scheduler}-port`);
            // 40 times one of 8: fewer than 4 of them come up once in 10^9.
            const ports = new Set(await connect(at, 40));
            assert.ok(ports.size >= 4, `40 source ports on ${ports.size} of 8 endpoints`);
          },
        );
      }

      check('mh: when an endpoint goes, its clients move and few others do', async (at, report) => {
        const annotations = { 'ipvs-scheduler': 'mh', 'drain-seconds': '2' };
        await bench.world.change({ set: crowdService(at, { weights: ones(10), annotations }) });
        const atFirst = await homes(at);
        const its = atFirst.filter((home) => home === 9).length;
        assert.ok(its > 0);
        const weights = [...ones(9), undefined];
        await bench.world.change({ set: crowdService(at, { weights, annotations }) });
        const compare = async (when: string): Promise<void> => {
          const since = await homes(at);
          assert.ok(!since.includes(9), `${when}, the endpoint that went still has clients`);
          const moved = atFirst.filter((home, index) => home !== 9 && home !== since[index]).length;
          report(
            `${when}: of ${atFirst.length} clients ${its} had to move, and ${moved} others did`,
          );
          assert.ok(moved <= atFirst.length / 10, `${when}, ${moved} clients of others moved`);
        };
        await compare('while it drains');
        await until('it is gone', async () => {
          await bench.world.change({});
          return listed(bench.world, [at.clusterIP(), 80])?.size === 9;
        });
        await compare('when it is gone');
      });

      check('dh: one endpoint for each address of the Service, whoever asks', async (at) => {
        const externalIPs = Array.from({ length: 12 }, (_, index) => at.externalIP(index));
        const annotations = { 'ipvs-scheduler': 'dh' };
        await bench.world.change({
          set: crowdService(at, { weights: ones(4), externalIPs, annotations }),
        });
        const [one, other] = manyClients(family);
        const chosen = await Promise.all(
          externalIPs.map(async (address) => {
            const answers = [
              ...(await connect(at, 2, one, address)),
              ...(await connect(at, 2, other, address)),
            ];
            assert.equal(new Set(answers).size, 1, `${address}: ${answers.join()}`);
            return answers[0];
          }),
        );
        assert.ok(new Set(chosen).size >= 3, `12 addresses on ${chosen.join()}`);
      });

      check('fo: the highest weight only, and the next one when that is 0', async (at) => {
        await serve(at, 'fo', [3, 5, 1]);
        assert.deepEqual(countEach(await connect(at, 10), 3), [0, 10, 0]);
        await serve(at, 'fo', [3, 0, 1]);
        assert.deepEqual(countEach(await connect(at, 10), 3), [10, 0, 0]);
        await serve(at, 'fo', [3, 5, 1]);
        assert.deepEqual(countEach(await connect(at, 10), 3), [0, 10, 0]);
      });

      check(
        'ovf: the highest weight until it has more connections than that, then the next, then nobody',
        async (at) => {
          await serve(at, 'ovf', [2, 3]);
          assert.deepEqual(await holdMany(at, 7), [1, 1, 1, 1, 0, 0, 0]);
          // Both have more than their weights now: there is no next one.
          const [result] = await bench.world.probe('client', 'TCP', [at.clusterIP(), 80], {
            timeoutMs: 300,
          });
          assert.equal(result?.ok, false);
        },
      );

      check(
        'lblc: one endpoint for an address until it is overloaded, then another one',
        async (at) => {
          await serve(at, 'lblc', [2, 2]);
          assert.equal(new Set(await connect(at, 10)).size, 1);
          const numbers = await holdMany(at, 8);
          const [first = 0] = numbers;
          const second = 1 - first;
          assert.deepEqual(numbers, [first, first, first, second, second, second, second, second]);
        },
      );

      check('lblcr: the same, but both share the load from then on', async (at) => {
        await serve(at, 'lblcr', [2, 2]);
        const numbers = await holdMany(at, 8);
        const [first = 0] = numbers;
        assert.deepEqual(numbers.slice(0, 4), [first, first, first, 1 - first]);
        assert.deepEqual(countEach(numbers, 2), [4, 4]);
      });

      for (const scheduler of ['twos', 'nonsense']) {
        check(
          `${scheduler}, which the kernel lacks: said so, the one of the mode used, nothing else affected`,
          async (at) => {
            const other = { name: 'other', clusterIP: at.clusterIP(1), weights: [1, 1] };
            const { notices } = await bench.world.change({
              set: [
                ...crowdService(at, {
                  weights: [1, 1],
                  annotations: { 'ipvs-scheduler': scheduler },
                }),
                ...crowdService(at, { ...other, annotations: { 'ipvs-scheduler': 'sh' } }),
              ],
            });
            assert.deepEqual(
              notices.map(({ service }) => service),
              ['shop/web'],
            );
            assert.match(
              notices[0]?.text ?? '',
              new RegExp(`no IPVS scheduler ${scheduler}\\b.* rr is used`),
            );
            assert.deepEqual(countEach(await connect(at, 10), 2), [5, 5]);
            assert.equal(new Set(await connect(at, 10, undefined, at.clusterIP(1))).size, 1);
            assert.equal(listed(bench.world, [at.clusterIP(), 80])?.size, 2);
            // It stays so, whatever changes, until the Service asks for one that is there.
            await serve(at, 'wlc', [1, 1]);
          },
        );
      }
    });
  }
});
