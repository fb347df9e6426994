/** Facts for tests: another machine, of which nothing is known but what a test says. */
import type { PlaneMode } from '../../../../src/agent/config/option.ts';
import { PLANE_NAMES, type PlaneName } from '../../../../src/agent/mode.ts';
import type { Facts } from '../../../../src/tools/advise/facts.ts';
import type { Measurement } from '../../../../src/tools/advise/measure/results.ts';
import { summarise } from '../../../../src/tools/advise/measure/statistics.ts';

/** Facts with nothing but these. */
export function factsOf(known: Partial<Facts>): Facts {
  return { modes: {}, measured: undefined, ...known };
}

/** Modes that were tried, and work or do not. */
export function modes(found: Readonly<Partial<Record<PlaneMode, boolean>>>): Facts['modes'] {
  return Object.fromEntries(
    Object.entries(found).map(([mode, works]) => [
      mode,
      { works, reasons: works ? [] : ['something is missing.'] },
    ]),
  );
}

/** A measurement in which one change takes so many milliseconds. */
export function measurement(changeMs: Readonly<Partial<Record<PlaneName, number>>>): Measurement {
  return {
    services: 1000,
    endpoints: 10_000,
    kernel: '6.18.0',
    processors: 2,
    modes: PLANE_NAMES.map((name) => {
      const ms = changeMs[name];
      const plane =
        ms === undefined
          ? ({ usable: false, reasons: [`there is no ${name}.`] } as const)
          : ({
              usable: true,
              load: summarise([1000]),
              operations: 1,
              change: summarise([ms]),
            } as const);
      return { name, plane, connect: undefined };
    }),
    withoutRules: undefined,
    seconds: 10,
  };
}
