/**
 * Whether the connections of a real server have ended. IPVS counts a connection as inactive for up to two minutes
 * after its end; only the connection table tells such a one from one that is half open. A reading of the table may lack
 * connections, when others go meanwhile: all that IPVS counts must have been seen.
 */
import type { Clock } from '../../core/clock.ts';
import { hostPort } from '../../core/ip.ts';
import type { IpvsConnection } from '../../kernel/ipvs/connections.ts';
import {
  type RealAddress,
  type RealServerInfo,
  type VirtualName,
  describeVirtual,
} from '../../kernel/ipvs/servers.ts';

/**
 * States after the end, and the most seconds that such a connection may have left. After both FINs (TIME_WAIT has 120
 * seconds, ip_vs_proto_tcp.c) the last bytes may still be on their way: a second must have passed without a packet.
 */
const ENDED: ReadonlyMap<string, number> = new Map([
  ['TIME_WAIT', 118],
  ['CLOSE', Infinity],
  ['CLOSED', Infinity],
  ['REJECTED', Infinity],
]);

/** The kernel walks through the table from its beginning for every page of it: more would cost too much. */
const MOST_CONNECTIONS = 50_000;
/** A look that took so long is not taken again before so many times of it have passed. */
const PAUSE = 20;

/** A real server without active connections, and how many inactive ones it has. */
type DrainedServer = RealAddress & Pick<RealServerInfo, 'inactiveConnections'>;

/** Whether the connections of a real server have ended. */
interface Question {
  /** Until when they may last, which tells one drain from the next. */
  readonly until: number;
  /** How many there are: all of them inactive. */
  readonly connections: number;
  /** Key of the same real server behind a mark. */
  readonly marked: string;
}

/** Looks into the connection table beside other work, and only when somebody has asked. */
export class EndedConnections {
  readonly #read: () => AsyncIterable<IpvsConnection>;
  readonly #clock: Pick<Clock, 'now'>;
  /** By {@link keyOf}. */
  #asked = new Map<string, Question>();
  /** Questions that were answered with yes: their `until`. */
  readonly #ended = new Map<string, number>();
  #isLooking = false;
  #notBefore = -Infinity;

  constructor(read: () => AsyncIterable<IpvsConnection>, clock: Pick<Clock, 'now'>) {
    this.#read = read;
    this.#clock = clock;
  }

  /**
   * True when the last look found that all connections have ended. Where it was not looked for, that is done with the
   * next {@link look}.
   * @param until End of the drain it is about: no other has the same.
   */
  have(virtual: VirtualName, real: DrainedServer, until: number): boolean {
    const key = keyOf('mark' in virtual ? ANY : describeVirtual(virtual), real);
    if (this.#ended.get(key) === until) return true;
    const marked = keyOf(ANY, real);
    this.#asked.set(key, { until, connections: real.inactiveConnections, marked });
    return false;
  }

  /** Starts a look if there are questions, unless there is one or the last was too costly. Never rejects. */
  async look(): Promise<void> {
    const asked = this.#asked;
    this.#asked = new Map();
    const started = this.#clock.now();
    if (asked.size === 0 || this.#isLooking || started < this.#notBefore) return;
    this.#isLooking = true;
    this.#ended.clear();
    try {
      for (const [key, { until }] of await endedOf(asked, this.#read()))
        this.#ended.set(key, until);
    } catch {
      // Then it takes until the kernel forgets them.
    }
    const ended = this.#clock.now();
    this.#notBefore = ended + (ended - started) * PAUSE;
    this.#isLooking = false;
  }
}

/** Packets with a mark reach any address: of its virtual server's connections, only the real server is known. */
const ANY = 'any';

/** Those whose connections have all been seen, and none of them open. */
async function endedOf(
  asked: ReadonlyMap<string, Question>,
  connections: AsyncIterable<IpvsConnection>,
): Promise<readonly (readonly [string, Question])[]> {
  const ended = new Map([...asked.keys()].map((key) => [key, new Set<string>()]));
  let seen = 0;
  for await (const connection of connections) {
    if (++seen > MOST_CONNECTIONS) return [];
    if (connection.isTemplate) continue;
    const { protocol, virtual, virtualPort, real: address, realPort: port } = connection;
    const frontend = `${protocol} ${hostPort(virtual, virtualPort)}`;
    for (const key of [frontend, ANY].map((each) => keyOf(each, { address, port }))) {
      if (!hasEnded(connection)) ended.delete(key);
      // What is read twice counts once.
      const { client, clientPort } = connection;
      ended.get(key)?.add(`${hostPort(client, clientPort)} ${frontend}`);
    }
    if (ended.size === 0) return [];
  }
  const counted = new Map<string, number>();
  for (const { marked, connections: count } of asked.values()) {
    counted.set(marked, (counted.get(marked) ?? 0) + count);
  }
  return [...asked].filter(([key, { marked, connections: count }]) => {
    // Connections of a mark have the address of a frontend: all that lead there count together.
    const [which, least] = asked.has(marked) ? [marked, counted.get(marked) ?? 0] : [key, count];
    return ended.has(key) && (ended.get(which)?.size ?? -1) >= least;
  });
}

function hasEnded({ state, expiresSeconds }: IpvsConnection): boolean {
  const most = ENDED.get(state);
  return most !== undefined && expiresSeconds <= most;
}

function keyOf(virtual: string, { address, port }: RealAddress): string {
  return `${virtual} ${hostPort(address, port)}`;
}
