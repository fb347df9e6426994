/** Removing what was found, and nothing else. */
import { isKernelError } from '../../kernel/errors.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { IpsetSocket } from '../../kernel/ipset/socket.ts';
import { IpvsBatch, IpvsSocket } from '../../kernel/ipvs/socket.ts';
import { NftBatch } from '../../kernel/nftables/batch.ts';
import { NftSocket } from '../../kernel/nftables/socket.ts';
import { RTPROT_STATIC } from '../../kernel/rtnetlink/constants.ts';
import { LinkBatch, LinkSocket } from '../../kernel/rtnetlink/links.ts';
import { LINK } from '../../planes/ipvs/schema.ts';
import { packetsThrough } from '../../planes/in-flight.ts';
import { KUBE_PROXY_TABLE } from './kube-proxy-names.ts';
import type { Leftovers, Removal } from './leftovers.ts';
import type { CleanupMachine } from './machine.ts';

/** Lines that take away what leads there, by table. */
const WAYS_IN: Readonly<Record<string, RegExp>> = {
  nat: /^-D (?:PREROUTING|OUTPUT) /,
  filter: /^-D (?:INPUT|FORWARD|OUTPUT) /,
};

/**
 * Removes what {@link Leftovers} lists. Of rules of iptables first those by which new connections come, and a moment later
 * the rest, so that a packet on its way meets all of them or none; tables of nf_tables at once. After an error, what was
 * removed stays so: find again, and remove the rest.
 *
 * Connections that kube-proxy translated go on while some chain of type `nat` is left, in iptables or in nf_tables; those
 * through its virtual servers end.
 *
 * @throws RestoreError When somebody changed the rules since. KernelError PERMISSION; BUSY: a set is in use by others.
 */
export async function removeLeftovers(
  { removal, modes }: Leftovers,
  machine: CleanupMachine,
): Promise<void> {
  if (removal === undefined) {
    for (const { mode, variant, open } of machine.planes) {
      if (!modes.includes(mode)) continue;
      // Told as unseen: there are no tools for it.
      const isOutOfReach = !machine.iptables.some(({ tools }) => tools.variant === variant);
      if (mode === 'iptables' && isOutOfReach) continue;
      const plane = open();
      try {
        await plane.remove();
      } finally {
        plane.close();
      }
    }
    return;
  }
  await restoreEach(machine, removal, isWayIn);
  if (removal.rules.length > 0) await packetsThrough();
  await restoreEach(machine, removal, (table, line) => !isWayIn(table, line));
  await removeServers(machine.io, removal);
  await removeAddresses(machine.io, removal);
  removeSets(machine.io, removal);
  removeTables(machine.io, removal);
}

/** Carries out those lines of the batches that pass. */
async function restoreEach(
  { iptables }: CleanupMachine,
  { rules }: Removal,
  passes: (table: string, line: string) => boolean,
): Promise<void> {
  for (const { variant, family, batches } of rules) {
    const tool = iptables.find(({ tools }) => tools.variant === variant);
    const chosen = batches.map(({ table, lines }) => ({
      table,
      lines: lines.filter((line) => passes(table, line)),
    }));
    await tool?.restore(
      family,
      chosen.filter(({ lines }) => lines.length > 0),
    );
  }
}

/** Rules of filter too: they refuse what nat does not translate, which ipvs may serve. */
function isWayIn(table: string, line: string): boolean {
  return WAYS_IN[table]?.test(line) === true;
}

async function removeServers(io: KernelIo, { servers }: Removal): Promise<void> {
  if (servers.length === 0) return;
  using ipvs = IpvsSocket.open(io);
  const batch = new IpvsBatch();
  for (const name of servers) batch.deleteVirtual(name);
  throwFirst(await ipvs.commit(batch));
}

async function removeAddresses(io: KernelIo, removal: Removal): Promise<void> {
  if (!removal.link && removal.addresses.length === 0) return;
  using links = LinkSocket.open(io);
  const link = links.link(LINK);
  if (link === undefined) return;
  if (removal.link) {
    links.deleteLink(LINK);
    return;
  }
  const batch = new LinkBatch();
  const ourRoutes = links.localRoutes(link).filter(({ protocol }) => protocol === RTPROT_STATIC);
  for (const address of removal.addresses) batch.deleteAddress(link, address);
  // With the last IPv4 address of a link, the kernel drops its IPv4 routes (fib_disable_ip()): ours come back at once.
  for (const { destination } of ourRoutes) batch.addLocalRoute(link, destination);
  throwFirst(await links.commit(batch));
}

function removeSets(io: KernelIo, { sets }: Removal): void {
  if (sets.length === 0) return;
  using ipset = IpsetSocket.open(io);
  for (const name of sets) {
    try {
      ipset.destroy(name);
    } catch (error) {
      if (!isKernelError(error, 'SY_KERNEL_NOT_FOUND')) throw error;
    }
  }
}

function removeTables(io: KernelIo, { tables }: Removal): void {
  if (tables.length === 0) return;
  const socket = NftSocket.open(io);
  try {
    const batch = new NftBatch();
    for (const family of tables) batch.deleteTable(family, KUBE_PROXY_TABLE);
    socket.commit(batch);
  } finally {
    socket.close();
  }
}

/** What is gone already is no failure. */
function throwFirst(refusals: readonly { readonly error: Error }[]): void {
  const failed = refusals.find(({ error }) => !isKernelError(error, 'SY_KERNEL_NOT_FOUND'));
  if (failed !== undefined) throw failed.error;
}
