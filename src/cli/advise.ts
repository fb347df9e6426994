/** `switchyard advise`: which mode is right, why, and what would change that. */
import { release } from 'node:os';
import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { SYSTEM_CLOCK } from '../agent/clock.ts';
import { loadConfig } from '../agent/config/load.ts';
import { readConfigFile } from '../agent/config/read-file.ts';
import { type PlaneOffer, planeName } from '../agent/mode.ts';
import type { ProxyItem } from '../core/change.ts';
import { openKernelIo, openTcpIo } from '../kernel/koffi-io.ts';
import { findAccess } from '../kube/connect.ts';
import { Transport } from '../kube/transport.ts';
import { advise } from '../tools/advise/advise.ts';
import {
  EXPECTED,
  FACT_FIELDS,
  FACT_NAMES,
  type FactName,
  type Facts,
  type GivenFacts,
  factFlag,
  factsOfModes,
  mergeFacts,
  parseFact,
  parseVersion,
} from '../tools/advise/facts.ts';
import { measureModes, serveRole } from '../tools/advise/measure/measure.ts';
import { EFFORT, type Measurement } from '../tools/advise/measure/results.ts';
import type { Role } from '../tools/advise/measure/roles.ts';
import { MAX_ENDPOINTS, MAX_SERVICES, inventWorkload } from '../tools/advise/measure/workload.ts';
import { mermaid } from '../tools/advise/mermaid.ts';
import { readFacts } from '../tools/advise/read-facts.ts';
import {
  type ReadObjects,
  factsOf,
  readCluster,
  readManifests,
} from '../tools/advise/read-objects.ts';
import { ToolError } from '../tools/errors.ts';
import { adviceLines } from './advise-text.ts';
import type { Output } from './output.ts';
import { planeOffers } from './planes.ts';

type AdviseFlags = {
  readonly [Name in FactName]?: GivenFacts;
} & {
  readonly manifests?: string;
  readonly kubeconfig?: string;
  readonly facts?: string;
  readonly measure?: true;
  readonly tree?: true;
  readonly output: 'text' | 'json' | 'yaml';
};

const WORKER = 'advise-worker';
const ROLES = ['scratch', 'plane', 'client'] as const satisfies readonly Role[];
/** As the image runs it: a small young generation saves memory. */
const NODE_FLAGS = ['--max-semi-space-size=4'] as const;
/** Of a Service, where nobody says. */
const ENDPOINTS = 10;

/** Adds the command, and the one that it starts processes of this program with. */
export function addAdviseCommand(program: Command, output: Output): void {
  const command = program
    .command('advise')
    .summary('say which mode is right here, why, and what would change that')
    .description(
      'Asks the questions of docs/choosing-a-mode.md, of what is given and of what can be read:\n' +
        'Services from manifests or a cluster, modes from this kernel (as root; --kernel: not this one).',
    )
    .addOption(
      new Option('--manifests <path>', 'read Services from a YAML file or a folder of them'),
    )
    .addOption(
      new Option('--kubeconfig <file>', 'read Services from a cluster').conflicts('manifests'),
    )
    .option('--facts <file>', 'read facts from a YAML file, with the names of the flags below');
  for (const name of FACT_NAMES) command.addOption(factOption(name));
  command
    .option(
      '--measure',
      'build the Services in namespaces in each mode this kernel has, and time it: a minute',
    )
    .option('--tree', 'print the questions as a Mermaid flow chart, and nothing else')
    .addOption(
      new Option('-o, --output <format>', 'how to print it')
        .choices(['text', 'json', 'yaml'])
        .default('text'),
    )
    .action(async (flags: AdviseFlags) => {
      if (flags.tree === true) output.out(`${mermaid()}\n`);
      else await run(flags, command, output);
    });
  program
    .command(WORKER, { hidden: true })
    .addArgument(new Argument('<role>').choices(ROLES))
    .action(async (role: Role) => {
      await serveRole(role, offers, () => ({ kernel: openKernelIo(), tcp: openTcpIo() }));
    });
}

function factOption(name: FactName): Option {
  const { kind, help } = FACT_FIELDS[name];
  return new Option(`--${factFlag(name)} <${kind === 'yesNo' ? 'yes|no' : kind}>`, help).argParser(
    (text) => {
      const fact = parseFact(name, text);
      if (fact !== undefined) return fact;
      throw new InvalidArgumentError(`It must be ${EXPECTED[kind]}.`);
    },
  );
}

async function run(flags: AdviseFlags, command: Command, output: Output): Promise<void> {
  const read = await readObjects(flags);
  for (const problem of read?.problems ?? []) output.error(`${problem}\n`);
  const given = mergeFacts([
    read && factsOf(read.items),
    flags.facts === undefined ? undefined : readFacts(readConfigFile(flags.facts), flags.facts),
    ...FACT_NAMES.map((name) => flags[name]),
  ]);
  const measured =
    flags.measure === true
      ? await measure(read?.items ?? inventedItems(given, command), output)
      : undefined;
  const advice = advise({ ...given, ...aboutThisMachine(given, measured), measured });
  if (flags.output === 'json') output.out(`${JSON.stringify(advice, undefined, 2)}\n`);
  else if (flags.output === 'yaml') output.out(stringify(advice));
  else output.out(`${adviceLines(advice).join('\n')}\n`);
}

async function readObjects({
  manifests,
  kubeconfig,
}: AdviseFlags): Promise<ReadObjects | undefined> {
  if (manifests !== undefined) return readManifests(manifests);
  if (kubeconfig === undefined) return undefined;
  const access = findAccess(
    { kubeconfig, master: '' },
    { env: process.env, clock: SYSTEM_CLOCK, wallTime: () => Date.now() },
  );
  using transport = new Transport(access, SYSTEM_CLOCK);
  return await readCluster(transport, new AbortController().signal);
}

/** The kernel and its modes. Nothing of this machine counts where another kernel is asked about. */
function aboutThisMachine(
  { kernel }: GivenFacts,
  measured: Measurement | undefined,
): Pick<Facts, 'kernel' | 'modes'> {
  if (measured !== undefined) {
    const modes = factsOfModes(
      measured.modes.map(({ name, plane }) => ({
        name,
        reasons: plane.usable ? [] : plane.reasons,
      })),
    );
    return { kernel: parseVersion(measured.kernel), modes };
  }
  if (kernel !== undefined || process.platform !== 'linux') return { kernel, modes: {} };
  // Without the rights to try, nothing would work.
  const modes = process.getuid?.() === 0 ? probe() : {};
  return { kernel: parseVersion(release()), modes };
}

function probe(): Facts['modes'] {
  return factsOfModes(
    offers().map((offer) => {
      const plane = offer.open();
      try {
        const missing = plane.probe().filter(({ ok }) => !ok);
        const reasons = missing.map(({ name, detail }) => `${name}: ${detail}`);
        return { name: planeName(offer), reasons };
      } finally {
        plane.close();
      }
    }),
  );
}

function offers(): readonly PlaneOffer[] {
  const defaults = loadConfig({
    flags: new Map(),
    readFile: readConfigFile,
    hostname: 'localhost',
  });
  return planeOffers(openKernelIo(), defaults);
}

function inventedItems(
  { services = 0, endpoints = services * ENDPOINTS }: GivenFacts,
  command: Command,
): readonly ProxyItem[] {
  if (services === 0) {
    command.error('error: --measure needs --manifests, --kubeconfig or --services', {
      exitCode: 2,
    });
  }
  if (services > MAX_SERVICES || endpoints > MAX_ENDPOINTS) {
    command.error(
      `error: --measure takes up to ${MAX_SERVICES} Services and ${MAX_ENDPOINTS} endpoints`,
      { exitCode: 2 },
    );
  }
  return inventWorkload(services, Math.round(endpoints / services));
}

async function measure(items: readonly ProxyItem[], output: Output): Promise<Measurement> {
  const stop = new AbortController();
  const end = (): void => {
    stop.abort(
      new ToolError('SY_MEASURE_STOPPED', 'Measuring was stopped. Nothing of it is left behind.'),
    );
  };
  process.once('SIGINT', end).once('SIGTERM', end);
  try {
    return await measureModes({
      planes: offers().map(planeName),
      items,
      effort: EFFORT,
      program: [process.execPath, ...NODE_FLAGS, process.argv[1] ?? '', WORKER],
      signal: stop.signal,
      onProgress: (text) => {
        output.error(`${text} ...\n`);
      },
    });
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end);
  }
}
