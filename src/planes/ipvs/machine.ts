/** What of the machine the ipvs plane works on: its sockets, tools and settings, and the time. */
import { release } from 'node:os';
import type { Clock } from '../../core/clock.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { IpsetSocket } from '../../kernel/ipset/socket.ts';
import { type Iptables, openIptables } from '../../kernel/iptables/iptables.ts';
import { type IpvsConnection, readConnections } from '../../kernel/ipvs/connections.ts';
import { IpvsSocket } from '../../kernel/ipvs/socket.ts';
import { LinkSocket } from '../../kernel/rtnetlink/links.ts';
import { RouteSocket } from '../../kernel/rtnetlink/socket.ts';
import { type Sysctls, openSysctls } from '../../kernel/sysctl.ts';

/** What does not go over netlink. */
export interface Machine {
  /** @throws KernelError UNSUPPORTED */
  readonly openIptables: () => Iptables;
  readonly sysctls: Sysctls;
  /** Reads the connection table of IPVS. */
  readonly connections: () => AsyncIterable<IpvsConnection>;
  readonly clock: Pick<Clock, 'now'>;
  /** Version of the kernel, as uname(2) has it. */
  readonly kernelRelease: string;
}

/**
 * This machine.
 * @param onWait Told who holds the lock of the tables, where that is waited for.
 */
export function thisMachine(onWait?: (text: string) => void): Machine {
  return {
    openIptables: () => openIptables({ onWait }),
    sysctls: openSysctls(),
    connections: () => readConnections(),
    clock: { now: () => performance.now() },
    kernelRelease: release(),
  };
}

/** Netlink sockets and the processes of iptables, opened when they are used first. */
export class Sockets {
  readonly #io: KernelIo;
  readonly #openIptables: Machine['openIptables'];
  #ipvs: IpvsSocket | undefined;
  #ipset: IpsetSocket | undefined;
  #links: LinkSocket | undefined;
  #routes: RouteSocket | undefined;
  #iptables: Iptables | undefined;

  constructor(io: KernelIo, machine: Pick<Machine, 'openIptables'>) {
    this.#io = io;
    this.#openIptables = machine.openIptables;
  }

  get ipvs(): IpvsSocket {
    this.#ipvs ??= IpvsSocket.open(this.#io);
    return this.#ipvs;
  }

  get ipset(): IpsetSocket {
    this.#ipset ??= IpsetSocket.open(this.#io);
    return this.#ipset;
  }

  get links(): LinkSocket {
    this.#links ??= LinkSocket.open(this.#io);
    return this.#links;
  }

  get routes(): RouteSocket {
    this.#routes ??= RouteSocket.open(this.#io);
    return this.#routes;
  }

  get iptables(): Iptables {
    this.#iptables ??= this.#openIptables();
    return this.#iptables;
  }

  /** Frees them; they open again when they are used. */
  close(): void {
    this.#ipvs?.close();
    this.#ipset?.close();
    this.#links?.close();
    this.#routes?.close();
    this.#iptables?.close();
    this.#ipvs = undefined;
    this.#ipset = undefined;
    this.#links = undefined;
    this.#routes = undefined;
    this.#iptables = undefined;
  }
}
