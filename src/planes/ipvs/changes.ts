/**
 * Changes of several subsystems, written in the order in which no packet finds a gap: what a frontend needs
 * before what lets packets reach it; what takes connections away last. A virtual server is in our sets before it
 * is made and until it is gone, so that it is known as ours whenever this process ends.
 */
import { type Address, type Family, familyOf } from '../../core/ip.ts';
import type { KernelError } from '../../kernel/errors.ts';
import { IpsetBatch } from '../../kernel/ipset/socket.ts';
import { describeVirtual } from '../../kernel/ipvs/servers.ts';
import { IpvsBatch } from '../../kernel/ipvs/socket.ts';
import { LinkBatch } from '../../kernel/rtnetlink/links.ts';
import type { Link } from '../../kernel/rtnetlink/socket.ts';
import type { Sockets } from './machine.ts';
import type { MirrorChanges } from './mirror.ts';
import type { BoundAddress } from './read.ts';
import type { ReportBuilder } from '../report.ts';
import { type SetEntry, type SetRole, setDefinition } from './schema.ts';

/** What is to be written, by subsystem. Empty again after {@link commitChanges}. */
export class ChangeBatches {
  readonly serversFresh = new IpvsBatch();
  readonly serversFirst = new IpvsBatch();
  readonly serversLast = new IpvsBatch();
  readonly setsFirst = new IpsetBatch();
  readonly setsMiddle = new IpsetBatch();
  readonly setsLast = new IpsetBatch();
  readonly linksFirst = new LinkBatch();
  readonly linksLast = new LinkBatch();

  /** Adds changes of the sets of a family. */
  addEntries(family: Family, { added, deleted }: MirrorChanges<SetEntry>): void {
    for (const { role, element } of added) {
      this.setsFirst.add(setDefinition(family, role), element);
    }
    for (const { role, element } of deleted) {
      const batch = OWNERSHIP.has(role) ? this.setsLast : this.setsMiddle;
      batch.delete(setDefinition(family, role), element);
    }
  }

  /** Adds changes of the addresses of the link. */
  addAddresses(link: Link, { added, deleted }: MirrorChanges<BoundAddress>): void {
    for (const { address, by } of added) {
      if (by === 'route') this.linksFirst.addLocalRoute(link, single(address));
      else this.linksFirst.addAddress(link, address);
    }
    for (const { address, by } of deleted) {
      if (by === 'route') this.linksLast.deleteLocalRoute(link, single(address));
      else this.linksLast.deleteAddress(link, address);
    }
  }

  /** Forgets everything. */
  reset(): void {
    this.serversFresh.reset();
    this.serversFirst.reset();
    this.serversLast.reset();
    this.setsFirst.reset();
    this.setsMiddle.reset();
    this.setsLast.reset();
    this.linksFirst.reset();
    this.linksLast.reset();
  }
}

/** What the kernel refused. */
export interface Refusals {
  /** Virtual servers that others have. If there are any, what comes after them was not written. */
  readonly foreign: readonly string[];
  readonly errors: readonly KernelError[];
}

/** Sets that say which virtual servers are ours. */
const OWNERSHIP: ReadonlySet<SetRole> = new Set(['frontends', 'draining']);

/**
 * Writes the batches and empties them, also when a socket fails.
 */
export async function commitChanges(
  { ipvs, ipset, links }: Sockets,
  batches: ChangeBatches,
  report: ReportBuilder,
): Promise<Refusals> {
  const foreign: string[] = [];
  const errors: KernelError[] = [];
  const sets = async (batch: IpsetBatch): Promise<void> => {
    if (batch.length === 0) return;
    const refused = await report.write(batch.length, () => ipset.commit(batch));
    errors.push(...refused.map(({ error }) => error));
  };
  const servers = async (batch: IpvsBatch): Promise<void> => {
    if (batch.length === 0) return;
    for (const { command, error } of await report.write(batch.length, () => ipvs.commit(batch))) {
      const isAdded = command.verb === 'adding' && command.real === undefined;
      if (isAdded && error.code === 'SY_KERNEL_EXISTS')
        foreign.push(describeVirtual(command.virtual));
      else errors.push(error);
    }
  };
  const addresses = async (batch: LinkBatch): Promise<void> => {
    if (batch.length === 0) return;
    const refused = await report.write(batch.length, () => links.commit(batch));
    errors.push(...refused.map(({ error }) => error));
  };
  try {
    await sets(batches.setsFirst);
    await servers(batches.serversFresh);
    if (foreign.length > 0) return { foreign, errors };
    await servers(batches.serversFirst);
    await sets(batches.setsMiddle);
    await addresses(batches.linksFirst);
    await servers(batches.serversLast);
    await sets(batches.setsLast);
    await addresses(batches.linksLast);
  } finally {
    batches.reset();
  }
  return { foreign, errors };
}

function single(address: Address) {
  const family = familyOf(address);
  return { family, address, prefix: family === 'IPv4' ? 32 : 128 } as const;
}
