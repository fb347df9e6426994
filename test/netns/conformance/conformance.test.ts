/**
 * Every behaviour of the proxy, over every data plane and both families, with real packets between namespaces.
 * One lab serves all cases of a plane: each starts from no objects, with addresses nobody used before.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Family } from '../../../src/core/ip.ts';
import { Lab, labReason } from '../../lab/lab.ts';
import type { ConformanceCase } from './case.ts';
import { cases } from './cases.ts';
import { place } from './place.ts';
import { planes } from './planes.ts';
import { World } from './world.ts';

async function runSteps(
  world: World,
  { steps }: ConformanceCase,
  family: Family,
  number: number,
): Promise<void> {
  for (const [index, step] of steps(place(family, number)).entries()) {
    try {
      if (step.setup) await world.setUp(step.setup);
      if (step.remove || step.set) await world.change(step);
      if (step.expect) await world.expect(step.expect);
      await step.check?.(world);
    } catch (cause) {
      const where = `step ${index + 1}${step.when === undefined ? '' : ` (${step.when})`}`;
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${where}: ${message}`, { cause });
    }
  }
}

/** Which of these commands the machine lacks, as a reason to skip. */
function missingTools(tools: readonly string[]): string | undefined {
  const path = process.env['PATH'] ?? '';
  const missing = tools.filter(
    (tool) => !path.split(':').some((folder) => existsSync(join(folder, tool))),
  );
  return missing.length === 0 ? undefined : `needs ${missing.join(', ')}`;
}

for (const plane of planes) {
  const missing = missingTools(plane.tools);
  describe(`${plane.name} conformance`, { skip: plane.reason() ?? labReason() ?? false }, () => {
    let lab: Lab;
    let world: World;
    let number = 0;
    before(async () => {
      lab = await Lab.open();
      world = await World.open(lab, plane);
    });
    after(async () => {
      await world.close();
      await lab.close();
    });

    test('the kernel has what the plane needs', async () => {
      for (const { name, ok, detail } of await world.capabilities()) {
        assert.ok(ok, `${name}: ${detail}`);
      }
    });

    for (const each of cases) {
      for (const family of plane.families) {
        const skip = plane.skips[each.name] ?? (each.usesTools && missing) ?? false;
        test(`${each.name}, ${family}`, { skip }, async () => {
          try {
            await runSteps(world, each, family, ++number);
            await world.reset();
          } catch (error) {
            // What a failed case leaves must not fail others.
            await world.startOver();
            throw error;
          }
        });
      }
    }
  });
}
