import { KernelError, isKernelError } from '../errors.ts';
import type { KernelIo } from '../io.ts';
import { NETLINK_ROUTE, NLM_F, NLMSG } from '../netlink/constants.ts';
import { MessageCursor } from '../netlink/reader.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import { RTM, RTMGRP } from './constants.ts';
import { type InterfaceAddress, readAddress, readLink } from './messages.ts';
import { RouteSocket } from './socket.ts';

const DOING = 'waiting for address changes';
/** A process that exits without {@link AddressWatcher.close} waits this long for the blocked read. */
const READ_MS = 1000;
const RECEIVE_BYTES = 1 << 20;

/**
 * Follows the addresses of the network namespace it was opened in. Iterating gives the whole list at once
 * and again after each change; changes made in one go may come as one. Should the kernel drop events, the
 * list is read again.
 *
 * Holds one thread of the pool while it is iterated. One iteration at a time.
 */
export class AddressWatcher implements AsyncDisposable, AsyncIterable<readonly InterfaceAddress[]> {
  readonly #events: NetlinkSocket;
  readonly #reader: RouteSocket;
  readonly #links = new Map<number, string>();
  readonly #addresses = new Map<string, InterfaceAddress>();
  #closed = false;
  #reading: Promise<unknown> = Promise.resolve();

  private constructor(events: NetlinkSocket, reader: RouteSocket) {
    this.#events = events;
    this.#reader = reader;
  }

  static open(io: KernelIo): AddressWatcher {
    const events = NetlinkSocket.open(io, {
      protocol: NETLINK_ROUTE,
      name: 'address events',
      groups: RTMGRP.LINK | RTMGRP.IPV4_IFADDR | RTMGRP.IPV6_IFADDR,
      timeoutMs: READ_MS,
      receiveBytes: RECEIVE_BYTES,
    });
    try {
      const watcher = new AddressWatcher(events, RouteSocket.open(io));
      // After the subscription: what changes while the list is read comes as an event as well.
      watcher.#readAll();
      return watcher;
    } catch (error) {
      events.close();
      throw error;
    }
  }

  /** The addresses as they were when last iterated or opened. */
  get addresses(): readonly InterfaceAddress[] {
    return [...this.#addresses.values()];
  }

  /** Ends with {@link close}. @throws KernelError when the socket fails. */
  async *[Symbol.asyncIterator](): AsyncGenerator<readonly InterfaceAddress[], void, undefined> {
    yield this.addresses;
    while (!this.#closed) {
      const reading = this.#nextChange();
      this.#reading = reading.catch(() => undefined);
      if (await reading) yield this.addresses;
    }
  }

  /** Ends the iteration and frees the sockets; at once, even while no event comes. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#wake();
    }
    // The descriptor must not be closed under the thread that reads it.
    await this.#reading;
    this.#events.close();
    this.#reader.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Waits for events; true when they changed the list and somebody still wants to know. */
  async #nextChange(): Promise<boolean> {
    return (await this.#readEvents()) && !this.#closed;
  }

  async #readEvents(): Promise<boolean> {
    try {
      const first = await this.#events.receiveAsync(DOING);
      if (first === undefined) return false;
      let changed = this.#apply(first);
      for (;;) {
        const more = this.#events.receive(false, DOING);
        if (more === undefined) return changed;
        changed = this.#apply(more) || changed;
      }
    } catch (error) {
      // ENOBUFS: events were dropped.
      if (!isKernelError(error, 'SY_KERNEL_BUFFER')) throw error;
      return this.#readAll();
    }
  }

  #apply(datagram: Buffer): boolean {
    const message = new MessageCursor(datagram);
    let changed = false;
    while (message.next()) {
      if (message.type === RTM.NEWLINK) changed = this.#renamed(message) || changed;
      else if (message.type === RTM.DELLINK) this.#links.delete(readLink(message).index);
      else if (message.type === RTM.NEWADDR || message.type === RTM.DELADDR) {
        changed = this.#addressEvent(message) || changed;
      }
    }
    return changed;
  }

  #renamed(message: MessageCursor): boolean {
    const { index, name } = readLink(message);
    if (this.#links.get(index) === name) return false;
    this.#links.set(index, name);
    let changed = false;
    for (const [key, address] of this.#addresses) {
      if (address.interfaceIndex !== index) continue;
      this.#addresses.set(key, { ...address, interfaceName: name });
      changed = true;
    }
    return changed;
  }

  #addressEvent(message: MessageCursor): boolean {
    const address = readAddress(message, (index) => this.#links.get(index));
    if (address === undefined) return false;
    const key = keyOf(address);
    if (message.type === RTM.DELADDR) return this.#addresses.delete(key);
    const known = this.#addresses.get(key);
    if (known?.flags === address.flags && known.scope === address.scope) return false;
    this.#addresses.set(key, address);
    return true;
  }

  /** Reads links and addresses anew. */
  #readAll(): boolean {
    this.#links.clear();
    this.#addresses.clear();
    for (const { index, name } of this.#reader.listLinks()) this.#links.set(index, name);
    for (const address of this.#reader.listAddresses())
      this.#addresses.set(keyOf(address), address);
    return true;
  }

  /** Makes the blocked read return: the kernel acknowledges a message that says nothing. */
  #wake(): void {
    const writer = new NetlinkWriter();
    writer.begin(NLMSG.NOOP, NLM_F.REQUEST | NLM_F.ACK, 0);
    writer.end();
    try {
      this.#events.send(writer.written(), DOING);
    } catch (error) {
      // Then the read ends by its timeout.
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

/** The kernel tells addresses of one interface apart by address and prefix. */
function keyOf({ interfaceIndex, address, prefix }: InterfaceAddress): string {
  return `${interfaceIndex} ${address}/${prefix}`;
}
