/** Command line of `npm run bench -- ipvs`. */
import { parseArgs } from 'node:util';
import { UsageError } from '../usage-error.ts';

export const USAGE = `npm run bench -- ipvs [options]

  The ipvs plane beside ipvsadm, in one boot of user-mode Linux, whose kernel has IPVS. System
  calls are slow there, for both: look at the ratios.

  --quick        each load once and fewer samples
  --json FILE    where the results go (bench/results/DATE-MACHINE-ipvs.json)
`;

export interface IpvsOptions {
  readonly help: boolean;
  readonly quick: boolean;
  readonly json: string | undefined;
}

/** @throws UsageError */
export function parseIpvsOptions(args: readonly string[]): IpvsOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return { help: values.help === true, quick: values.quick === true, json: values.json };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** A command line that measures the same; without paths, for results are published. */
export function ipvsCommandLine({ quick }: IpvsOptions): string {
  return `npm run bench -- ipvs${quick ? ' --quick' : ''}`;
}
