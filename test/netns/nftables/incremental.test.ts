/**
 * Any sequence of object events leaves the same in the kernel as building from the final objects at once, up
 * to the numbering of slots, which means nothing. Runs on the real kernel in a network namespace of its own.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { PlaneSettings } from '../../../src/core/node.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { openNftablesPlane } from '../../../src/planes/nftables/plane.ts';
import type { DataPlane, ProgrammedFrontend } from '../../../src/planes/plane.ts';
import { compareFrontends } from '../../../src/tools/status/compare.ts';
import { expectedFrontends } from '../../../src/tools/status/expected.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { parseCidr } from '../../../src/core/ip.ts';
import { SETTINGS } from './routes.ts';
import { arbitraryBatches } from '../../property/arbitraries.ts';
import { Objects } from '../../property/objects.ts';

/** No place, too few, enough for all Service ports there are. */
const ENOUGH = 1000;
const RANGES = ['10.96.0.0/12', 'fd00:96::/108'].map((text) => {
  const cidr = parseCidr(text);
  assert.ok(cidr !== undefined);
  return cidr;
});
const arbitrarySettings: fc.Arbitrary<PlaneSettings> = fc.record({
  families: fc.constant(SETTINGS.families),
  masqueradeAll: fc.boolean(),
  countedPorts: fc.constantFrom(0, 2, ENOUGH),
  serviceCidrs: fc.subarray([...RANGES]),
  localTraffic: fc.constant({}),
});

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

const sorted = <T>(target: T): T | readonly string[] =>
  Array.isArray(target) ? target.map(String).toSorted(compare) : target;

const nameOf = ({ frontend, protocol }: ProgrammedFrontend): string => `${frontend} ${protocol}`;

/** What packets can tell apart. */
function content(frontends: readonly ProgrammedFrontend[]): unknown {
  return frontends
    .map((frontend) => ({
      ...frontend,
      target: sorted(frontend.target),
      insideTarget: sorted(frontend.insideTarget),
      allowedSources: sorted(frontend.allowedSources),
    }))
    .toSorted((a, b) => compare(nameOf(a), nameOf(b)));
}

/** The same, and which Service ports are counted where that does not depend on who came first. */
async function read(plane: DataPlane, { countedPorts }: PlaneSettings): Promise<unknown> {
  const counters = countedPorts === ENOUGH ? await plane.counters() : [];
  const counted = counters.map(({ namespace, name, port, protocol, family }) =>
    [namespace, name, port, protocol, family].join(' '),
  );
  return { content: content(await plane.inspect()), counted: counted.toSorted(compare) };
}

inNamespace(import.meta.filename, () => {
  const io = openKernelIo();
  const planes: DataPlane[] = [];
  const open = (): DataPlane => {
    const plane = openNftablesPlane(io);
    planes.push(plane);
    return plane;
  };
  after(async () => {
    await open().remove();
    for (const plane of planes) plane.close();
  });

  void test('events one by one leave the same in the kernel as the final objects at once', async () => {
    const plane = open();
    const fresh = open();
    await fc.assert(
      fc.asyncProperty(arbitrarySettings, arbitraryBatches, async (settings, batches) => {
        await plane.remove();
        const objects = new Objects();
        await plane.open(settings, []);
        for (const events of batches) await plane.apply(objects.take(events));
        assert.equal(plane.disturbed(), false, 'our own changes are told from those of others');
        const incremental = await read(plane, settings);
        assert.deepEqual((await plane.verify()).drift, [], 'the kernel holds what was programmed');
        const expected = [...objects.routes].flatMap((route) =>
          expectedFrontends(route, 'nftables'),
        );
        assert.deepEqual(
          compareFrontends('nftables', expected, await plane.inspect()),
          [],
          'tools see no drift',
        );
        await fresh.remove();
        await fresh.open(settings, objects.routes);
        assert.deepEqual(incremental, await read(fresh, settings));
      }),
      { numRuns: 100 },
    );
  });

  void test('what one run left, another with other objects makes its own', async () => {
    const first = open();
    const second = open();
    const fresh = open();
    await fc.assert(
      fc.asyncProperty(
        arbitrarySettings,
        arbitrarySettings,
        arbitraryBatches,
        arbitraryBatches,
        async (settingsBefore, settings, before, now) => {
          const left = new Objects();
          left.take(before.flat());
          await first.remove();
          await first.open(settingsBefore, left.routes);

          const objects = new Objects();
          objects.take(now.flat());
          await second.open(settings, objects.routes);
          assert.deepEqual((await second.verify()).drift, []);
          const adopted = await read(second, settings);
          const again = await second.open(settings, objects.routes);
          assert.equal(again.operations, 0, 'nothing is written when nothing differs');

          await fresh.remove();
          await fresh.open(settings, objects.routes);
          assert.deepEqual(adopted, await read(fresh, settings));
        },
      ),
      { numRuns: 100 },
    );
  });
});
