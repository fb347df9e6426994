/** Command line of the bench. */
import { parseArgs } from 'node:util';
import { MAX_NETWORKS, MAX_SERVICES } from './cluster.ts';
import { UsageError } from './usage-error.ts';

export const USAGE = `npm run bench -- [nftables] [options]

  --sizes N,N    numbers of Services, 10 endpoints each (1000,10000,50000)
  --quick        1,000 Services and fewer samples: a few seconds
  --slow         kube-proxy's shape of rules at 10,000 Services too
  --peer PATH    a kube-proxy binary to measure beside, as a black box in a namespace of
                 its own, at 1,000 Services (and at 10,000 with --slow); it is run with
                 the rights of the bench. Tried only with a small stand-in program: no
                 kube-proxy was at hand.
  --json FILE    where the results go (bench/results/DATE-MACHINE.json)
`;

export interface Options {
  readonly help: boolean;
  readonly sizes: readonly number[];
  readonly quick: boolean;
  readonly slow: boolean;
  readonly peer: string | undefined;
  readonly json: string | undefined;
}

const FULL_SIZES = '1000,10000,50000';
const QUICK_SIZES = '1000';

/** @throws UsageError */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  const [mode = 'nftables', ...rest] = positionals;
  if (mode !== 'nftables' || rest.length > 0) {
    throw new UsageError(
      `three things can be measured: nftables, agent and ipvs, not ${positionals.join(' ')}`,
    );
  }
  const quick = values.quick === true;
  const sizes = (values.sizes ?? (quick ? QUICK_SIZES : FULL_SIZES)).split(',').map(parseSize);
  // One network each, and those of 10 Services, of no rules, of kube-proxy's shape, and of a peer.
  if (sizes.length > MAX_NETWORKS - 6) throw new UsageError('--sizes: too many');
  return {
    help: values.help === true,
    sizes: [...new Set(sizes)].toSorted((a, b) => a - b),
    quick,
    slow: values.slow === true,
    peer: values.peer,
    json: values.json,
  };
}

/** A command line that measures the same; without paths, for results are published. */
export function commandLine({ sizes, quick, slow, peer }: Options): string {
  const flags = [
    ...(quick ? ['--quick'] : []),
    ...(slow ? ['--slow'] : []),
    ...(peer === undefined ? [] : ['--peer kube-proxy']),
  ];
  return ['npm run bench -- nftables', '--sizes', sizes.join(','), ...flags].join(' ');
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        sizes: { type: 'string' },
        quick: { type: 'boolean' },
        slow: { type: 'boolean' },
        peer: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function parseSize(text: string): number {
  const size = Number(text);
  // Services that come and go need room behind the others.
  if (Number.isInteger(size) && size >= 10 && size <= MAX_SERVICES - 1000) return size;
  throw new UsageError(`--sizes: ${text} is not a whole number from 10 to ${MAX_SERVICES - 1000}`);
}
