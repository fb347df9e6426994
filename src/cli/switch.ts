/** `switchyard switch`: another mode for the running agent, and kube-proxy's place taken, without a dropped connection. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { SYSTEM_CLOCK } from '../agent/clock.ts';
import { parseGoDuration } from '../agent/config/go-duration.ts';
import { loadConfig } from '../agent/config/load.ts';
import { OPTIONS } from '../agent/config/options.ts';
import { readConfigFile } from '../agent/config/read-file.ts';
import { PLANE_NAMES, type PlaneName } from '../agent/mode.ts';
import { findTools } from '../kernel/iptables/variant.ts';
import { openKernelIo } from '../kernel/koffi-io.ts';
import { describe, summarise } from '../tools/cleanup/describe.ts';
import { openRuleTools } from '../tools/cleanup/machine.ts';
import { refuseWhileRunning } from '../tools/cleanup/running.ts';
import { ToolError } from '../tools/errors.ts';
import {
  checkSwitch,
  followSwitch,
  readSwitchState,
  requestSwitch,
} from '../tools/switch/request.ts';
import { findKubeProxy, takeOver } from '../tools/switch/take-over.ts';
import type { Output } from './output.ts';
import { planeOffers } from './planes.ts';
import { SwitchReport } from './switch-report.ts';

interface Flags {
  readonly to?: PlaneName | 'iptables';
  readonly undo?: true;
  readonly dryRun?: true;
  /** In milliseconds. */
  readonly drainLimit?: number;
  readonly output?: 'json';
  readonly statusSocket: string;
  readonly stateFolder: string;
}

/** Adds the command. */
export function addSwitchCommand(program: Command, output: Output): void {
  program
    .command('switch')
    .summary('change the mode of the running agent, or take over from kube-proxy')
    .description(
      'Makes the plane of another mode beside the present one, puts it in charge, and removes the old one when no\n' +
        'connection needs it any more. Then removes what a stopped kube-proxy left. Without --to and --undo, tells how\n' +
        'it stands. Ctrl-C stops watching, not the switch: call it again to watch. docs/switching.md tells more.',
    )
    .addOption(
      new Option(
        '--to <mode>',
        'the mode to change to; iptables: in the variant that others use here',
      )
        .choices([...PLANE_NAMES, 'iptables'])
        .conflicts('undo'),
    )
    .option('--undo', 'change back to the mode before the last switch')
    .option(
      '--dry-run',
      'check whether it can be done, say what would be removed, and change nothing',
    )
    .addOption(
      new Option(
        '--drain-limit <duration>',
        'end connections that still need the old plane after this time, such as 10m; without it they last as long as they do',
      ).argParser(duration),
    )
    .addOption(new Option('-o, --output <format>', 'print it as a document').choices(['json']))
    .option(
      '--status-socket <path>',
      'socket of the agent, where it is another one',
      OPTIONS.statusSocket.default,
    )
    .option(
      '--state-folder <path>',
      'where a copy of what kube-proxy left is kept',
      OPTIONS.stateFolder.default,
    )
    .action(async (flags: Flags) => {
      const report = new SwitchReport(output, flags.output === 'json');
      await run(flags, report);
      report.end();
    });
}

async function run(flags: Flags, report: SwitchReport): Promise<void> {
  const { statusSocket, dryRun, drainLimit } = flags;
  const state = await readSwitchState(statusSocket);
  if (flags.to === undefined && flags.undo === undefined) {
    report.state(state);
    return;
  }
  const to =
    flags.to === 'iptables'
      ? (`iptables-${findTools().variant}` as const)
      : (flags.to ?? state.last?.from);
  if (to === undefined) {
    throw new ToolError('SY_SWITCH_REFUSED', 'There is no switch that could be undone.');
  }
  refuseWhileRunning('kube-proxy');
  const seconds = drainLimit === undefined ? undefined : Math.ceil(drainLimit / 1000);
  const request = { to, drainLimit: seconds };
  if (dryRun === true) {
    if (to !== state.plane) await checkSwitch(statusSocket, request);
    report.possible(state.plane, to);
  } else if (to !== state.plane) {
    for await (const progress of requestSwitch(statusSocket, request)) report.progress(progress);
  } else if (state.last?.phase === 'retiring') {
    for await (const progress of followSwitch(statusSocket)) report.progress(progress);
  } else {
    report.inCharge(to);
  }
  report.throwIfFailed();
  await replaceKubeProxy(flags, report);
}

async function replaceKubeProxy(flags: Flags, report: SwitchReport): Promise<void> {
  const { dryRun, drainLimit, stateFolder } = flags;
  const io = openKernelIo();
  const iptables = openRuleTools(io);
  try {
    const loaded = loadConfig({
      flags: new Map(),
      readFile: readConfigFile,
      hostname: 'localhost',
    });
    const machine = { io, iptables, planes: planeOffers(io, loaded) };
    const leftovers = await findKubeProxy(machine);
    if (leftovers === undefined) return;
    report.leftovers(leftovers);
    if (dryRun === true) {
      report.line(['Would be removed:', ...describe(leftovers)].join('\n'));
      return;
    }
    await takeOver(leftovers, machine, {
      stateFolder,
      drainLimitMs: drainLimit ?? Infinity,
      clock: SYSTEM_CLOCK,
      date: () => new Date(),
      onSaved: (folder) => {
        report.saved(folder);
      },
      onDraining: (connections) => {
        report.status(`${connections} connections still need kube-proxy's virtual servers`);
      },
    });
    report.line(summarise(leftovers).join('\n'));
  } finally {
    for (const tool of iptables) tool.close();
  }
}

function duration(text: string): number {
  const ms = parseGoDuration(text);
  if (ms !== undefined && ms >= 0) return ms;
  throw new InvalidArgumentError('It must be like 30s, 10m or 1h.');
}
