/** What of the machine the ipvs plane works on: its sockets, tools and settings, and the time. */
import { release } from 'node:os';
import type { Clock } from '../../core/clock.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { IpsetSocket } from '../../kernel/ipset/socket.ts';
import { type Iptables, openIptables } from '../../kernel/iptables/iptables.ts';
import { IpvsSocket } from '../../kernel/ipvs/socket.ts';
import { LinkSocket } from '../../kernel/rtnetlink/links.ts';
import { RouteSocket } from '../../kernel/rtnetlink/socket.ts';
import { type Sysctls, openSysctls } from '../../kernel/sysctl.ts';

/** What does not go over netlink. */
export interface Machine {
  readonly iptables: Iptables;
  readonly sysctls: Sysctls;
  readonly clock: Pick<Clock, 'now'>;
  /** Version of the kernel, as uname(2) has it. */
  readonly kernelRelease: string;
}

/** This machine. */
export function thisMachine(): Machine {
  return {
    iptables: openIptables(),
    sysctls: openSysctls(),
    clock: { now: () => performance.now() },
    kernelRelease: release(),
  };
}

/** Netlink sockets, opened when they are used first. */
export class Sockets {
  readonly #io: KernelIo;
  #ipvs: IpvsSocket | undefined;
  #ipset: IpsetSocket | undefined;
  #links: LinkSocket | undefined;
  #routes: RouteSocket | undefined;

  constructor(io: KernelIo) {
    this.#io = io;
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

  /** Frees them; they open again when they are used. */
  close(): void {
    this.#ipvs?.close();
    this.#ipset?.close();
    this.#links?.close();
    this.#routes?.close();
    this.#ipvs = undefined;
    this.#ipset = undefined;
    this.#links = undefined;
    this.#routes = undefined;
  }
}
