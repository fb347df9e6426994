/**
 * Taking away what a stopped kube-proxy left, while our agent serves: rules first, for new connections are ours
 * already; virtual servers when their connections have ended.
 */
import type { Clock } from '../../core/clock.ts';
import type { KernelIo } from '../../kernel/io.ts';
import type { VirtualAddress } from '../../kernel/ipvs/servers.ts';
import { IpvsSocket } from '../../kernel/ipvs/socket.ts';
import { findLeftovers } from '../cleanup/find.ts';
import type { Leftovers } from '../cleanup/leftovers.ts';
import type { CleanupMachine } from '../cleanup/machine.ts';
import { removeLeftovers } from '../cleanup/remove.ts';
import { saveUndoBundle } from './undo-bundle.ts';

/** How to take over, and who is told. */
export interface TakeOverOptions {
  /** Where the undo bundle goes. */
  readonly stateFolder: string;
  /** Longest time that connections through kube-proxy's virtual servers may last, in milliseconds. */
  readonly drainLimitMs: number;
  readonly clock: Clock;
  readonly date: () => Date;
  readonly onSaved: (folder: string) => void;
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
 * Saves a copy, and removes. To be called while an agent serves. When it is interrupted, another call goes on.
 *
 * @throws KernelError, RestoreError As `removeLeftovers` does.
 */
export async function takeOver(
  leftovers: Leftovers,
  machine: CleanupMachine,
  options: TakeOverOptions,
): Promise<void> {
  const { removal } = leftovers;
  if (removal === undefined) return;
  options.onSaved(await saveUndoBundle(options.stateFolder, options.date()));
  const rules = { ...removal, servers: [], addresses: [], link: false, sets: [] };
  await removeLeftovers({ ...leftovers, removal: rules }, machine);
  await drain(removal.servers, machine.io, options);
  await removeLeftovers({ ...leftovers, removal: { ...removal, rules: [], tables: [] } }, machine);
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
