/** What the tests of the ipvs plane have in common: Services of the crowd, and what IPVS holds of them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Family } from '../../src/core/ip.ts';
import type { KeptConnection } from '../lab/lab-host.ts';
import { Lab } from '../lab/lab.ts';
import { crowdAddress, crowdPort, otherNodeName } from '../lab/topology.ts';
import {
  type KubeObject,
  type ServiceOptions,
  service,
  sliceOf,
} from '../netns/conformance/objects.ts';
import { type Place, place } from '../netns/conformance/place.ts';
import { planeNamed } from '../netns/conformance/planes.ts';
import { World } from '../netns/conformance/world.ts';

export const families: readonly Family[] = ['IPv4', 'IPv6'];

/** How long to wait for what must come; never reached unless a test fails. */
const patienceMs = 30_000;
/** Clients that {@link addClients} makes of one. */
const clientCount = 60;

/** One case: where its addresses are, and where it can tell a figure. */
type CrowdCase = (at: Place, report: (text: string) => void) => Promise<void>;

/** Cases over Services of the crowd, with many clients, one after another on one plane. */
export class CrowdBench {
  #lab: Lab | undefined;
  #world: World | undefined;
  #number: number;
  /** Connections that the case holds; ended after it. */
  held: KeptConnection[] = [];

  /** @param number Of the last place that is taken: cases have the next ones. */
  constructor(number: number) {
    this.#number = number;
    before(async () => {
      this.#lab = await Lab.open();
      this.#world = await World.open(this.#lab, planeNamed('ipvs'));
      addClients(this.#world);
    });
    after(async () => {
      await this.#world?.close();
      await this.#lab?.close();
    });
  }

  get world(): World {
    return this.#world ?? assert.fail('before the first case');
  }

  /** A test that leaves nothing behind. */
  check(family: Family, name: string, run: CrowdCase): void {
    void test(name, async (t) => {
      try {
        await run(place(family, ++this.#number), (text) => t.diagnostic(text));
      } finally {
        await Promise.all(this.held.map((connection) => connection.close()));
        this.held = [];
      }
      await this.world.reset();
    });
  }

  /** Opens a connection that stays until the case ends. */
  async hold(address: string, port = 80): Promise<KeptConnection> {
    const connection = await this.world.connect('client', [address, port]);
    this.held.push(connection);
    return connection;
  }

  /** Connects so many times, one after another, and says which endpoints answered. */
  async connect(
    at: Place,
    count: number,
    source?: string,
    address = at.clusterIP(),
  ): Promise<readonly number[]> {
    const from = source === undefined ? {} : { sourceAddress: source };
    const results = await this.world.probe('client', 'TCP', [address, 80], { count, ...from });
    return results.map((result) => {
      assert.ok(result.ok, result.ok ? '' : `a connection ended: ${result.error}`);
      return crowdNumber(at, result.local);
    });
  }
}

/** The many addresses of the lab's client. */
export function manyClients(family: Family): readonly string[] {
  return Array.from({ length: clientCount }, (_, index) =>
    family === 'IPv4' ? `192.0.2.${index + 100}` : `2001:db8:2::${(index + 0x100).toString(16)}`,
  );
}

/** Makes the lab's client many clients. */
function addClients(world: World): void {
  const lines = families.flatMap((family) =>
    manyClients(family).map(
      (address) => `addr add ${address}/${family === 'IPv4' ? 24 : '64 nodad'} dev eth0`,
    ),
  );
  world.shell('client', `ip -batch - <<'END'\n${lines.join('\n')}\nEND`);
}

/** What a Service of the crowd asks for. */
interface CrowdService extends Omit<ServiceOptions, 'ports'> {
  /** Names of `switchyard.dev/…` without the prefix. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Weight of each endpoint, by its number; `undefined` for one that is not there. */
  readonly weights: readonly (number | undefined)[];
}

/** A Service on port 80 over TCP, and its slice: endpoints of the crowd with these weights. */
export function crowdService(
  at: Place,
  { annotations = {}, weights, ...options }: CrowdService,
): readonly KubeObject[] {
  const there = weights.flatMap((weight, index) =>
    weight === undefined ? [] : [{ address: crowdAddress(at.family, index), weight }],
  );
  const uneven = there.filter(({ weight }) => weight !== 1);
  const weighted = uneven.map(({ address, weight }) => `${address}=${weight}`).join(',');
  return [
    annotated(service(at, { ...options, ports: [{ name: 'tcp', port: 80 }] }), {
      ...annotations,
      ...(uneven.length > 0 && { weight: weighted }),
    }),
    sliceOf(
      at,
      there.map(({ address }) => ({
        addresses: [address],
        nodeName: otherNodeName,
        conditions: { ready: true },
      })),
      {
        ...(options.name !== undefined && { service: options.name }),
        ports: [{ name: 'tcp', port: crowdPort }],
      },
    ),
  ];
}

/** An object with `switchyard.dev/…` annotations. */
export function annotated(
  object: KubeObject,
  annotations: Readonly<Record<string, string>>,
): KubeObject {
  const named: Record<string, string> = {};
  for (const [name, value] of Object.entries(annotations)) named[`switchyard.dev/${name}`] = value;
  const metadata = { ...object.metadata, annotations: named };
  return { ...object, metadata };
}

/** The number of an endpoint of the crowd. */
export function crowdNumber({ family }: Place, address: string): number {
  for (let index = 0; index < 100; index++) {
    if (crowdAddress(family, index) === address) return index;
  }
  return assert.fail(`${address} is not of the crowd`);
}

/** How often each number is there, from 0 to the last one. */
export function countEach(numbers: readonly number[], length: number): readonly number[] {
  const counts = Array.from({ length }, () => 0);
  for (const number of numbers) counts[number] = (counts[number] ?? 0) + 1;
  return counts;
}

/** A real server as `ipvsadm -Ln --persistent-conn` shows it. */
export interface ListedServer {
  readonly weight: number;
  /** Clients that affinity keeps there. */
  readonly persistent: number;
  readonly active: number;
  readonly inactive: number;
}

/** Real servers of a virtual server, by `address:port`; `undefined` when there is no such virtual server. */
export function listed(
  world: World,
  [address, port]: readonly [address: string, port: number],
  protocol: 'TCP' | 'UDP' = 'TCP',
): ReadonlyMap<string, ListedServer> | undefined {
  const name = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const servers = new Map<string, ListedServer>();
  let isThere = false;
  let isIn = false;
  for (const line of world.shell('node', 'ipvsadm -Ln --persistent-conn').split('\n')) {
    const [first = '', second = '', ...rest] = line.trim().split(/ +/);
    if (first !== '->') {
      isIn = first === protocol && second === name;
      isThere ||= isIn;
    } else if (isIn) {
      const [weight = 0, persistent = 0, active = 0, inactive = 0] = rest.map(Number);
      servers.set(second, { weight, persistent, active, inactive });
    }
  }
  return isThere ? servers : undefined;
}

/** The name that {@link listed} has for an endpoint of the crowd. */
export function crowdName({ family }: Place, index: number): string {
  const address = crowdAddress(family, index);
  return `${family === 'IPv6' ? `[${address}]` : address}:${crowdPort}`;
}

/**
 * Waits for what the kernel tells nobody of.
 * @returns After how many milliseconds it was so.
 */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  limitMs = patienceMs,
): Promise<number> {
  const started = performance.now();
  while (!(await isSo())) {
    assert.ok(performance.now() - started < limitMs, `${what}: not in ${limitMs} ms`);
    await sleep(50);
  }
  return performance.now() - started;
}
