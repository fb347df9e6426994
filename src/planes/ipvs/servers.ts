/**
 * Virtual and real servers: what the kernel holds, what it is to hold, and the way from one to the other.
 *
 * A real server that is wanted no more gets no new connections (weight 0) and is deleted when its own have
 * ended or have lasted too long. UDP flows do not end: they are kept only to endpoints that still serve, and move
 * at once otherwise. A virtual server without real servers is deleted: IPVS would answer for it, with ICMP errors
 * that are rate limited, where a rule refuses TCP with a reset.
 */
import type { IpvsBatch } from '../../kernel/ipvs/batch.ts';
import {
  type RealServer,
  type RealServerInfo,
  type Scheduling,
  type VirtualName,
  describeVirtual,
  isSameService,
} from '../../kernel/ipvs/servers.ts';
import { hostPort } from '../../core/ip.ts';
import { isSameScheduling } from './scheduling.ts';

/** A virtual server as it is to be. */
export interface WantedServer {
  readonly name: VirtualName;
  readonly scheduling: Scheduling;
  /** Distinct by address and port. */
  readonly reals: readonly RealServer[];
  /** UDP: `ip:port` of endpoints that flows may stay with. `undefined` for other protocols: all. */
  readonly serving: ReadonlySet<string> | undefined;
  /** How long connections to a real server that is not wanted any more may last. */
  readonly drainMs: number;
}

/** A virtual server as the kernel has it. */
export interface FoundServer {
  readonly name: VirtualName;
  readonly scheduling: Scheduling;
  readonly realServers: readonly RealServer[];
}

interface HeldServer {
  readonly name: VirtualName;
  scheduling: Scheduling;
  /** Where all is well, those of what is wanted. */
  reals: readonly RealServer[];
  /** Those not wanted any more, and until when their connections may last, by `ip:port`. */
  leaving: ReadonlyMap<string, number>;
  /** Of when it was wanted last. */
  drainMs: number;
  /** Flows of UDP do not end by themselves. */
  isUdp: boolean;
}

/** Where commands go: those that give connections a place before those that take one away. */
export interface ServerSink {
  /** New virtual servers: all others wait until it is known that nobody else has them. */
  readonly fresh: IpvsBatch;
  readonly first: IpvsBatch;
  readonly last: IpvsBatch;
  /** Told of each difference: the server, and what was wrong with it. */
  readonly note: (what: string) => void;
}

/** Says of a real server that drains until then whether its connections, all inactive, have ended. */
export type HaveEnded = (virtual: VirtualName, real: RealServerInfo, until: number) => boolean;

/** What became of a virtual server. */
export interface ServerFate {
  readonly name: VirtualName;
  /** `draining`: not wanted, but connections are left. `gone`: deleted. */
  readonly state: 'wanted' | 'draining' | 'gone';
}

const NONE_LEAVING: ReadonlyMap<string, number> = new Map();

/** Follows the virtual servers of the plane. Costs depend on what changes. */
export class Servers {
  #held = new Map<string, HeldServer>();
  /** In the order in which the kernel listed them. */
  #listed: ReadonlySet<string> = new Set();
  readonly #wanted = new Map<string, WantedServer>();
  readonly #touched = new Set<string>();
  readonly #draining = new Set<string>();
  /** Where {@link nextHeld} goes on. */
  #round = this.#held.values();

  /** It is to be there, as told last. */
  want(key: string, wanted: WantedServer): void {
    this.#wanted.set(key, wanted);
    this.#touched.add(key);
  }

  /** It is wanted no more, unless somebody else has wanted it since. */
  unwant(key: string, wanted: WantedServer): void {
    if (this.#wanted.get(key) !== wanted) return;
    this.#wanted.delete(key);
    this.#touched.add(key);
  }

  /** True when the kernel holds it. */
  holds(key: string): boolean {
    return this.#held.has(key);
  }

  /** It turned out to be somebody else's. */
  disown(key: string): void {
    this.#held.delete(key);
    this.#draining.delete(key);
  }

  /** Takes what the kernel has for what is there, in place of what was known. Resolves to its names. */
  async adopt(
    found: AsyncIterable<FoundServer> | Iterable<FoundServer>,
  ): Promise<readonly VirtualName[]> {
    // From the last one listed to the first: IPVS keeps real servers that others deleted (`ipvsadm -C`) for two minutes, the
    // last one first, and looks through them whenever one is added (ip_vs_trash_get_dest()). So it finds each at once.
    const made = this.#held.keys().filter((key) => !this.#listed.has(key));
    for (const key of [...this.#listed, ...made].toReversed()) this.#touched.add(key);
    const held = new Map<string, HeldServer>();
    for await (const { name, scheduling, realServers } of found) {
      const key = describeVirtual(name);
      const known = this.#held.get(key);
      held.set(key, {
        name,
        scheduling,
        reals: realServers,
        leaving: known?.leaving ?? NONE_LEAVING,
        drainMs: known?.drainMs ?? 0,
        isUdp: known?.isUdp ?? ('protocol' in name && name.protocol === 'UDP'),
      });
      this.#touched.add(key);
    }
    // What is made again after all was deleted is listed as before.
    if (held.size > 0) this.#listed = new Set(held.keys());
    this.#held = held;
    this.#round = held.values();
    this.#draining.clear();
    for (const key of this.#wanted.keys()) this.#touched.add(key);
    return held
      .values()
      .map(({ name }) => name)
      .toArray();
  }

  /** True when {@link settle} has nothing to do. */
  get isSettled(): boolean {
    return this.#touched.size === 0;
  }

  /**
   * Writes what must change into the sink and takes it for written.
   * @param now Milliseconds; ends of drains are counted from it.
   * @param drainMs For virtual servers of an earlier run, of whose Services nothing is known.
   * @param most Virtual servers to settle now; the others come with the next call.
   */
  settle(sink: ServerSink, now: number, drainMs: number, most: number): readonly ServerFate[] {
    const fates: ServerFate[] = [];
    let left = most;
    for (const key of this.#touched) {
      if (left === 0) break;
      left -= 1;
      this.#touched.delete(key);
      const fate = this.#settleOne(key, sink, now, drainMs);
      if (fate !== undefined) fates.push(fate);
    }
    return fates;
  }

  /** The next ones of all that the kernel holds, in turn: all of them once in `turns` calls, but `most` in each. */
  nextHeld(turns: number, most: number): readonly VirtualName[] {
    const names: VirtualName[] = [];
    const count = Math.min(Math.ceil(this.#held.size / turns), most);
    while (names.length < count) {
      const { value } = this.#round.next();
      if (value === undefined) this.#round = this.#held.values();
      else names.push(value.name);
    }
    return names;
  }

  /** True when the kernel has what it should have. */
  isIntact({ name, scheduling, realServers }: FoundServer): boolean {
    const held = this.#held.get(describeVirtual(name));
    if (held === undefined || held.reals.length !== realServers.length) return false;
    const reals = byAddress(held.reals);
    return (
      isSameScheduling(held.scheduling, scheduling) &&
      realServers.every((real) => {
        const known = reals.get(keyOf(real));
        return known !== undefined && isSameService(known, real);
      })
    );
  }

  /** Virtual servers with real servers that wait for their connections to end. */
  draining(): readonly VirtualName[] {
    return [...this.#draining].flatMap((key) => this.#held.get(key)?.name ?? []);
  }

  /** Deletes what has no connections any more, or had them long enough. */
  tend(
    name: VirtualName,
    found: readonly RealServerInfo[],
    batch: IpvsBatch,
    now: number,
    haveEnded: HaveEnded,
  ): ServerFate | undefined {
    const key = describeVirtual(name);
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    const leaving = new Map(held.leaving);
    for (const real of found) {
      const address = keyOf(real);
      const until = leaving.get(address);
      if (until === undefined) continue;
      const isIdle =
        real.activeConnections === 0 &&
        (real.inactiveConnections === 0 || haveEnded(name, real, until));
      if (!isIdle && now < until) continue;
      batch.deleteReal(name, real);
      leaving.delete(address);
    }
    // Others may have deleted some.
    const there = new Set(found.map(keyOf));
    for (const address of leaving.keys()) {
      if (!there.has(address)) leaving.delete(address);
    }
    held.reals = held.reals.filter((real) => {
      const address = keyOf(real);
      return leaving.has(address) || !held.leaving.has(address);
    });
    held.leaving = leaving;
    return this.#close(key, held, batch);
  }

  #settleOne(key: string, sink: ServerSink, now: number, drainMs: number): ServerFate | undefined {
    const wanted = this.#wanted.get(key);
    const held = this.#held.get(key);
    if (wanted === undefined) {
      if (held === undefined) return undefined;
      leave(held, byAddress(held.reals), undefined, sink, now + (held.drainMs || drainMs));
      return this.#close(key, held, sink.last);
    }
    const { name, scheduling, reals, drainMs: wantedMs } = wanted;
    const isUdp = wanted.serving !== undefined;
    if (held === undefined) {
      if (reals.length === 0) return { name, state: 'wanted' };
      sink.note(`virtual server ${key} was missing`);
      sink.fresh.addVirtual(name, scheduling);
      for (const real of reals) sink.first.addReal(name, real);
      const made = { name, scheduling, reals, leaving: NONE_LEAVING, drainMs: wantedMs, isUdp };
      this.#held.set(key, made);
      return { name, state: 'wanted' };
    }
    if (!isSameScheduling(held.scheduling, scheduling)) {
      sink.note(`virtual server ${key} had another scheduler or timeout`);
      sink.first.setVirtual(name, scheduling);
      held.scheduling = scheduling;
    }
    held.drainMs = wantedMs;
    held.isUdp = isUdp;
    const others = byAddress(held.reals);
    for (const real of reals) {
      const address = keyOf(real);
      const there = others.get(address);
      others.delete(address);
      if (there !== undefined && isSameService(there, real)) continue;
      sink.note(`real server ${address} of ${key} was missing or wrong`);
      if (there === undefined) sink.first.addReal(name, real);
      else sink.first.setReal(name, real);
    }
    leave(held, others, wanted, sink, now + wantedMs);
    return this.#close(key, held, sink.last) ?? { name, state: 'wanted' };
  }

  /** Deletes a virtual server without real servers, and says what became of one that nobody wants. */
  #close(key: string, held: HeldServer, batch: IpvsBatch): ServerFate | undefined {
    if (held.leaving.size === 0) this.#draining.delete(key);
    else this.#draining.add(key);
    const { name, reals } = held;
    if (reals.length === 0) {
      batch.deleteVirtual(name);
      this.#held.delete(key);
    }
    if (this.#wanted.has(key)) return undefined;
    return { name, state: reals.length > 0 ? 'draining' : 'gone' };
  }
}

/** Makes the other real servers leave, which are not wanted; those that are wanted count as there. */
function leave(
  held: HeldServer,
  others: ReadonlyMap<string, RealServer>,
  wanted: WantedServer | undefined,
  { last, note }: ServerSink,
  until: number,
): void {
  const staying: RealServer[] = [];
  const leaving = new Map<string, number>();
  for (const [address, real] of others) {
    const key = describeVirtual(held.name);
    if (held.isUdp && wanted?.serving?.has(address) !== true) {
      note(`real server ${address} of ${key} was not ours`);
      last.deleteReal(held.name, real);
      continue;
    }
    const idle = real.weight === 0 ? real : { ...real, weight: 0 };
    if (idle !== real) {
      note(`real server ${address} of ${key} had a weight`);
      last.setReal(held.name, idle);
    }
    staying.push(idle);
    leaving.set(address, held.leaving.get(address) ?? until);
  }
  const reals = wanted?.reals ?? [];
  held.reals = staying.length === 0 ? reals : [...reals, ...staying];
  held.leaving = leaving.size === 0 ? NONE_LEAVING : leaving;
}

function byAddress(reals: readonly RealServer[]): Map<string, RealServer> {
  return new Map(reals.map((real) => [keyOf(real), real]));
}

function keyOf({ address, port }: RealServer): string {
  return hostPort(address, port);
}
