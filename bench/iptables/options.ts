/** Command line of `npm run bench -- iptables`. */
import { parseArgs } from 'node:util';
import { UsageError } from '../usage-error.ts';

export const USAGE = `npm run bench -- iptables [options]

  The iptables plane in both variants, beside kube-proxy's shape of rules.

  --quick        fewer samples
  --slow         kube-proxy's shape at 10,000 Services, too: takes many minutes
  --json FILE    where the results go (bench/results/DATE-MACHINE-iptables.json)
`;

export interface IptablesOptions {
  readonly help: boolean;
  readonly quick: boolean;
  readonly slow: boolean;
  readonly json: string | undefined;
}

/** @throws UsageError */
export function parseIptablesOptions(args: readonly string[]): IptablesOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        slow: { type: 'boolean' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return {
      help: values.help === true,
      quick: values.quick === true,
      slow: values.slow === true,
      json: values.json,
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** A command line that measures the same; without paths, for results are published. */
export function iptablesCommandLine({ quick, slow }: IptablesOptions): string {
  return `npm run bench -- iptables${quick ? ' --quick' : ''}${slow ? ' --slow' : ''}`;
}
