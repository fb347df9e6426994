/**
 * Taking away what a stopped kube-proxy left, while our agent serves: rules first, for new connections are ours
 * already; virtual servers when their connections have ended.
 */
import { MODES } from '../../agent/config/option.ts';
import type { Clock } from '../../core/clock.ts';
import type { KernelIo } from '../../kernel/io.ts';
import type { VirtualAddress } from '../../kernel/ipvs/servers.ts';
import { IpvsSocket } from '../../kernel/ipvs/socket.ts';
import { findLeftovers } from '../cleanup/find.ts';
import type { Leftovers, Removal } from '../cleanup/leftovers.ts';
import { type CleanupMachine, unseenRules } from '../cleanup/machine.ts';
import { removeLeftovers } from '../cleanup/remove.ts';
import { refuseWhileRunning } from '../cleanup/running.ts';
import { ToolError } from '../errors.ts';
import { isKept, stillThere } from './compare.ts';
import { readObjects } from './save.ts';
import {
  type StoredBundle,
  type TakeOverPlanes,
  checkFolder,
  keepBundle,
  newestBundle,
  replaceBundle,
} from './undo-bundle.ts';

/** How to take over, and who is told. */
export interface TakeOverOptions {
  /** Where the undo bundle goes. */
  readonly stateFolder: string;
  readonly planes: TakeOverPlanes;
  /** Longest time that connections through kube-proxy's virtual servers may last, in milliseconds. */
  readonly drainLimitMs: number;
  readonly clock: Clock;
  readonly date: () => Date;
  readonly onSaved: (stored: StoredBundle) => void;
  /** Connections that are left, when their number has changed. */
  readonly onDraining: (connections: number) => void;
}

const PERIOD_MS = 1000;

/**
 * What kube-proxy left, whatever its mode was. `undefined`: nothing. Rejects with a ToolError `SY_SWITCH_REFUSED` when it
 * cannot look everywhere: what it does not see would stay in force.
 */
export async function findKubeProxy(machine: CleanupMachine): Promise<Leftovers | undefined> {
  const unseen = unseenRules(machine, MODES);
  if (unseen.length > 0) {
    throw new ToolError(
      'SY_SWITCH_REFUSED',
      `What kube-proxy left cannot be found as a whole, and nothing was changed. ${unseen.join(' ')}`,
    );
  }
  const leftovers = await findLeftovers('kube-proxy', machine);
  return leftovers.objects.length === 0 ? undefined : leftovers;
}

/**
 * Finds out whether they can be kept, and changes nothing. Resolves to what could not: a sentence each. Rejects with a
 * ToolError `SY_UNDO_BUNDLE`.
 */
export async function checkTakeOver(
  leftovers: Leftovers,
  { io }: CleanupMachine,
  stateFolder: string,
): Promise<readonly string[]> {
  if (leftovers.removal === undefined) return [];
  await checkFolder(stateFolder);
  const { unsaved } = await readObjects(leftovers, leftovers.removal, io);
  return unsaved;
}

/**
 * Keeps what it is going to remove, and removes it. To be called while an agent serves. When it is interrupted, another
 * call goes on.
 *
 * Rejects as `removeLeftovers` does, and with a ToolError: `SY_UNDO_BUNDLE` before anything has changed,
 * `SY_SWITCH_REFUSED` when somebody undid it, or wrote rules again, while connections drained; `SY_OWNER_RUNNING` when
 * kube-proxy was started meanwhile.
 */
export async function takeOver(
  leftovers: Leftovers,
  machine: CleanupMachine,
  options: TakeOverOptions,
): Promise<void> {
  const { removal } = leftovers;
  if (removal === undefined) return;
  const stored = await bundleFor(leftovers, removal, machine, options);
  options.onSaved(stored);
  const rules = { ...removal, servers: [], addresses: [], link: false, sets: [] };
  await removeLeftovers({ ...leftovers, removal: rules }, machine);
  await drain(removal.servers, machine.io, options);
  const now = await newestBundle(options.stateFolder);
  if (now?.path !== stored.path || now.bundle.phase !== 'removing') {
    throw new ToolError(
      'SY_SWITCH_REFUSED',
      'The take-over was undone while connections drained: what is there now stays.',
    );
  }
  refuseWhileRunning('kube-proxy');
  const rest = stillThere(removal, await findLeftovers('kube-proxy', machine));
  if (rest === undefined) {
    throw new ToolError(
      'SY_SWITCH_REFUSED',
      'kube-proxy wrote rules again while connections drained: what is there now stays. Call this again to remove it.',
    );
  }
  await removeLeftovers({ ...leftovers, removal: rest }, machine);
  await replaceBundle({ ...stored, bundle: { ...stored.bundle, phase: 'removed' } });
}

/** A new bundle, or that of an interrupted call, there or back, which holds all of this. */
async function bundleFor(
  leftovers: Leftovers,
  removal: Removal,
  { io }: CleanupMachine,
  { stateFolder, planes, date }: TakeOverOptions,
): Promise<StoredBundle> {
  const objects = await readObjects(leftovers, removal, io);
  const phase = 'removing';
  const last = await newestBundle(stateFolder);
  if (last !== undefined && last.bundle.phase !== 'removed' && isKept(objects, last.bundle)) {
    const { bundle } = last;
    const planeBefore = bundle.planeBefore ?? planes.planeBefore;
    // A table goes as a whole: one that is there holds all that it held.
    const present = new Set(objects.tables.map(({ family }) => family));
    const gone = bundle.tables.filter(({ family }) => !present.has(family));
    const tables = [...gone, ...objects.tables];
    return replaceBundle({ ...last, bundle: { ...bundle, ...planes, planeBefore, phase, tables } });
  }
  const savedAt = date().toISOString();
  return keepBundle(stateFolder, { version: 1, phase, savedAt, ...planes, ...objects });
}

async function drain(
  servers: readonly VirtualAddress[],
  io: KernelIo,
  { clock, drainLimitMs, onDraining }: TakeOverOptions,
): Promise<void> {
  // Flows of UDP do not end by themselves; they move at once.
  const lasting = servers.filter(({ protocol }) => protocol !== 'UDP');
  if (lasting.length === 0) return;
  using ipvs = IpvsSocket.open(io);
  const limit = clock.now() + drainLimitMs;
  let before = 0;
  for (;;) {
    const reals = lasting.flatMap((server) => ipvs.realServers(server));
    const left = reals.reduce(
      (sum, { activeConnections, inactiveConnections }) =>
        sum + activeConnections + inactiveConnections,
      0,
    );
    if (left === 0 || clock.now() >= limit) return;
    if (left !== before) onDraining(left);
    before = left;
    await new Promise<void>((resolve) => {
      clock.after(PERIOD_MS, resolve);
    });
  }
}
