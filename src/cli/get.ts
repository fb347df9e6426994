/** `switchyard get …`: what the agent of this machine wants, what the kernel holds, and where the two differ. */
import { Argument, type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { OPTIONS } from '../agent/config/options.ts';
import { loadConfig } from '../agent/config/load.ts';
import { readConfigFile } from '../agent/config/read-file.ts';
import { KernelError } from '../kernel/errors.ts';
import { openKernelIo } from '../kernel/koffi-io.ts';
import type { ProgrammedFrontend } from '../planes/plane.ts';
import { ToolError } from '../tools/errors.ts';
import { type ServiceFilter, chooseItems } from '../tools/status/choose.ts';
import { readList, readStatus } from '../tools/status/client.ts';
import { findDrift } from '../tools/status/drift.ts';
import { expectedFrontends } from '../tools/status/expected.ts';
import {
  type FrontendOfMode,
  type Rows,
  driftRows,
  endpointRows,
  frontendRows,
  serviceRows,
} from '../tools/status/tables.ts';
import type { Output } from './output.ts';
import { inspectPlane, planeOffers } from './planes.ts';
import { show } from './show.ts';
import { tableLines } from './table.ts';

const SUBJECTS = ['services', 'endpoints', 'routes', 'programmed', 'drift'] as const;
type Subject = (typeof SUBJECTS)[number];

interface Flags {
  readonly namespace?: string;
  readonly output: 'table' | 'wide' | 'json' | 'yaml';
  readonly statusSocket: string;
}

/** What is shown: for people, and for programs. */
interface Shown {
  readonly rows: Rows;
  readonly document: unknown;
}

/**
 * Adds the command.
 *
 * @param onFindings - Called when there is drift.
 */
export function addGetCommand(program: Command, output: Output, onFindings: () => void): void {
  program
    .command('get')
    .summary('show what is wanted, what the kernel holds, and where they differ')
    .description(
      'Shows Services and endpoints as the agent of this machine knows them, the routes that follow from them, what is\n' +
        'programmed in the kernel, and the drift: where the kernel differs from what is wanted. Needs root.\n' +
        'Without an agent only what is programmed can be shown.',
    )
    .addArgument(new Argument('<what>', 'what to show').choices(SUBJECTS))
    .argument('[name]', 'only the Service of this name')
    .option('-n, --namespace <namespace>', 'only Services of this namespace')
    .addOption(
      new Option('-o, --output <format>', 'form of the output')
        .choices(['table', 'wide', 'json', 'yaml'])
        .default('table'),
    )
    .option(
      '--status-socket <path>',
      'socket of the agent, where it is another one',
      OPTIONS.statusSocket.default,
    )
    .action(async (what: Subject, name: string | undefined, flags: Flags) => {
      const filter = { namespace: flags.namespace, name };
      await write(await READERS[what](flags, filter, onFindings), flags, output);
    });
}

type Reader = (flags: Flags, filter: ServiceFilter, onFindings: () => void) => Promise<Shown>;

const READERS: Readonly<Record<Subject, Reader>> = {
  services: async ({ statusSocket, output }, filter) => {
    const { items } = await readList(statusSocket, 'services');
    const chosen = chooseItems(items, filter, ({ namespace, name }) => `${namespace}/${name}`);
    return { rows: serviceRows(chosen, output === 'wide'), document: chosen };
  },
  endpoints: async ({ statusSocket, output }, filter) => {
    const { items } = await readList(statusSocket, 'endpoints');
    const chosen = chooseItems(
      items,
      filter,
      ({ namespace, service }) => `${namespace}/${service}`,
    );
    return { rows: endpointRows(chosen, output === 'wide'), document: chosen };
  },
  routes: async ({ statusSocket, output }, filter) => {
    const { mode, items } = await readList(statusSocket, 'routes');
    const chosen = chooseItems(items, filter, ({ label }) => label);
    const frontends = inMode(
      mode,
      chosen.flatMap((route) => expectedFrontends(route, mode)),
    );
    return { rows: frontendRows([...frontends], output === 'wide'), document: chosen };
  },
  programmed: async ({ statusSocket, output }, filter) => {
    const frontends = await readProgrammed(statusSocket);
    const chosen = chooseItems(frontends, filter, ({ label }) => label);
    return { rows: frontendRows(chosen, output === 'wide'), document: chosen };
  },
  drift: async ({ statusSocket }, filter, onFindings) => {
    const status = await readStatus(statusSocket);
    if (status !== undefined && status.servingSince === undefined) {
      throw new ToolError(
        'SY_AGENT_STARTING',
        'The agent has programmed nothing yet: look into its log, or try again.',
      );
    }
    const sources = {
      routes: async () => readList(statusSocket, 'routes'),
      programmed: async () => readList(statusSocket, 'programmed'),
    };
    const report = await findDrift(sources, filter);
    if (report.differences.length > 0) onFindings();
    return { rows: driftRows(report), document: report };
  },
};

/** What the agent's mode has in the kernel, or without an agent every mode. */
async function readProgrammed(socket: string): Promise<readonly FrontendOfMode[]> {
  if ((await readStatus(socket)) === undefined) return readKernel();
  const { mode, items } = await readList(socket, 'programmed');
  return [...inMode(mode, items)];
}

async function readKernel(): Promise<readonly FrontendOfMode[]> {
  const loaded = loadConfig({
    flags: new Map(),
    readFile: readConfigFile,
    hostname: 'localhost',
  });
  const frontends: FrontendOfMode[] = [];
  const errors: KernelError[] = [];
  const offers = planeOffers(openKernelIo(), loaded);
  for (const offer of offers) {
    try {
      for (const each of inMode(offer.mode, await inspectPlane(offer))) frontends.push(each);
    } catch (error) {
      // A mode that this kernel does not have holds nothing.
      if (!(error instanceof KernelError)) throw error;
      errors.push(error);
    }
  }
  const [first] = errors;
  if (first !== undefined && errors.length === offers.length) throw first;
  return frontends;
}

function* inMode(
  mode: string,
  frontends: readonly ProgrammedFrontend[],
): Generator<FrontendOfMode, void, undefined> {
  for (const each of frontends) yield { mode, ...each };
}

async function write({ rows, document }: Shown, flags: Flags, output: Output): Promise<void> {
  await show(async function* () {
    if (flags.output === 'json') yield JSON.stringify(document, undefined, 2);
    else if (flags.output === 'yaml') yield stringify(document).trimEnd();
    else yield* tableLines(rows);
  }, output);
}
