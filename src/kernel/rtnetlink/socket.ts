import type { KernelIo } from '../io.ts';
import { NETLINK_ROUTE } from '../netlink/constants.ts';
import type { MessageCursor } from '../netlink/reader.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import { RTM } from './constants.ts';
import { type InterfaceAddress, type Link, readAddress, readLink, writeList } from './messages.ts';

export type { InterfaceAddress, Link } from './messages.ts';

/** Reads addresses and links of the network namespace it was opened in. Needs no rights. */
export class RouteSocket {
  readonly #socket: NetlinkSocket;
  readonly #request = new NetlinkWriter();

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  static open(io: KernelIo): RouteSocket {
    return new RouteSocket(NetlinkSocket.open(io, { protocol: NETLINK_ROUTE, name: 'rtnetlink' }));
  }

  /** Every IPv4 and IPv6 address, those of interfaces that are down included. */
  listAddresses(): readonly InterfaceAddress[] {
    const names = new Map(this.listLinks().map(({ index, name }) => [index, name]));
    const addresses: InterfaceAddress[] = [];
    this.#dump('addresses', (message) => {
      if (message.type !== RTM.NEWADDR) return;
      const address = readAddress(message, (index) => names.get(index));
      if (address !== undefined) addresses.push(address);
    });
    return addresses;
  }

  /** Every network interface. */
  listLinks(): readonly Link[] {
    const links: Link[] = [];
    this.#dump('links', (message) => {
      if (message.type === RTM.NEWLINK) links.push(readLink(message));
    });
    return links;
  }

  close(): void {
    this.#socket.close();
  }

  #dump(what: 'addresses' | 'links', visit: (message: MessageCursor) => void): void {
    this.#socket.dump(
      (sequence) =>
        this.#request.message((request) => {
          writeList(request, what, sequence);
        }),
      `listing ${what}`,
      visit,
    );
  }
}
