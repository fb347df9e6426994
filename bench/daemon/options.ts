/** Command line of `npm run bench -- agent`. */
import { parseArgs } from 'node:util';
import { UsageError } from '../usage-error.ts';

export const USAGE = `npm run bench -- agent [options]

  The bundled executable as it runs on a node, with a stand-in API server over TLS.

  --services N   number of Services (10000)
  --endpoints N  endpoints of each (10)
  --rate N       slices that change in a second (50)
  --seconds N    for so long (60)
  --minutes N    the same in minutes, to see whether memory stays flat
  --quick        1,000 Services and 10 s, unless said otherwise; each start once
  --bundle FILE  measure this executable, instead of dist/bin/switchyard.js, which is
                 built first
  --json FILE    where the results go (bench/results/DATE-MACHINE-agent.json)
`;

export interface DaemonOptions {
  readonly help: boolean;
  readonly services: number;
  readonly endpoints: number;
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly quick: boolean;
  /** How often the daemon is started in each way. */
  readonly starts: number;
  readonly bundle: string | undefined;
  readonly json: string | undefined;
}

/** The stand-in's made-up addresses suffice for as many. */
const MAX_SERVICES = 60_000;
const MAX_ENDPOINTS = 100;
const MAX_RATE = 1000;
const MAX_SECONDS = 86_400;
/** Addresses of changes repeat after this many (testing/churn.ts). */
const MAX_CHANGES = 1 << 18;

/** @throws UsageError */
export function parseDaemonOptions(args: readonly string[]): DaemonOptions {
  const values = parse(args);
  const quick = values.quick === true;
  const whole = (name: 'services' | 'endpoints' | 'rate' | 'seconds' | 'minutes', most: number) =>
    values[name] === undefined ? undefined : parseWhole(`--${name}`, values[name], most);
  const minutes = whole('minutes', MAX_SECONDS / 60);
  const seconds = whole('seconds', MAX_SECONDS);
  if (minutes !== undefined && seconds !== undefined) {
    throw new UsageError('--minutes and --seconds say the same: give one of them');
  }
  const options = {
    help: values.help === true,
    services: whole('services', MAX_SERVICES) ?? (quick ? 1000 : 10_000),
    endpoints: whole('endpoints', MAX_ENDPOINTS) ?? 10,
    ratePerSecond: whole('rate', MAX_RATE) ?? 50,
    seconds: minutes === undefined ? (seconds ?? (quick ? 10 : 60)) : minutes * 60,
    quick,
    starts: quick ? 1 : 3,
    bundle: values.bundle,
    json: values.json,
  };
  if (options.ratePerSecond * options.seconds < MAX_CHANGES) return options;
  throw new UsageError(`only ${MAX_CHANGES} changes can be told apart: lower --rate or the time`);
}

/** A command line that measures the same; without paths, for results are published. */
export function daemonCommandLine(options: DaemonOptions): string {
  const { services, endpoints, ratePerSecond, seconds, quick } = options;
  return [
    'npm run bench -- agent',
    `--services ${services} --endpoints ${endpoints}`,
    `--rate ${ratePerSecond} --seconds ${seconds}`,
    ...(quick ? ['--quick'] : []),
  ].join(' ');
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        services: { type: 'string' },
        endpoints: { type: 'string' },
        rate: { type: 'string' },
        seconds: { type: 'string' },
        minutes: { type: 'string' },
        quick: { type: 'boolean' },
        bundle: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function parseWhole(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new UsageError(`${name}: ${text} is not a whole number from 1 to ${most}`);
}
