/**
 * Taking away what a stopped kube-proxy left, while our agent serves: rules first, for new connections are ours
 * already; virtual servers when their connections have ended.
 */
import type { Clock } from '../../core/clock.ts';
import type { KernelIo } from '../../kernel/io.ts';
import type { VirtualAddress } from '../../kernel/ipvs/servers.ts';
import { IpvsSocket } from '../../kernel/ipvs/socket.ts';
import { findLeftovers } from '../cleanup/find.ts';
import type { Leftovers, Removal } from '../cleanup/leftovers.ts';
import type { CleanupMachine } from '../cleanup/machine.ts';
import { removeLeftovers } from '../cleanup/remove.ts';
import { ToolError } from '../errors.ts';
import { readObjects } from './save.ts';
import {
  type StoredBundle,
  type TakeOverPlanes,
  keepBundle,
  newestBundle,
  objectKey,
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

/** What kube-proxy left, whatever its mode was. `undefined`: nothing. */
export async function findKubeProxy(machine: CleanupMachine): Promise<Leftovers | undefined> {
  const leftovers = await findLeftovers('kube-proxy', machine);
  return leftovers.objects.length === 0 ? undefined : leftovers;
}

/**
 * Keeps what it is going to remove, and removes it. To be called while an agent serves. When it is interrupted, another
 * call goes on.
 *
 * Rejects as `removeLeftovers` does, and with a ToolError: `SY_UNDO_BUNDLE` before anything has changed,
 * `SY_SWITCH_REFUSED` when somebody undid it while connections drained.
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
  await removeLeftovers({ ...leftovers, removal: { ...removal, rules: [], tables: [] } }, machine);
  await replaceBundle({ ...stored, bundle: { ...stored.bundle, phase: 'removed' } });
}

/** A new bundle, or that of an interrupted call that had begun to remove the same. */
async function bundleFor(
  leftovers: Leftovers,
  removal: Removal,
  { io }: CleanupMachine,
  { stateFolder, planes, date }: TakeOverOptions,
): Promise<StoredBundle> {
  const last = await newestBundle(stateFolder);
  if (last?.bundle.phase === 'removing') {
    const saved = new Set(last.bundle.objects.map(objectKey));
    if (leftovers.objects.every((object) => saved.has(objectKey(object)))) {
      const planeBefore = last.bundle.planeBefore ?? planes.planeBefore;
      return replaceBundle({ ...last, bundle: { ...last.bundle, ...planes, planeBefore } });
    }
  }
  const objects = await readObjects(leftovers, removal, io);
  const savedAt = date().toISOString();
  return keepBundle(stateFolder, { version: 1, phase: 'removing', savedAt, ...planes, ...objects });
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
