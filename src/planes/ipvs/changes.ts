/**
 * Changes of several subsystems, written in the order in which no packet finds a gap: what a frontend needs
 * before what lets packets reach it; what takes connections away last. A virtual server is in our sets before it
 * is made and until it is gone, so that it is known as ours whenever this process ends.
 */
import { type Address, familyOf } from '../../core/ip.ts';
import type { KernelError } from '../../kernel/errors.ts';
import { IpsetBatch } from '../../kernel/ipset/socket.ts';
import { describeVirtual } from '../../kernel/ipvs/servers.ts';
import { IpvsBatch } from '../../kernel/ipvs/socket.ts';
import { LinkBatch } from '../../kernel/rtnetlink/links.ts';
import type { Link } from '../../kernel/rtnetlink/socket.ts';
import type { Sockets } from './machine.ts';
import type { BoundAddress } from './read.ts';
import type { ReportBuilder } from '../report.ts';
import { type SetEntry, type SetRole, setDefinition } from './schema.ts';

/** What is to be written, by subsystem. */
export class ChangeBatches {
  readonly serversFresh = new IpvsBatch();
  readonly serversFirst = new IpvsBatch();
  readonly serversLast = new IpvsBatch();
  readonly setsFirst = new IpsetBatch();
  readonly setsMiddle = new IpsetBatch();
  readonly setsLast = new IpsetBatch();
  readonly linksFirst = new LinkBatch();
  readonly linksLast = new LinkBatch();

  /** Has elements added to our sets. */
  addEntries(entries: readonly SetEntry[]): void {
    for (const { role, element } of entries) {
      this.setsFirst.add(setDefinition(familyOf(element.ip), role), element);
    }
  }

  /** Has elements deleted from our sets. */
  deleteEntries(entries: readonly SetEntry[]): void {
    for (const { role, element } of entries) {
      const batch = OWNERSHIP.has(role) ? this.setsLast : this.setsMiddle;
      batch.delete(setDefinition(familyOf(element.ip), role), element);
    }
  }

  /** Has addresses bound to the link. */
  addAddresses(link: Link, addresses: readonly BoundAddress[]): void {
    for (const { address, by } of addresses) {
      if (by === 'route') this.linksFirst.addLocalRoute(link, single(address));
      else this.linksFirst.addAddress(link, address);
    }
  }

  /** Has addresses taken from the link. */
  deleteAddresses(link: Link, addresses: readonly BoundAddress[]): void {
    for (const { address, by } of addresses) {
      if (by === 'route') this.linksLast.deleteLocalRoute(link, single(address));
      else this.linksLast.deleteAddress(link, address);
    }
  }

  /**
   * Has routes added again after addresses were taken from the link: with its last IPv4 address, the kernel drops its
   * IPv4 routes (fib_disable_ip()).
   */
  restoreRoutes(link: Link, addresses: readonly BoundAddress[]): void {
    for (const { address, by } of addresses) {
      if (by === 'route' && familyOf(address) === 'IPv4') {
        this.linksLast.addLocalRoute(link, single(address));
      }
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
  /** Virtual servers that others have. If there are any, nothing more may be written. */
  readonly foreign: readonly string[];
  readonly errors: readonly KernelError[];
}

/** Sets that say which virtual servers are ours. */
const OWNERSHIP: ReadonlySet<SetRole> = new Set(['frontends', 'draining']);

/** Writes batches and empties them. To be used for one round of changes. */
export class ChangeWriter implements Refusals {
  readonly foreign: string[] = [];
  readonly errors: KernelError[] = [];
  readonly #sockets: Sockets;
  readonly #batches: ChangeBatches;
  readonly #report: ReportBuilder;

  constructor(sockets: Sockets, batches: ChangeBatches, report: ReportBuilder) {
    this.#sockets = sockets;
    this.#batches = batches;
    this.#report = report;
  }

  /** Writes what new servers need, and these. Resolves to false when others have one of them. */
  async writeFirst(): Promise<boolean> {
    const { setsFirst, serversFresh, serversFirst } = this.#batches;
    await this.#sets(setsFirst);
    await this.#servers(serversFresh);
    if (this.foreign.length > 0) return false;
    await this.#servers(serversFirst);
    return true;
  }

  /** Writes all that is left, unless others have what is ours. */
  async writeAll(): Promise<void> {
    if (this.foreign.length > 0 || !(await this.writeFirst())) return;
    const { setsMiddle, linksFirst, serversLast, setsLast, linksLast } = this.#batches;
    await this.#sets(setsMiddle);
    await this.#addresses(linksFirst);
    await this.#servers(serversLast);
    await this.#sets(setsLast);
    await this.#addresses(linksLast);
  }

  async #sets(batch: IpsetBatch): Promise<void> {
    if (batch.length === 0) return;
    const { ipset } = this.#sockets;
    const refused = await this.#report.write(batch.length, () => ipset.commit(batch));
    this.errors.push(...refused.map(({ error }) => error));
    batch.reset();
  }

  async #servers(batch: IpvsBatch): Promise<void> {
    if (batch.length === 0) return;
    const { ipvs } = this.#sockets;
    const refused = await this.#report.write(batch.length, () => ipvs.commit(batch));
    for (const { command, error } of refused) {
      const isAdded = command.verb === 'adding' && command.real === undefined;
      if (isAdded && error.code === 'SY_KERNEL_EXISTS') {
        this.foreign.push(describeVirtual(command.virtual));
      } else this.errors.push(error);
    }
    batch.reset();
  }

  async #addresses(batch: LinkBatch): Promise<void> {
    if (batch.length === 0) return;
    const { links } = this.#sockets;
    const refused = await this.#report.write(batch.length, () => links.commit(batch));
    this.errors.push(...refused.map(({ error }) => error));
    batch.reset();
  }
}

function single(address: Address) {
  const family = familyOf(address);
  return { family, address, prefix: family === 'IPv4' ? 32 : 128 } as const;
}
