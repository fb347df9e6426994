/** `switchyard switch`: another mode for the running agent, and kube-proxy's place taken, without a dropped connection. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { SYSTEM_CLOCK } from '../agent/clock.ts';
import { parseGoDuration } from '../agent/config/go-duration.ts';
import { OPTIONS } from '../agent/config/options.ts';
import { PLANE_NAMES, type PlaneName } from '../agent/mode.ts';
import type { SwitchState } from '../agent/switching/pages.ts';
import { findTools } from '../kernel/iptables/variant.ts';
import { openKernelIo } from '../kernel/koffi-io.ts';
import { summarise } from '../tools/cleanup/describe.ts';
import type { Leftovers } from '../tools/cleanup/leftovers.ts';
import { type CleanupMachine, openRuleTools } from '../tools/cleanup/machine.ts';
import { findRunning, refuseWhileRunning } from '../tools/cleanup/running.ts';
import { ToolError } from '../tools/errors.ts';
import { planRestoration, putBack } from '../tools/switch/put-back.ts';
import {
  checkSwitch,
  followSwitch,
  readSwitchState,
  refuseUnlessServing,
  requestSwitch,
} from '../tools/switch/request.ts';
import { checkTakeOver, findKubeProxy, takeOver } from '../tools/switch/take-over.ts';
import {
  type StoredBundle,
  type TakeOverPlanes,
  newestBundle,
  replaceBundle,
} from '../tools/switch/undo-bundle.ts';
import {
  isModeNewer,
  planeToReturnTo,
  refuseSharedServers,
  refuseWhenStale,
} from '../tools/switch/undo.ts';
import type { Output } from './output.ts';
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
    .option(
      '--undo',
      'undo what was done last: put back what kube-proxy had left, or change to the mode before',
    )
    .option(
      '--dry-run',
      'check whether it can be done, say what would be removed or put back, and change nothing',
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
      'where what kube-proxy left is kept, for --undo',
      OPTIONS.stateFolder.default,
    )
    .action(async (flags: Flags) => {
      const report = new SwitchReport(output, flags.output === 'json');
      try {
        await run(flags, report);
      } finally {
        report.end();
      }
    });
}

async function run(flags: Flags, report: SwitchReport): Promise<void> {
  const state = await readSwitchState(flags.statusSocket);
  if (flags.undo === true) {
    await undo(flags, state, report);
    return;
  }
  if (flags.to === undefined) {
    report.state(state);
    return;
  }
  const to = flags.to === 'iptables' ? (`iptables-${findTools().variant}` as const) : flags.to;
  // Where the mode is another one, the agent itself says whether it can change; one whose plane fails must be able to.
  if (to === state.plane) await refuseUnlessServing(flags.statusSocket);
  refuseWhileRunning('kube-proxy');
  // What would stop the take-over is found before anything changes.
  const found = await withMachine((machine) => previewTakeOver(machine, flags.stateFolder));
  const planeBefore = await changeMode(to, state, flags, report);
  if (flags.dryRun !== true) {
    // Connections may have drained for days.
    await refuseUnlessServing(flags.statusSocket);
    refuseWhileRunning('kube-proxy');
    await replaceKubeProxy({ plane: to, planeBefore }, flags, report);
  } else if (found !== undefined) {
    report.leftovers(found.leftovers);
    report.wouldRemove(found.leftovers, found.unsaved);
  }
}

/** What a take-over would remove, and what of it could not be put back. `undefined`: nothing. */
async function previewTakeOver(
  machine: CleanupMachine,
  stateFolder: string,
): Promise<{ readonly leftovers: Leftovers; readonly unsaved: readonly string[] } | undefined> {
  const leftovers = await findKubeProxy(machine);
  if (leftovers === undefined) return undefined;
  return { leftovers, unsaved: await checkTakeOver(leftovers, machine, stateFolder) };
}

/** Resolves to the plane before, if this command changed the mode, or another call of it that it goes on with. */
async function changeMode(
  to: PlaneName,
  state: SwitchState,
  { statusSocket, dryRun, drainLimit }: Flags,
  report: SwitchReport,
): Promise<PlaneName | null> {
  const seconds = drainLimit === undefined ? undefined : Math.ceil(drainLimit / 1000);
  const request = { to, drainLimit: seconds };
  const isUnderWay = state.last?.to === to && state.last.phase !== 'done';
  if (dryRun === true) {
    if (to !== state.plane && !isUnderWay) await checkSwitch(statusSocket, request);
    report.possible(state.plane, to);
    return null;
  }
  if (to === state.plane && !isUnderWay) {
    report.inCharge(to);
    return null;
  }
  const news = isUnderWay ? followSwitch(statusSocket) : requestSwitch(statusSocket, request);
  for await (const progress of news) report.progress(progress);
  report.throwIfFailed();
  // One that ended just before it was followed has no news.
  const { plane } = await readSwitchState(statusSocket);
  if (plane === to) return isUnderWay ? state.last.from : state.plane;
  throw new ToolError(
    'SY_SWITCH_FAILED',
    `The ${plane} plane is in charge, and not the ${to} one: see the log of the agent.`,
  );
}

async function replaceKubeProxy(
  planes: TakeOverPlanes,
  { drainLimit, stateFolder }: Flags,
  report: SwitchReport,
): Promise<void> {
  await withMachine(async (machine) => {
    const leftovers = await findKubeProxy(machine);
    if (leftovers === undefined) return;
    report.leftovers(leftovers);
    await takeOver(leftovers, machine, {
      stateFolder,
      planes,
      drainLimitMs: drainLimit ?? Infinity,
      clock: SYSTEM_CLOCK,
      date: () => new Date(),
      onSaved: (stored) => {
        report.saved(stored);
      },
      onDraining: (connections) => {
        report.status(`${connections} connections still need kube-proxy's virtual servers`);
      },
    });
    report.line(summarise(leftovers).join('\n'));
  });
}

/** Undoes what was done last: a change of the mode, or a take-over with the change of the mode that it began with. */
async function undo(flags: Flags, state: SwitchState, report: SwitchReport): Promise<void> {
  const stored = await newestBundle(flags.stateFolder);
  if (stored !== undefined && !isModeNewer(stored.bundle, state)) {
    await undoTakeOver(stored, flags, state, report);
    return;
  }
  if (state.last === undefined) {
    throw new ToolError('SY_SWITCH_REFUSED', 'There is no switch that could be undone.');
  }
  refuseWhileRunning('kube-proxy');
  await changeMode(state.last.from, state, flags, report);
}

async function undoTakeOver(
  { path, bundle }: StoredBundle,
  flags: Flags,
  state: SwitchState,
  report: SwitchReport,
): Promise<void> {
  const { statusSocket, dryRun } = flags;
  let [running] = findRunning('kube-proxy');
  if (running === undefined) {
    refuseSharedServers(bundle, state.plane);
    await refuseWhenStale(bundle, statusSocket);
    if (dryRun !== true) await replaceBundle({ path, bundle: { ...bundle, phase: 'restoring' } });
    // First: our ipvs mode, if it is to end or still drains, has virtual servers of the same addresses.
    await changeMode(planeToReturnTo(bundle) ?? state.plane, state, flags, report);
    // Connections may have drained for days.
    [running] = findRunning('kube-proxy');
  }
  if (running === undefined) {
    await refuseWhenStale(bundle, statusSocket);
    await withMachine(async (machine) => {
      const restoration = await planRestoration(bundle, machine);
      report.restoration(restoration, path, dryRun === true);
      if (dryRun !== true) await putBack(restoration, machine);
    });
  } else {
    report.runsAgain(running);
  }
  if (dryRun === true) return;
  await replaceBundle({ path, bundle: { ...bundle, phase: 'undone' } });
  report.whatRemains(running !== undefined, findRunning('switchyard'));
}

async function withMachine<T>(use: (machine: CleanupMachine) => Promise<T>): Promise<T> {
  const io = openKernelIo();
  const iptables = openRuleTools(io);
  try {
    // What our own planes have stays.
    return await use({ io, iptables, planes: [] });
  } finally {
    for (const tool of iptables) tool.close();
  }
}

function duration(text: string): number {
  const ms = parseGoDuration(text);
  if (ms !== undefined && ms >= 0) return ms;
  throw new InvalidArgumentError('It must be like 30s, 10m or 1h.');
}
