/** Drift: what an agent wants and what the kernel holds, compared while both may change. */
import type { Route } from '../../core/route.ts';
import type { ProgrammedFrontend } from '../../planes/plane.ts';
import type { StatusList } from './client.ts';
import { type ServiceFilter, chooseItems } from './choose.ts';
import { type Difference, compareFrontends } from './compare.ts';
import { expectedFrontends } from './expected.ts';

/** Where both sides are read. */
export interface DriftSources {
  readonly routes: () => Promise<StatusList<Route>>;
  readonly programmed: () => Promise<StatusList<ProgrammedFrontend>>;
}

/** What a comparison came to. */
export interface DriftReport {
  readonly mode: string;
  /** How many frontends of the Services that are asked for are wanted. */
  readonly frontends: number;
  /** In order of Services. */
  readonly differences: readonly Difference[];
}

/** One reading is later than the other: what changes in between looks like drift, but not three times. */
const READINGS = 3;

/** Finds what differs, and goes on differing when it is looked at again. */
export async function findDrift(
  sources: DriftSources,
  filter: ServiceFilter,
): Promise<DriftReport> {
  let report = await compareOnce(sources, filter);
  for (let reading = 1; reading < READINGS && report.differences.length > 0; reading++) {
    const before = new Set(report.differences.map((each) => JSON.stringify(each)));
    const again = await compareOnce(sources, filter);
    const differences = again.differences.filter((each) => before.has(JSON.stringify(each)));
    report = { ...again, differences };
  }
  return report;
}

async function compareOnce(
  { routes, programmed }: DriftSources,
  filter: ServiceFilter,
): Promise<DriftReport> {
  const { mode, items } = await routes();
  const expected = items.flatMap((route) => expectedFrontends(route, mode));
  const differences = compareFrontends(mode, expected, (await programmed()).items);
  return {
    mode,
    frontends: chooseItems(expected, filter, ({ label }) => label).length,
    differences: chooseItems(differences, filter, ({ service }) => service),
  };
}
