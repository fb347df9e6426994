/** The iptables plane beside the real tools, in a network namespace of its own, in both variants. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Route, RouteChange } from '../../../src/core/route.ts';
import type { Iptables } from '../../../src/kernel/iptables/iptables.ts';
import {
  type IptablesMachine,
  iptablesMachine,
  openIptablesPlane,
} from '../../../src/planes/iptables/plane.ts';
import type { DataPlane, ProgrammedFrontend } from '../../../src/planes/plane.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { arbitraryBatches } from '../../property/arbitraries.ts';
import { Objects } from '../../property/objects.ts';
import { holdLock, killChildren, useOwnLock } from '../kernel/xtables.ts';
import { SETTINGS, route } from '../nftables/routes.ts';

const LOCK_HELD_MS = 3000;

function set(before: Route | undefined, is: Route): RouteChange {
  return { key: is.key, before, after: is };
}

/** All rules of a variant, without numbers of packets and times. */
function dump(variant: string): string {
  const save = `{ iptables-${variant}-save; ip6tables-${variant}-save; }`;
  const script = `${save} | sed -e '/^#/d' -e 's/ \\[[0-9:]*\\]$//' | sort`;
  return execFileSync('sh', ['-ec', script], { encoding: 'utf8' });
}

inNamespace(import.meta.filename, () => {
  const lockFile = useOwnLock();

  for (const variant of ['nft', 'legacy'] as const) {
    const isMissing = spawnSync(`iptables-${variant}`, ['--version']).error !== undefined;
    const skip = isMissing && `needs iptables-${variant}`;
    describe(`iptables-${variant}`, { skip }, () => {
      let time = 0;
      const waits: string[] = [];
      const options = { variant, masqueradeBit: 14, localhostNodePorts: true };
      const machine: IptablesMachine = {
        ...iptablesMachine(options, (text) => waits.push(text)),
        clock: { now: () => time },
      };
      const planes: DataPlane[] = [];
      const open = (): DataPlane => {
        const plane = openIptablesPlane(options, machine);
        planes.push(plane);
        return plane;
      };
      const openWatched = (watch: (iptables: Iptables) => Partial<Iptables>): DataPlane => {
        const openIptables = (): Iptables => {
          const iptables = machine.openIptables();
          return { ...iptables, ...watch(iptables) };
        };
        const plane = openIptablesPlane(options, { ...machine, openIptables });
        planes.push(plane);
        return plane;
      };
      const run = (...args: readonly string[]): string =>
        execFileSync(`iptables-${variant}`, args, { encoding: 'utf8' });
      after(async () => {
        for (const plane of planes) {
          await plane.remove();
          plane.close();
        }
      });
      const routes = Array.from({ length: 50 }, (_, index) => route(index, 3));

      void test('a process that is killed loses no change', async () => {
        const plane = open();
        await plane.open(SETTINGS, routes);
        const [first] = routes;
        assert.ok(first);
        let before = first;
        for (const count of [5, 3, 4]) {
          assert.ok(killChildren(`iptables-${variant}-restore`).length > 0);
          const changed = route(0, count);
          await plane.apply([set(before, changed)]);
          before = changed;
          const programmed: ProgrammedFrontend | undefined = (await plane.inspect()).find(
            ({ label }) => label === first.label,
          );
          assert.equal(programmed?.target.length, count);
          assert.deepEqual((await plane.verify()).drift, []);
        }
        await plane.remove();
      });

      void test('a chain that others deleted does not stop a change', async () => {
        const plane = open();
        await plane.open(SETTINGS, routes);
        for (const table of ['nat', 'filter']) {
          run('-t', table, '-F');
          run('-t', table, '-X');
        }
        const gone = routes[7];
        assert.ok(gone);
        await plane.apply([{ key: gone.key, before: gone, after: undefined }]);
        await plane.verify();
        assert.equal((await plane.inspect()).length, routes.length - 1);
        assert.deepEqual((await plane.verify()).drift, []);
        await plane.remove();
      });

      void test('what others empty between a repair and the look at it is found by the next comparison', async () => {
        let next: 'nothing' | 'repair' | 'look' = 'nothing';
        const plane = openWatched((iptables) => ({
          restore: async (...batches) => {
            await iptables.restore(...batches);
            if (next === 'repair') next = 'look';
          },
          list: async (...place) => {
            if (next === 'look') {
              run('-t', 'nat', '-F');
              next = 'nothing';
            }
            return iptables.list(...place);
          },
        }));
        await plane.open(SETTINGS, routes);
        run('-t', 'nat', '-F', 'SWY-MASQUERADE');
        next = 'repair';
        assert.equal((await plane.verify()).drift.length, 1);
        assert.equal((await plane.inspect()).length, 0, 'all is empty');
        assert.notDeepEqual((await plane.verify()).drift, []);
        assert.equal((await plane.inspect()).length, routes.length);
        assert.deepEqual((await plane.verify()).drift, []);
        await plane.remove();
      });

      void test('rules that lead to ours are looked for now and then, and put back', async () => {
        const plane = open();
        await plane.open(SETTINGS, routes);
        const chains = [
          ['nat', 'PREROUTING'],
          ['nat', 'OUTPUT'],
          ['nat', 'POSTROUTING'],
          ['filter', 'INPUT'],
          ['filter', 'FORWARD'],
          ['filter', 'OUTPUT'],
        ] as const;
        for (const [table, chain] of chains) {
          const before = run('-t', table, '-S', chain);
          run('-t', table, '-F', chain);
          await plane.tend();
          assert.equal(plane.disturbed(), false, 'it is not time yet');
          time += 10_000;
          await plane.tend();
          assert.equal(plane.disturbed(), true, `${table} ${chain}`);
          assert.notDeepEqual((await plane.verify()).drift, []);
          assert.equal(plane.disturbed(), false);
          assert.equal(run('-t', table, '-S', chain), before);
          time += 10_000;
          await plane.tend();
          assert.equal(plane.disturbed(), false, 'all is well');
        }
        await plane.remove();
      });

      void test('rules of others keep their order, and are all that is left after removal', async () => {
        run('-t', 'nat', '-N', 'THEIRS');
        run('-t', 'nat', '-A', 'THEIRS', '-p', 'tcp', '--dport', '7777', '-j', 'RETURN');
        run('-t', 'nat', '-A', 'PREROUTING', '-j', 'THEIRS');
        run('-t', 'nat', '-A', 'PREROUTING', '-p', 'udp', '-j', 'THEIRS');
        run('-A', 'FORWARD', '-p', 'icmp', '-j', 'DROP');
        const theirs = (): string => run('-t', 'nat', '-S') + run('-S');
        const before = theirs();
        const plane = open();
        await plane.open(SETTINGS, routes);
        const withOurs = theirs();
        assert.deepEqual(
          withOurs.split('\n').filter((line) => !line.includes('SWY-')),
          before.split('\n'),
        );
        await plane.remove();
        assert.equal(theirs(), before);
        assert.equal(await plane.remove(), false);
        for (const [table, chain] of [
          ['nat', 'PREROUTING'],
          ['nat', 'THEIRS'],
          ['filter', 'FORWARD'],
        ] as const) {
          run('-t', table, '-F', chain);
        }
        run('-t', 'nat', '-X', 'THEIRS');
      });

      void test('removal takes no new connections first, and leaves the rest to those that are on their way', async () => {
        const plane = open();
        await plane.open(SETTINGS, routes);
        const written: string[] = [];
        const watched = openWatched((iptables) => ({
          restore: async (family, batches) => {
            written.push(batches.map(({ table, lines }) => `${table} ${lines.join(', ')}`).join());
            await iptables.restore(family, batches);
          },
        }));
        await watched.remove();
        const services = '-m comment --comment "switchyard: Services" -j SWY-SERVICES';
        const waysIn = `nat -D PREROUTING ${services}, -D OUTPUT ${services}`;
        assert.deepEqual(
          written.map((text) => (text === waysIn ? 'ways in' : text.split(' ')[0])),
          ['filter', 'ways in', 'nat', 'filter', 'ways in', 'nat'],
        );
      });

      void test('a batch of megabytes is written, and adopted by the next process without a write', async () => {
        const plane = open();
        const large = Array.from({ length: 40 }, (_, index) => route(index, 1000));
        await plane.open(SETTINGS, large);
        assert.equal((await plane.inspect()).length, 40);
        const next = open();
        const { operations } = await next.open(SETTINGS, large);
        assert.equal(operations, 0);
        await next.remove();
      });

      void test('events one by one leave the same in the kernel as the final objects at once', async () => {
        const plane = open();
        const fresh = open();
        await fc.assert(
          fc.asyncProperty(arbitraryBatches, async (batches) => {
            await plane.remove();
            const objects = new Objects();
            await plane.open(SETTINGS, []);
            for (const events of batches) await plane.apply(objects.take(events));
            const incremental = dump(variant);
            assert.deepEqual((await plane.verify()).drift, []);
            assert.equal((await fresh.open(SETTINGS, objects.routes)).operations, 0);
            await fresh.remove();
            await fresh.open(SETTINGS, objects.routes);
            assert.equal(incremental, dump(variant));
          }),
          { numRuns: 15 },
        );
        await fresh.remove();
      });

      void test(
        'a change waits for a lock that somebody holds, and is not lost',
        { skip: variant === 'nft' && 'the nft variant has no lock' },
        async () => {
          const plane = open();
          await plane.open(SETTINGS, routes);
          const holder = await holdLock(lockFile);
          let isWritten = false;
          const write = async (): Promise<void> => {
            await plane.apply([set(routes[0], route(0, 5))]);
            isWritten = true;
          };
          const writing = write();
          await sleep(LOCK_HELD_MS);
          assert.equal(isWritten, false);
          holder.kill();
          await writing;
          const written: ProgrammedFrontend | undefined = (await plane.inspect()).find(
            ({ label }) => label === 'shop/s0:http',
          );
          assert.equal(written?.target.length, 5);
          await plane.remove();
        },
      );
    });
  }
});
