import { type Address, type Cidr, type Family, formatCidr } from '../../core/ip.ts';
import { ERRNO, type KernelError, isKernelError, systemError } from '../errors.ts';
import type { KernelIo } from '../io.ts';
import { COMMAND_RECEIVE_BYTES, CommandList } from '../netlink/command-list.ts';
import { NETLINK_ROUTE, NLM_F } from '../netlink/constants.ts';
import { type Listing, Listings } from '../netlink/listings.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import { RTM } from './constants.ts';
import {
  type InterfaceAddress,
  type Link,
  readAddress,
  readLink,
  writeLinkAddress,
  writeLinkName,
  writeLinkUp,
  writeList,
  writeNewLink,
} from './messages.ts';
import { type LocalRoute, readLocalRoute, writeLocalRoute, writeLocalRouteList } from './routes.ts';

export type { LocalRoute } from './routes.ts';

/** One command of a batch. */
export interface LinkCommand {
  readonly verb: 'adding' | 'deleting';
  readonly link: Link;
  /** An address, or where a local route leads. */
  readonly target: Address | Cidr;
}

/** A command that the kernel refused; the others of its batch took effect. */
export interface LinkRefusal {
  readonly command: LinkCommand;
  readonly error: KernelError;
}

/**
 * Changes of addresses and local routes, encoded as they are added. {@link LinkSocket.commit} carries them
 * out one by one, in order; {@link reset} makes it empty again.
 */
export class LinkBatch {
  /** For {@link LinkSocket}. */
  readonly commands = new CommandList<LinkCommand>();

  /** Number of commands. */
  get length(): number {
    return this.commands.length;
  }

  /** Makes it an empty batch. */
  reset(): void {
    this.commands.reset();
  }

  /** Gives a link an address of its own, without a network around it (/32, /128). */
  addAddress(link: Link, address: Address): void {
    this.#address(RTM.NEWADDR, { verb: 'adding', link, target: address });
  }

  /** Takes such an address away. */
  deleteAddress(link: Link, address: Address): void {
    this.#address(RTM.DELADDR, { verb: 'deleting', link, target: address });
  }

  /**
   * Makes the host take packets to an address or network for its own: what IPVS needs, at a twentieth of
   * the cost of an address.
   */
  addLocalRoute(link: Link, destination: Cidr): void {
    this.#route(RTM.NEWROUTE, { verb: 'adding', link, target: destination });
  }

  /** Takes such a route away; those that the kernel made for addresses stay. */
  deleteLocalRoute(link: Link, destination: Cidr): void {
    this.#route(RTM.DELROUTE, { verb: 'deleting', link, target: destination });
  }

  #address(type: number, command: LinkCommand & { readonly target: Address }): void {
    this.commands.add(command, type, createFlags(command), (writer, { link, target }) => {
      writeLinkAddress(writer, link.index, target);
    });
  }

  #route(type: number, command: LinkCommand & { readonly target: Cidr }): void {
    this.commands.add(command, type, createFlags(command), (writer, { link, target }) => {
      writeLocalRoute(writer, link.index, target);
    });
  }
}

/**
 * Makes and deletes dummy links in the network namespace it was opened in, and changes the addresses and
 * local routes of links. Calls that return no promise are synchronous. Needs CAP_NET_ADMIN to change.
 */
export class LinkSocket implements Disposable {
  readonly #socket: NetlinkSocket;
  readonly #listings: Listings;
  readonly #request = new NetlinkWriter();

  private constructor(socket: NetlinkSocket, listings: Listings) {
    this.#socket = socket;
    this.#listings = listings;
  }

  static open(io: KernelIo): LinkSocket {
    const open = (): NetlinkSocket =>
      NetlinkSocket.open(io, {
        protocol: NETLINK_ROUTE,
        name: 'rtnetlink',
        receiveBytes: COMMAND_RECEIVE_BYTES,
        filtersListings: true,
      });
    return new LinkSocket(open(), new Listings(open));
  }

  /** The link of this name; `undefined` when there is none. */
  link(name: string): Link | undefined {
    const sequence = this.#socket.sequences(1);
    const bytes = this.#encode(RTM.GETLINK, NLM_F.REQUEST, sequence, (request) => {
      writeLinkName(request, name);
    });
    let found: Link | undefined;
    try {
      this.#socket.query(bytes, sequence, `looking for link ${name}`, (message) => {
        found = readLink(message);
      });
    } catch (error) {
      if (!isKernelError(error, 'SY_KERNEL_NOT_FOUND')) throw error;
    }
    return found;
  }

  /**
   * Makes a dummy link, down.
   * @throws KernelError EXISTS: a link has this name. UNSUPPORTED: the kernel has no dummy links.
   */
  addDummy(name: string): void {
    const doing = `adding dummy link ${name}`;
    try {
      this.#order(RTM.NEWLINK, NLM_F.CREATE | NLM_F.EXCL, doing, (request) => {
        writeNewLink(request, name, 'dummy');
      });
    } catch (error) {
      if (!isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) throw error;
      const { extendedAck } = error;
      throw systemError(doing, ERRNO.EOPNOTSUPP, { extendedAck, advice: NO_DUMMY });
    }
  }

  /** Deletes a link, with its addresses and routes. @throws KernelError NOT_FOUND. */
  deleteLink(name: string): void {
    this.#order(RTM.DELLINK, 0, `deleting link ${name}`, (request) => {
      writeLinkName(request, name);
    });
  }

  /** Brings a link up; one that is up stays so. */
  setUp(link: Link): void {
    this.#order(RTM.NEWLINK, 0, `bringing up link ${link.name}`, (request) => {
      writeLinkUp(request, link.index);
    });
  }

  /** Addresses of a link. */
  addresses(link: Link): readonly InterfaceAddress[] {
    return this.#listNow(addressesOf(link));
  }

  /** The same, while other work has its turn. */
  listAddresses(link: Link): Promise<readonly InterfaceAddress[]> {
    return this.#listings.list(addressesOf(link));
  }

  /** Local routes of a link, of both families; those that the kernel made for its addresses as well. */
  localRoutes(link: Link): readonly LocalRoute[] {
    return FAMILIES.flatMap((family) => {
      try {
        return this.#listNow(localRoutesOf(link, family));
      } catch (error) {
        return noTable(error);
      }
    });
  }

  /** The same, while other work has its turn. */
  async listLocalRoutes(link: Link): Promise<readonly LocalRoute[]> {
    const [routes4, routes6] = await Promise.all(
      FAMILIES.map(async (family) =>
        this.#listings.list(localRoutesOf(link, family)).catch(noTable),
      ),
    );
    return [...(routes4 ?? []), ...(routes6 ?? [])];
  }

  /**
   * Carries out the commands of a batch in their order, in parts between which other work gets its turn.
   * Each takes effect or is refused by itself; adding what is there, or deleting what is not, is no
   * refusal. The batch must not change meanwhile; call its `reset()` to use it again.
   * @returns The commands that were refused.
   * @throws KernelError when the socket fails; some commands may then have taken effect.
   */
  async commit(batch: LinkBatch): Promise<readonly LinkRefusal[]> {
    const doing = `changing ${batch.length} addresses and routes`;
    const refused = await batch.commands.send(this.#socket, doing);
    return refused
      .filter(({ command, refusal }) => !isDone(command, refusal.errno))
      .map(({ command, refusal }) => {
        const what = describe(command);
        return {
          command,
          error: systemError(what, refusal.errno, { extendedAck: refusal.message }),
        };
      });
  }

  /** Frees the socket. Links, addresses and routes stay. */
  close(): void {
    this.#socket.close();
    this.#listings.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #listNow<T>({ doing, write, read }: Listing<T>): readonly T[] {
    const found: T[] = [];
    this.#socket.dump(
      (sequence) =>
        this.#request.message((request) => {
          write(request, sequence);
        }),
      doing,
      (message) => {
        read(message, found);
      },
    );
    return found;
  }

  #order(
    type: number,
    flags: number,
    doing: string,
    write: (request: NetlinkWriter) => void,
  ): void {
    const sequence = this.#socket.sequences(1);
    const bytes = this.#encode(type, NLM_F.REQUEST | NLM_F.ACK | flags, sequence, write);
    this.#socket.order(bytes, sequence, doing);
  }

  #encode(
    type: number,
    flags: number,
    sequence: number,
    write: (request: NetlinkWriter) => void,
  ): Buffer {
    this.#request.reset();
    this.#request.begin(type, flags, sequence);
    write(this.#request);
    this.#request.end();
    return this.#request.written();
  }
}

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

function addressesOf({ index, name }: Link): Listing<InterfaceAddress> {
  return {
    doing: `listing addresses of link ${name}`,
    write: (request, sequence) => {
      writeList(request, 'addresses', sequence, index);
    },
    read: (message, found) => {
      if (message.type !== RTM.NEWADDR) return;
      const address = readAddress(message, () => name);
      // Kernels before 4.20 tell those of every link.
      if (address?.interfaceIndex === index) found.push(address);
    },
  };
}

function localRoutesOf({ index, name }: Link, family: Family): Listing<LocalRoute> {
  return {
    doing: `listing ${family} local routes of link ${name}`,
    write: (request, sequence) => {
      writeLocalRouteList(request, sequence, family, index);
    },
    read: (message, found) => {
      if (message.type !== RTM.NEWROUTE) return;
      const route = readLocalRoute(message);
      if (route?.link === index) found.push(route);
    },
  };
}

/** The table comes with the first local route: where no link was ever up there is none. */
function noTable(error: unknown): readonly never[] {
  if (!isKernelError(error, 'SY_KERNEL_NOT_FOUND')) throw error;
  return [];
}

const NO_DUMMY =
  'This kernel has no dummy links: load the module (modprobe dummy), or use a kernel built with CONFIG_DUMMY.';

/**
 * For EXCL, an IPv4 route is there already when the kernel made its own for the same address, which goes with that
 * address. With APPEND only the very same route is (fib_table_insert()). IPv6 routes of the kernel have another metric.
 */
function createFlags({ verb, target }: LinkCommand): number {
  if (verb === 'deleting') return 0;
  const isRoute4 = typeof target !== 'string' && target.family === 'IPv4';
  return NLM_F.CREATE | (isRoute4 ? NLM_F.APPEND : NLM_F.EXCL);
}

/** True when the kernel refused because things are already as the command wants them. */
function isDone({ verb, target }: LinkCommand, errno: number): boolean {
  if (verb === 'adding') return errno === ERRNO.EEXIST;
  return errno === (typeof target === 'string' ? ERRNO.EADDRNOTAVAIL : ERRNO.ESRCH);
}

function describe({ verb, link, target }: LinkCommand): string {
  const what =
    typeof target === 'string' ? `address ${target}` : `local route ${formatCidr(target)}`;
  return `${verb} ${what} ${verb === 'adding' ? 'to' : 'of'} link ${link.name}`;
}
