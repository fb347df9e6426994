/** What the plane left, when another one is in charge: virtual servers stay until their connections have ended. */
import { setImmediate } from 'node:timers/promises';
import type { Family } from '../../core/ip.ts';
import { isKernelError } from '../../kernel/errors.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { type VirtualName, describeVirtual } from '../../kernel/ipvs/servers.ts';
import type { Drain, DrainOptions } from '../drain.ts';
import type { DataPlane } from '../plane.ts';
import { removeRules } from './base.ts';
import { type Machine, Sockets, thisMachine } from './machine.ts';
import { Marks } from './marks.ts';
import type { IpvsOptions } from './options.ts';
import { openIpvsPlane } from './plane.ts';
import { listEntries, namedServers, setNames } from './read.ts';
import { SET_ROLES, type SetEntry, setName } from './schema.ts';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];
/** Virtual servers whose real servers are listed before other work gets its turn. */
const LISTED_AT_ONCE = 32;

/**
 * Opens it. Nothing is read or written before the first call on it.
 *
 * Established connections need their virtual server and its address, but no rule: what rules decided of them, IPVS and
 * conntrack remember. New connections are translated by the other plane before IPVS sees them. UDP flows move at once.
 *
 * @param machine This machine, unless a test has another one.
 */
export function openIpvsDrain(
  io: KernelIo,
  options: IpvsOptions,
  machine: Machine = thisMachine(),
): Drain {
  return new IpvsDrain(io, options, machine);
}

class IpvsDrain implements Drain {
  readonly #io: KernelIo;
  readonly #options: IpvsOptions;
  readonly #machine: Machine;
  readonly #sockets: Sockets;
  readonly #marks: Marks;
  #plane: DataPlane | undefined;

  constructor(io: KernelIo, options: IpvsOptions, machine: Machine) {
    this.#io = io;
    this.#options = options;
    this.#machine = machine;
    this.#sockets = new Sockets(io, machine);
    this.#marks = new Marks(2 ** options.masqueradeBit);
  }

  async begin({ families, limitMs }: DrainOptions): Promise<boolean> {
    // Rules name sets: without these there are none.
    if (!this.#isThere()) return false;
    const options = { ...this.#options, drainMs: limitMs, isRetired: true } as const;
    this.#plane?.close();
    const plane = openIpvsPlane(this.#io, options, this.#machine);
    this.#plane = plane;
    for (const family of FAMILIES) await removeRules(this.#sockets.iptables, family);
    // Without Routes: everything that is there is to go.
    await plane.open(
      { families, masqueradeAll: false, countedPorts: 0, serviceCidrs: [], localTraffic: {} },
      [],
    );
    return true;
  }

  async tend(): Promise<number | undefined> {
    await this.#plane?.tend();
    const left = await this.#serversLeft();
    if (left.length === 0) {
      await this.#plane?.remove();
      return undefined;
    }
    let connections = 0;
    for (const [index, name] of left.entries()) {
      if (index % LISTED_AT_ONCE === 0) await setImmediate();
      for (const real of this.#sockets.ipvs.realServers(name))
        connections += real.activeConnections;
    }
    return connections;
  }

  close(): void {
    this.#plane?.close();
    this.#sockets.close();
  }

  #isThere(): boolean {
    try {
      const present = setNames(this.#sockets.ipset);
      return FAMILIES.some((family) =>
        SET_ROLES.some((role) => present.has(setName(family, role))),
      );
    } catch (error) {
      if (isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) return false;
      throw error;
    }
  }

  async #serversLeft(): Promise<readonly VirtualName[]> {
    const { ipset, ipvs } = this.#sockets;
    const present = setNames(ipset);
    const entries: (readonly SetEntry[])[] = [];
    for (const family of FAMILIES) entries.push(await listEntries(ipset, family, present));
    const named = namedServers(entries.flat());
    const servers = await ipvs.virtualServers();
    return servers
      .map(({ name }) => name)
      .filter((name) =>
        'mark' in name ? this.#marks.isOurs(name.mark) : named.has(describeVirtual(name)),
      );
  }
}
