/** `switchyard migrate`: a cluster of kubeadm to another mode, or to Switchyard. */
import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { SYSTEM_CLOCK } from '../agent/clock.ts';
import { MODES, type PlaneMode } from '../agent/config/option.ts';
import { readConfigFile } from '../agent/config/read-file.ts';
import { findAccess } from '../kube/connect.ts';
import { Transport } from '../kube/transport.ts';
import { readNodeNames } from '../tools/migrate/nodes.ts';
import { type ConfigHolder, holderOfCluster, holderOfFile } from '../tools/migrate/config-map.ts';
import { kubeadmDocument } from '../tools/migrate/kubeadm.ts';
import { type Migration, migrate } from '../tools/migrate/migrate.ts';
import type { Proxy, Step } from '../tools/migrate/plan.ts';
import type { Output } from './output.ts';
import { writeAtomically } from './write-atomically.ts';

interface MigrateFlags {
  readonly to: PlaneMode;
  readonly proxy: Proxy;
  readonly file?: string;
  readonly kubeconfig?: string;
  readonly apply?: true;
  readonly printKubeadm?: true;
  readonly output: 'text' | 'json' | 'yaml';
}

/** A configuration, and the nodes as far as they are known. */
interface Found {
  readonly holder: ConfigHolder;
  readonly nodes: readonly string[];
}

/** Adds the command. */
export function addMigrateCommand(program: Command, output: Output): void {
  const command = program
    .command('migrate')
    .summary('plan how a cluster of kubeadm gets to another mode, or to Switchyard')
    .description(
      'Reads the configuration of kube-proxy, shows what changes in it, and the way: one node, checks, the\n' +
        'others, and back. Changes nothing without --apply, and then only the configuration.',
    )
    .addOption(new Option('--to <mode>', 'the new mode').choices(MODES).makeOptionMandatory(true))
    .addOption(
      new Option('--proxy <name>', 'who is to serve afterwards')
        .choices(['switchyard', 'kube-proxy'])
        .default('switchyard'),
    )
    .option('--file <path>', 'the ConfigMap kube-proxy as a YAML file, or its config.conf')
    .addOption(
      new Option('--kubeconfig <file>', 'read the ConfigMap from a cluster').conflicts('file'),
    )
    .option('--apply', 'write the changed configuration to where it came from')
    .addOption(
      new Option(
        '--print-kubeadm',
        'print the configuration for a file of `kubeadm init`, and nothing else',
      ).conflicts('apply'),
    )
    .addOption(
      new Option('-o, --output <format>', 'how to print it')
        .choices(['text', 'json', 'yaml'])
        .default('text'),
    )
    .action(async (flags: MigrateFlags) => {
      await run(flags, command, output);
    });
}

async function run(flags: MigrateFlags, command: Command, output: Output): Promise<void> {
  const { to, file, kubeconfig } = flags;
  if (kubeconfig === undefined) {
    if (file !== undefined) await show(flags, { holder: fileHolder(file), nodes: [] }, output);
    else if (flags.printKubeadm === true) output.out(kubeadmDocument(to, undefined));
    else
      command.error('error: name the configuration with --file or --kubeconfig', { exitCode: 2 });
    return;
  }
  const access = findAccess(
    { kubeconfig, master: '' },
    { env: process.env, clock: SYSTEM_CLOCK, wallTime: () => Date.now() },
  );
  using client = new Transport(access, SYSTEM_CLOCK);
  const { signal } = new AbortController();
  const holder = await holderOfCluster(client, signal);
  const nodes = await readNodeNames(client, signal);
  await show(flags, { holder, nodes }, output);
}

function fileHolder(path: string): ConfigHolder {
  return holderOfFile(path, readConfigFile(path), async (text) => {
    await writeAtomically(path, text);
  });
}

async function show(flags: MigrateFlags, { holder, nodes }: Found, output: Output): Promise<void> {
  const { to, proxy, apply } = flags;
  const migration = migrate(holder, { to, proxy, nodes, command: commandOf(flags) });
  if (flags.printKubeadm === true) {
    output.out(kubeadmDocument(to, migration.config));
    return;
  }
  const isWritten = apply === true && migration.diff.length > 0;
  if (isWritten) await holder.replace(migration.config);
  if (flags.output === 'json') {
    output.out(`${JSON.stringify({ ...migration, isWritten }, undefined, 2)}\n`);
  } else if (flags.output === 'yaml') output.out(stringify({ ...migration, isWritten }));
  else output.out(`${textOf(migration, isWritten).join('\n')}\n`);
}

/** The command line that reads and writes the same configuration, but for the mode. */
function commandOf({ proxy, file, kubeconfig }: MigrateFlags): string {
  const place = kubeconfig === undefined ? `--file ${file ?? ''}` : `--kubeconfig ${kubeconfig}`;
  return `switchyard migrate ${place}${proxy === 'switchyard' ? '' : ` --proxy ${proxy}`}`;
}

function textOf(
  { place, from, to, diff, hints, plan }: Migration,
  isWritten: boolean,
): readonly string[] {
  const change =
    diff.length === 0
      ? [`${place}: nothing to change, the mode is ${to}.`]
      : [
          `${place}: ${from} to ${to}${isWritten ? ', written' : ', not written (--apply)'}`,
          ...diff.map((line) => `  ${line}`),
        ];
  return [
    ...change,
    ...(hints.length === 0 ? [] : ['', 'To know', ...hints.map((hint) => `  ${hint}`)]),
    ...plan.steps.flatMap((step, index) => stepLines(step, `${index + 1}. `)),
    ...stepLines(plan.watch, ''),
    ...plan.back.flatMap((step, index) => stepLines(step, `Back ${index + 1}. `)),
  ];
}

function stepLines({ title, text, commands }: Step, number: string): readonly string[] {
  return [
    '',
    `${number}${title}`,
    ...text.map((line) => `   ${line}`),
    ...commands.map((line) => `     ${line}`),
  ];
}
