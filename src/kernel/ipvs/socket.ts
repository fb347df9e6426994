import { setImmediate } from 'node:timers/promises';
import { isKernelError } from '../errors.ts';
import type { KernelIo } from '../io.ts';
import { COMMAND_RECEIVE_BYTES } from '../netlink/command-list.ts';
import { NETLINK_GENERIC, NLM_F } from '../netlink/constants.ts';
import { resolveFamily } from '../netlink/generic.ts';
import { type MessageVisitor, NetlinkSocket } from '../netlink/socket.ts';
import { NetlinkWriter } from '../netlink/writer.ts';
import { Listings } from '../netlink/listings.ts';
import { IPVS_CMD, IPVS_GENL_NAME, IPVS_GENL_VERSION, NO_IPVS } from './constants.ts';
import { type IpvsBatch, type IpvsRefusal, refusalError } from './batch.ts';
import { readInfo, readReal, readTimeouts, readVirtual } from './read.ts';
import {
  type IpvsInfo,
  type IpvsTimeouts,
  type RealServerInfo,
  type VirtualName,
  type VirtualServerInfo,
  describeVirtual,
  familyOfVirtual,
} from './servers.ts';
import { writeTimeouts, writeVirtual } from './write.ts';

export { IpvsBatch } from './batch.ts';
export type { IpvsRefusal } from './batch.ts';

/** Virtual servers whose real servers are listed before other work gets its turn. */
const LISTED_AT_ONCE = 32;

/** A virtual server with its real servers. */
export interface VirtualServerListing extends VirtualServerInfo {
  readonly realServers: readonly RealServerInfo[];
}

/**
 * Reads and changes IPVS in the network namespace it was opened in. Needs CAP_NET_ADMIN. What takes long
 * is done in parts, between which other work gets its turn; what is said to be one call is synchronous.
 */
export class IpvsSocket implements Disposable {
  readonly #commands: NetlinkSocket;
  readonly #listings: Listings;
  readonly #family: number;
  readonly #request = new NetlinkWriter();

  private constructor(commands: NetlinkSocket, listings: Listings, family: number) {
    this.#commands = commands;
    this.#listings = listings;
    this.#family = family;
  }

  /** @throws KernelError UNSUPPORTED: the kernel has no IPVS, with the module to load. */
  static open(io: KernelIo): IpvsSocket {
    const options = {
      protocol: NETLINK_GENERIC,
      name: 'IPVS',
      receiveBytes: COMMAND_RECEIVE_BYTES,
    };
    const commands = NetlinkSocket.open(io, options);
    try {
      const family = resolveFamily(commands, IPVS_GENL_NAME, NO_IPVS);
      const listings = new Listings(() => NetlinkSocket.open(io, options));
      return new IpvsSocket(commands, listings, family);
    } catch (error) {
      commands.close();
      throw error;
    }
  }

  /** Version and table size. One call. */
  info(): IpvsInfo {
    let info: IpvsInfo = { version: '', connectionTableSize: 0 };
    this.#query(IPVS_CMD.GET_INFO, 'reading the IPVS version', (message) => {
      info = readInfo(message);
    });
    return info;
  }

  /** How long idle connections are remembered. One call. */
  timeouts(): IpvsTimeouts {
    let timeouts: IpvsTimeouts = { tcp: 0, tcpFin: 0, udp: 0 };
    this.#query(IPVS_CMD.GET_CONFIG, 'reading IPVS timeouts', (message) => {
      timeouts = readTimeouts(message);
    });
    return timeouts;
  }

  /** Sets timeouts; those left out, and those of 0, stay. One call. */
  setTimeouts(timeouts: Partial<IpvsTimeouts>): void {
    this.#command(IPVS_CMD.SET_CONFIG, 'setting IPVS timeouts', (request) => {
      writeTimeouts(request, timeouts);
    });
  }

  /** Sets all counters to 0. One call. */
  zero(): void {
    this.#command(IPVS_CMD.ZERO, 'zeroing IPVS counters', nothing);
  }

  /**
   * Carries out the commands of a batch in their order. Each takes effect or is refused by itself. The
   * batch must not change meanwhile; call its `reset()` to use it again.
   * @returns The commands that were refused.
   * @throws KernelError when the socket fails; some commands may then have taken effect.
   */
  async commit(batch: IpvsBatch): Promise<readonly IpvsRefusal[]> {
    const doing = `changing ${batch.length} IPVS servers`;
    const refused = await batch.commands.send(this.#commands, doing, this.#family);
    return refused.map(({ command, refusal }) => ({
      command,
      error: refusalError(command, refusal),
    }));
  }

  /** One virtual server, `undefined` when it is not there. One call. */
  virtualServer(name: VirtualName): VirtualServerInfo | undefined {
    const doing = `reading virtual server ${describeVirtual(name)}`;
    let found: VirtualServerInfo | undefined;
    const visit: MessageVisitor = (message) => {
      found = readVirtual(message);
    };
    try {
      this.#query(IPVS_CMD.GET_SERVICE, doing, visit, (request) => {
        writeVirtual(request, name);
      });
    } catch (error) {
      if (!isKernelError(error, 'SY_KERNEL_NOT_FOUND')) throw error;
    }
    return found;
  }

  /** Real servers of a virtual server; none when it is not there. One call. */
  realServers(name: VirtualName): readonly RealServerInfo[] {
    const family = familyOfVirtual(name);
    const found: RealServerInfo[] = [];
    this.#commands.dump(
      (sequence) => {
        const flags = NLM_F.REQUEST | NLM_F.DUMP;
        return this.#encode(this.#request, IPVS_CMD.GET_DEST, flags, sequence, (request) => {
          writeVirtual(request, name);
        });
      },
      `listing real servers of virtual server ${describeVirtual(name)}`,
      (message) => {
        const real = readReal(message, family);
        if (real !== undefined) found.push(real);
      },
    );
    return found;
  }

  /** Every virtual server, in no certain order. Changes made meanwhile may be in it or not. */
  virtualServers(): Promise<readonly VirtualServerInfo[]> {
    return this.#listings.list<VirtualServerInfo>({
      doing: 'listing virtual servers',
      write: (request, sequence) => {
        this.#encode(request, IPVS_CMD.GET_SERVICE, NLM_F.REQUEST | NLM_F.DUMP, sequence, nothing);
      },
      read: (message, found) => {
        const virtual = readVirtual(message);
        if (virtual !== undefined) found.push(virtual);
      },
    });
  }

  /** Every virtual server with its real servers. Changes made meanwhile may be in it or not. */
  async *servers(): AsyncGenerator<VirtualServerListing, void, undefined> {
    const virtualServers = await this.virtualServers();
    for (const [index, virtual] of virtualServers.entries()) {
      if (index > 0 && index % LISTED_AT_ONCE === 0) await setImmediate();
      yield { ...virtual, realServers: this.realServers(virtual.name) };
    }
  }

  /** Frees the sockets, after a listing that is under way. Virtual servers stay. */
  close(): void {
    this.#commands.close();
    this.#listings.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #query(
    command: number,
    doing: string,
    visit: MessageVisitor,
    write: (request: NetlinkWriter) => void = nothing,
  ): void {
    const sequence = this.#commands.sequences(1);
    const bytes = this.#encode(this.#request, command, NLM_F.REQUEST, sequence, write);
    this.#commands.query(bytes, sequence, doing, visit);
  }

  #command(command: number, doing: string, write: (request: NetlinkWriter) => void): void {
    const sequence = this.#commands.sequences(1);
    const flags = NLM_F.REQUEST | NLM_F.ACK;
    const bytes = this.#encode(this.#request, command, flags, sequence, write);
    this.#commands.order(bytes, sequence, doing);
  }

  #encode(
    request: NetlinkWriter,
    command: number,
    flags: number,
    sequence: number,
    write: (request: NetlinkWriter) => void,
  ): Buffer {
    request.reset();
    request.begin(this.#family, flags, sequence);
    request.genlmsghdr(command, IPVS_GENL_VERSION);
    write(request);
    request.end();
    return request.written();
  }
}

function nothing(): void {
  // No attributes; or a failure that was told to who asked.
}
