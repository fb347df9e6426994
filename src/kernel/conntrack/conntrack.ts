import { setImmediate } from 'node:timers/promises';
import { type Address, type Family, addressLength, hostPort, packAddress } from '../../core/ip.ts';
import { ERRNO, KernelError, systemError } from '../errors.ts';
import type { KernelIo } from '../io.ts';
import { NETLINK_NETFILTER } from '../netlink/constants.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import { type FlowName, FlowReader, type UdpFilter, writeDelete, writeList } from './flow.ts';

/** Which UDP entries to delete: see {@link Conntrack.deleteStaleUdp}. */
export interface StaleUdp {
  readonly family: Family;
  /** Original destination. */
  readonly address: Address;
  readonly port: number;
  /** Reply sources, `ip:port` or `[ip]:port`, whose entries stay. */
  readonly keep: ReadonlySet<string>;
  /** Where given, only entries with one of these reply sources go. */
  readonly only?: ReadonlySet<string> | undefined;
}

/** One UDP entry. */
export interface UdpFlow {
  /** `ip:port` of who sent the first packet, and where to. */
  readonly source: string;
  readonly destination: string;
  /** `ip:port` of who answers, and where to: differs where NAT was done. */
  readonly replySource: string;
  readonly replyDestination: string;
}

/** Deletes that go to the kernel at once: about 2 ms; their answers fit the default receive buffer. */
const DELETES_AT_ONCE = 128;
const NO_CONNTRACK =
  'This kernel has no connection tracking over netlink: load the module nf_conntrack_netlink, or use a kernel built with CONFIG_NF_CT_NETLINK.';

/**
 * The kernel's connection tracking, as far as UDP goes. Listings run on another thread. Calls made while
 * another one runs wait for it. Needs CAP_NET_ADMIN.
 */
export class Conntrack {
  readonly #socket: NetlinkSocket;
  readonly #request = new NetlinkWriter();
  #queue: Promise<unknown> = Promise.resolve();
  /** Kernels before 5.8 do not filter by tuple: older ones list everything, some refuse. */
  #filters = true;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** @throws KernelError UNSUPPORTED: the kernel has no netfilter. */
  static open(io: KernelIo): Conntrack {
    return new Conntrack(
      NetlinkSocket.open(io, { protocol: NETLINK_NETFILTER, name: 'conntrack' }),
    );
  }

  /**
   * Deletes UDP entries whose original destination is one of those given, unless their reply source is in
   * its `keep` (or not in its `only`, where there is one). At most one item for a destination counts.
   * Entries that go away meanwhile are no error. Never touches TCP or SCTP.
   * @returns How many were deleted.
   * @throws KernelError PERMISSION, UNSUPPORTED (no conntrack).
   */
  deleteStaleUdp(stale: readonly StaleUdp[]): Promise<number> {
    return this.#enqueue(async () => {
      const flows: FlowName[] = [];
      for (const family of ['IPv4', 'IPv6'] as const) {
        const wanted = stale.filter((item) => item.family === family);
        if (wanted.length > 0) flows.push(...(await this.#findStale(family, wanted)));
      }
      return this.#delete(flows);
    });
  }

  /** Lists the UDP entries of a family. */
  listUdp(family: Family): Promise<readonly UdpFlow[]> {
    return this.#enqueue(async () => {
      const flows: UdpFlow[] = [];
      const reader = new FlowReader(family);
      await this.#list(family, {}, reader, () => {
        const { original, reply } = reader;
        flows.push({
          source: hostPort(reader.address(original.sourceStart), original.sourcePort),
          destination: hostPort(
            reader.address(original.destinationStart),
            original.destinationPort,
          ),
          replySource: hostPort(reader.address(reply.sourceStart), reply.sourcePort),
          replyDestination: hostPort(reader.address(reply.destinationStart), reply.destinationPort),
        });
      });
      return flows;
    });
  }

  /** Frees the socket, after calls that are under way. */
  close(): void {
    void this.#enqueue(() => {
      this.#socket.close();
      return Promise.resolve();
    });
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  async #findStale(family: Family, stale: readonly StaleUdp[]): Promise<readonly FlowName[]> {
    const length = addressLength(family);
    const byDestination = new Map(stale.map((item) => [destinationKey(item, length), item]));
    const found: FlowName[] = [];
    const reader = new FlowReader(family);
    await this.#list(family, commonFilter(stale), reader, () => {
      const { original, reply, bytes, id, zone } = reader;
      const start = original.destinationStart;
      const address = bytes.toString('latin1', start, start + length);
      const item = byDestination.get(keyOf(address, original.destinationPort));
      if (item === undefined) return;
      const replySource = hostPort(reader.address(reply.sourceStart), reply.sourcePort);
      if (item.keep.has(replySource) || item.only?.has(replySource) === false) return;
      const tuple = Uint8Array.prototype.slice.call(bytes, reader.tupleStart, reader.tupleEnd);
      found.push({ family, tuple, id, zone });
    });
    return found;
  }

  async #list(
    family: Family,
    filter: UdpFilter,
    reader: FlowReader,
    visit: () => void,
  ): Promise<void> {
    const doing = `listing ${family} UDP conntrack entries`;
    const dump = (kernelFilter: UdpFilter | undefined): Promise<boolean> =>
      this.#socket.dumpAsync(
        (sequence) =>
          this.#request.message((request) => {
            writeList(request, sequence, family, kernelFilter);
          }),
        doing,
        (message) => {
          if (reader.read(message)) visit();
        },
      );
    if (this.#filters) {
      try {
        await dump(filter);
        return;
      } catch (error) {
        if (!isRefusedFilter(error)) throw error;
        this.#filters = false;
      }
    }
    try {
      await dump(undefined);
    } catch (error) {
      if (!isRefusedFilter(error)) throw error;
      // nfnetlink answers EINVAL for a subsystem that is not there (nfnetlink_rcv_msg()).
      throw systemError(doing, ERRNO.EOPNOTSUPP, { advice: NO_CONNTRACK });
    }
  }

  async #delete(flows: readonly FlowName[]): Promise<number> {
    const doing = 'deleting stale UDP conntrack entries';
    let deleted = 0;
    for (let from = 0; from < flows.length; from += DELETES_AT_ONCE) {
      if (from > 0) await setImmediate();
      const chunk = flows.slice(from, from + DELETES_AT_ONCE);
      const first = this.#socket.sequences(chunk.length);
      this.#request.reset();
      for (const [index, flow] of chunk.entries()) writeDelete(this.#request, first + index, flow);
      const last = first + chunk.length - 1;
      const refusals = this.#socket.exchange(this.#request.written(), first, last, doing);
      const failure = refusals.find(({ errno }) => errno !== ERRNO.ENOENT);
      if (failure !== undefined) {
        throw systemError(doing, failure.errno, { extendedAck: failure.message });
      }
      deleted += chunk.length - refusals.length;
    }
    return deleted;
  }
}

/** What all the items have in common, for the kernel to leave out the rest. */
function commonFilter(stale: readonly StaleUdp[]): UdpFilter {
  const [first] = stale;
  if (first === undefined || stale.some(({ port }) => port !== first.port)) return {};
  if (stale.some(({ address }) => address !== first.address))
    return { destinationPort: first.port };
  return { destinationPort: first.port, destination: first.address };
}

function destinationKey(item: StaleUdp, length: number): string {
  const bytes = Buffer.alloc(length);
  packAddress(item.address, bytes, 0);
  return keyOf(bytes.toString('latin1'), item.port);
}

function keyOf(address: string, port: number): string {
  return `${address}${port}`;
}

function isRefusedFilter(error: unknown): boolean {
  return (
    error instanceof KernelError &&
    (error.errno === ERRNO.EINVAL || error.errno === ERRNO.EOPNOTSUPP)
  );
}
