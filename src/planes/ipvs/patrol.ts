/**
 * Looks for changes that others made, a little at a time: IPVS, ipset and iptables tell nobody of them. What was
 * emptied is noticed at once, one thing among many when its turn comes. Whatever is found, a comparison of everything
 * follows (`verify`), and repairs it.
 */
import { setImmediate } from 'node:timers/promises';
import { IFF } from '../../kernel/rtnetlink/constants.ts';
import type { LinkSocket } from '../../kernel/rtnetlink/links.ts';
import type { Link } from '../../kernel/rtnetlink/socket.ts';
import type { RuleKeeper } from './base.ts';
import type { Sockets } from './machine.ts';
import { LINK } from './schema.ts';
import type { PlaneState } from './state.ts';

/** Calls of {@link Patrol.findsDamage} in which everything has its turn. */
const TURNS = 30;
/** Most virtual servers in one call: each costs two requests to the kernel, and changes wait for it. */
const MOST_SERVERS = 64;
/** Virtual servers that are looked at before other work gets its turn. */
const AT_ONCE = 16;

/** To be asked about once a second. */
export class Patrol {
  readonly #state: PlaneState;
  #turn = 0;
  /** Addresses that the link had. */
  #addresses: number | undefined;

  constructor(state: PlaneState) {
    this.#state = state;
  }

  /** Looks at what has its turn. Resolves to whether it is not as it was left. Not to be called while others write. */
  async findsDamage(
    { ipvs, ipset, links }: Sockets,
    link: Link,
    rules: readonly RuleKeeper[],
  ): Promise<boolean> {
    const state = this.#state;
    this.#turn = (this.#turn + 1) % TURNS;
    const found = links.link(LINK);
    if (found?.index !== link.index || (found.flags & IFF.UP) === 0) return true;
    const sizes = new Map(ipset.sets().map(({ name, elementCount }) => [name, elementCount]));
    for (const [name, size] of state.setSizes()) if (sizes.get(name) !== size) return true;
    const isBindingDue = this.#turn === 0 || this.#haveAddressesChanged(links, link);
    if (isBindingDue && !(await state.isBound(links, link))) return true;
    if (this.#turn === 0 && !(await areInForce(rules))) return true;
    for (const [index, name] of state.servers.nextHeld(TURNS, MOST_SERVERS).entries()) {
      if (index > 0 && index % AT_ONCE === 0) await setImmediate();
      const server = ipvs.virtualServer(name);
      if (server === undefined) return true;
      if (!state.servers.isIntact({ ...server, realServers: ipvs.realServers(name) })) return true;
    }
    return false;
  }

  /**
   * With the last IPv4 address of a link, such as those that kube-proxy leaves, the kernel takes away its IPv4 routes,
   * whoever made them (fib_disable_ip()). Where addresses are ours there are too many to list them each time.
   */
  #haveAddressesChanged(links: LinkSocket, link: Link): boolean {
    if (this.#state.bindMode === 'address') return false;
    const before = this.#addresses;
    this.#addresses = links.addresses(link).length;
    return before !== undefined && before !== this.#addresses;
  }
}

async function areInForce(rules: readonly RuleKeeper[]): Promise<boolean> {
  for (const each of rules) if (!(await each.areInForce())) return false;
  return true;
}
