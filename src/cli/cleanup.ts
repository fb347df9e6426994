/** `switchyard cleanup`: removes what a proxy left in the kernel, Switchyard or kube-proxy. */
import { type Command, Option } from 'commander';
import { type LoadedConfig, loadConfig } from '../agent/config/load.ts';
import { MODES, type PlaneMode } from '../agent/config/option.ts';
import { readConfigFile } from '../agent/config/read-file.ts';
import { openKernelIo } from '../kernel/koffi-io.ts';
import { describe, summarise } from '../tools/cleanup/describe.ts';
import { findLeftovers } from '../tools/cleanup/find.ts';
import type { Leftovers, Owner } from '../tools/cleanup/leftovers.ts';
import { type CleanupMachine, openRuleTools } from '../tools/cleanup/machine.ts';
import { removeLeftovers } from '../tools/cleanup/remove.ts';
import { refuseWhileRunning } from '../tools/cleanup/running.ts';
import type { Output } from './output.ts';
import { planeOffers } from './planes.ts';

interface CleanupFlags {
  readonly owner: Owner;
  readonly mode?: PlaneMode;
  readonly dryRun?: true;
  readonly output?: 'json';
}

const OWNERS: readonly Owner[] = ['switchyard', 'kube-proxy'];

/**
 * Adds the command.
 * @param onFindings - Called when a dry run found something.
 */
export function addCleanupCommand(program: Command, output: Output, onFindings: () => void): void {
  program
    .command('cleanup')
    .summary('remove what a proxy left in the kernel: switchyard, or kube-proxy')
    .description(
      'Removes what a proxy programmed, and nothing else, once it is stopped. Objects that cannot be told to be its\n' +
        'own stay; docs/cleanup.md says which. Exit code 1: it was refused or failed, or --dry-run found something.',
    )
    .addOption(new Option('--owner <owner>', 'whose').choices(OWNERS).default('switchyard'))
    .addOption(new Option('--mode <mode>', 'only what one mode of it made').choices(MODES))
    .option('--dry-run', 'list every object that would go, and remove nothing')
    .addOption(new Option('-o, --output <format>', 'print it as a document').choices(['json']))
    .action(async (flags: CleanupFlags) => {
      const defaults = loadConfig({
        flags: new Map(),
        readFile: readConfigFile,
        hostname: 'localhost',
      });
      await withMachine(defaults, async (machine) => {
        const leftovers = await cleanUp(flags, machine, output);
        if (flags.dryRun === true && leftovers.objects.length > 0) onFindings();
      });
    });
}

/** What `kube-proxy --cleanup` does: removes the rules of every mode, ours and those of kube-proxy, running or not. */
export async function removeRules(loaded: LoadedConfig, output: Output): Promise<void> {
  await withMachine(loaded, async (machine) => {
    for (const owner of OWNERS) {
      const leftovers = await findLeftovers(owner, machine);
      await removeLeftovers(leftovers, machine);
      output.out(`${summarise(leftovers).join('\n')}\n`);
    }
  });
}

async function cleanUp(
  flags: CleanupFlags,
  machine: CleanupMachine,
  output: Output,
): Promise<Leftovers> {
  const { owner, mode } = flags;
  const isDryRun = flags.dryRun === true;
  if (!isDryRun) refuseWhileRunning(owner);
  const leftovers = await findLeftovers(owner, machine, mode === undefined ? MODES : [mode]);
  if (!isDryRun) await removeLeftovers(leftovers, machine);
  output.out(flags.output === 'json' ? toJson(leftovers, isDryRun) : toText(leftovers, isDryRun));
  return leftovers;
}

function toText(leftovers: Leftovers, isDryRun: boolean): string {
  const { objects, unseen } = leftovers;
  const lines =
    isDryRun && objects.length + unseen.length > 0 ? describe(leftovers) : summarise(leftovers);
  return `${lines.join('\n')}\n`;
}

function toJson({ owner, modes, objects, kept, unseen }: Leftovers, isDryRun: boolean): string {
  const document = { owner, modes, removed: !isDryRun, objects, kept, unseen };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

async function withMachine(
  loaded: LoadedConfig,
  use: (machine: CleanupMachine) => Promise<void>,
): Promise<void> {
  const io = openKernelIo();
  const iptables = openRuleTools(io);
  try {
    await use({ io, iptables, planes: planeOffers(io, loaded) });
  } finally {
    for (const tool of iptables) tool.close();
  }
}
