/** Clients that connect without pause, and connections that stay open and exchange bytes all the time. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoopReport } from '../../lab/agent/calls.ts';
import type { Lab } from '../../lab/lab.ts';
import type { KeptConnection } from '../../lab/lab-host.ts';
import { skipOutsideUml } from '../../lab/uml/inside.ts';
import type { HostName } from '../../lab/topology.ts';

/** An address and a port to connect to from a host. */
export type Way = readonly [from: HostName, address: string, port: number];

const TIMEOUT_MS = 5000;
/** User-mode Linux has one slow processor, which the proxy needs as well. */
const PAUSE_MS = skipOutsideUml === false ? 150 : 10;

/** A connection that is never quiet. */
class Chatter {
  readonly #connection: KeptConnection;
  readonly #name: string;
  readonly #end: Promise<void>;
  #isOver = false;
  exchanges = 0;
  failure: string | undefined;

  constructor(connection: KeptConnection, name: string) {
    this.#connection = connection;
    this.#name = name;
    this.#end = this.#talk();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#end;
    await this.#connection.close();
  }

  async #talk(): Promise<void> {
    while (!this.#isOver) {
      if (!(await this.#connection.echoes(`word ${this.exchanges}`))) {
        this.failure = `${this.#name} ended after ${this.exchanges} exchanges`;
        return;
      }
      this.exchanges++;
      await sleep(PAUSE_MS);
    }
  }
}

/** Traffic over some ways. */
export class Traffic {
  readonly #chatters: readonly Chatter[];
  readonly #loops: readonly (() => Promise<LoopReport>)[];
  readonly #names: readonly string[];
  readonly #steps: string[] = [];

  private constructor(
    chatters: readonly Chatter[],
    loops: readonly (() => Promise<LoopReport>)[],
    names: readonly string[],
  ) {
    this.#chatters = chatters;
    this.#loops = loops;
    this.#names = names;
  }

  /** Starts a client on each way, and ten connections that stay, shared out among them. */
  static async start(lab: Lab, ways: readonly Way[]): Promise<Traffic> {
    const loops = await Promise.all(
      ways.map(([from, address, port]) =>
        lab.host(from).loop('TCP', { address, port, timeoutMs: TIMEOUT_MS, pauseMs: PAUSE_MS }),
      ),
    );
    const chatters: Chatter[] = [];
    for (let index = 0; index < 10; index++) {
      const [from, address, port] = ways[index % ways.length] ?? ['client', '', 0];
      const connection = await lab.host(from).open(address, port);
      chatters.push(new Chatter(connection, `${from} to ${address} port ${port}`));
    }
    return new Traffic(
      chatters,
      loops,
      ways.map((way) => way.join(' ')),
    );
  }

  /** Says what is being done from now on, for the message of a failure. */
  step(what: string): void {
    this.#steps.push(`${what} ${clockTime(Date.now())}`);
  }

  /** True when each connection that stays has exchanged something since the last call. */
  async isAlive(): Promise<boolean> {
    const before = this.#chatters.map(({ exchanges }) => exchanges);
    const end = performance.now() + TIMEOUT_MS;
    while (performance.now() < end) {
      await sleep(PAUSE_MS);
      if (this.#chatters.every(({ exchanges }, index) => exchanges > (before[index] ?? 0) + 1)) {
        return true;
      }
    }
    return false;
  }

  /** Ends all of it, and asserts that nothing failed. Returns how many connections were made. */
  async end(): Promise<number> {
    const reports = await Promise.all(this.#loops.map((end) => end()));
    await Promise.all(this.#chatters.map((chatter) => chatter.end()));
    assert.deepEqual(
      this.#chatters.flatMap(({ failure }) => failure ?? []),
      [],
      'connections that stay open',
    );
    let probes = 0;
    for (const [index, report] of reports.entries()) {
      const { at, ms } = report.firstFailure ?? { at: 0, ms: 0 };
      const when = `the first at ${clockTime(at)} after ${ms.toFixed(1)} ms; ${this.#steps.join(', ')}`;
      const what = `${this.#names[index]}, of ${report.probes} probes, ${when}`;
      assert.deepEqual(report.failures, {}, what);
      assert.ok(report.probes > 10, `${this.#names[index]}: ${report.probes} probes`);
      probes += report.probes;
    }
    return probes;
  }
}

/** `09:15:47.123` */
function clockTime(at: number): string {
  return new Date(at).toISOString().slice(11, -1);
}
