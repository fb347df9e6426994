/** The cluster as a case sees it: the lab's hosts, the objects there are, and the process that proxies. */
import assert from 'node:assert/strict';
import type { ObjectKey } from '../../../src/core/model.ts';
import type { Route } from '../../../src/core/route.ts';
import type {
  Capability,
  DriftReport,
  ProgrammedFrontend,
  ServiceCounters,
  WriteReport,
} from '../../../src/planes/plane.ts';
import type { L4, LoopReport, ProbeParams, ProbeResult } from '../../lab/agent/calls.ts';
import type { Lab } from '../../lab/lab.ts';
import type { KeptConnection } from '../../lab/lab-host.ts';
import type { LineProcess } from '../../lab/line-process.ts';
import { clusterCidr, type HostName } from '../../lab/topology.ts';
import type { Expectation } from './case.ts';
import { expectRow, patienceMs, tally } from './expect.ts';
import type { HostCalls, ObjectChanges, Setup } from './host-calls.ts';
import { node, type KubeObject } from './objects.ts';
import type { PlaneUnderTest } from './planes.ts';

/** What every case starts with: cluster CIDRs known, node ports on the node's own addresses. */
export const defaultSetup: Setup = {
  node: node('zone-a'),
  flags: { 'cluster-cidr': `${clusterCidr.IPv4},${clusterCidr.IPv6}` },
  countedPorts: 0,
  serviceCidrs: [],
};

export class World {
  readonly #lab: Lab;
  /** The plane under test. */
  readonly plane: PlaneUnderTest;
  #host: LineProcess<HostCalls>;
  #setup: Setup = defaultSetup;
  readonly #objects = new Map<string, KubeObject>();

  private constructor(lab: Lab, plane: PlaneUnderTest) {
    this.#lab = lab;
    this.plane = plane;
    this.#host = this.#startHost();
  }

  /** Starts the plane on the lab's node. */
  static async open(lab: Lab, plane: PlaneUnderTest): Promise<World> {
    const world = new World(lab, plane);
    await world.#open();
    return world;
  }

  /** Ends the process that holds the plane; its rules stay. */
  async close(): Promise<void> {
    await this.#host.kill();
  }

  /** What the plane needs of the machine and whether it is there. */
  capabilities(): Promise<readonly Capability[]> {
    return this.#host.call('capabilities', null);
  }

  /** Removes and sets objects, and waits until that is programmed. */
  change({ remove = [], set = [] }: Partial<ObjectChanges>): Promise<WriteReport> {
    for (const object of remove) this.#objects.delete(idOf(object));
    for (const object of set) this.#objects.set(idOf(object), object);
    return this.#host.call('change', { remove, set });
  }

  /** Changes node-wide choices; the plane is opened anew with them. */
  async setUp(changes: Partial<Setup>): Promise<void> {
    this.#setup = { ...this.#setup, ...changes };
    await this.#open();
  }

  /** Removes every object and every choice of a case, and asserts that the plane forgets it all. */
  async reset(): Promise<void> {
    await this.change({ remove: [...this.#objects.values()] });
    assert.deepEqual(await this.inspect(), [], 'no object is left, but something is programmed');
    if (this.#setup !== defaultSetup) {
      this.#setup = defaultSetup;
      await this.#open();
    }
  }

  /** The same after a case that failed: from a new process and an empty kernel. */
  async startOver(): Promise<void> {
    await this.#host.kill();
    this.#objects.clear();
    this.#setup = defaultSetup;
    this.#host = this.#startHost();
    await this.#host.call('remove', null);
    await this.#open();
  }

  /** Tries all rows at the same time. */
  async expect(rows: readonly Expectation[]): Promise<void> {
    await Promise.all(rows.map((row) => expectRow(this.#lab, row)));
  }

  /** Probes one address; one probe at a time unless told otherwise. */
  probe(
    from: HostName,
    over: L4,
    to: readonly [address: string, port: number],
    options: Partial<ProbeParams> = {},
  ): Promise<readonly ProbeResult[]> {
    const [address, port] = to;
    return this.#lab.host(from).probe(over, { address, port, timeoutMs: patienceMs, ...options });
  }

  /** Probes one address and says what answered, and how often. */
  async count(
    from: HostName,
    over: L4,
    to: readonly [address: string, port: number],
    options: Partial<ProbeParams> = {},
  ): Promise<Readonly<Record<string, number>>> {
    return tally(await this.probe(from, over, to, options));
  }

  /** Opens a TCP connection that stays. */
  connect(from: HostName, to: readonly [address: string, port: number]): Promise<KeptConnection> {
    return this.#lab.host(from).open(...to);
  }

  /** Makes new connections all the time until the function returned is called. */
  loop(
    from: HostName,
    to: readonly [address: string, port: number],
  ): Promise<() => Promise<LoopReport>> {
    const [address, port] = to;
    return this.#lab
      .host(from)
      .loop('TCP', { address, port, timeoutMs: patienceMs, pauseMs: 1, count: 4, parallel: 4 });
  }

  /** Runs a shell script on a host and returns its output. */
  shell(host: HostName, script: string): string {
    return this.#lab.run(host, 'sh', ['-ec', script]);
  }

  /** Does something while the node has one more address, as load balancers do with virtual ones. */
  async withAddress(address: string, act: () => Promise<void>): Promise<void> {
    const binding = address.includes(':') ? `${address}/128 dev lo nodad` : `${address}/32 dev lo`;
    this.shell('node', `ip addr add ${binding}`);
    try {
      await act();
    } finally {
      this.shell('node', `ip addr del ${binding.replace(' nodad', '')}`);
    }
  }

  /** Kills the process that holds the plane, as `kill -9` does. */
  async crash(): Promise<void> {
    await this.#host.kill();
  }

  /** Starts the process again after {@link crash}, with the objects there are now. */
  recover(): Promise<WriteReport> {
    this.#host = this.#startHost();
    return this.#open();
  }

  /** Changes objects while no process runs. */
  changeUnseen({ remove = [], set = [] }: Partial<ObjectChanges>): void {
    for (const object of remove) this.#objects.delete(idOf(object));
    for (const object of set) this.#objects.set(idOf(object), object);
  }

  /** Programs Routes of a Service of its own. */
  routes(service: ObjectKey, routes: readonly Route[]): Promise<WriteReport> {
    return this.#host.call('routes', { service, routes });
  }

  disturbed(): Promise<boolean> {
    return this.#host.call('disturbed', null);
  }

  verify(): Promise<DriftReport> {
    return this.#host.call('verify', null);
  }

  inspect(): Promise<readonly ProgrammedFrontend[]> {
    return this.#host.call('inspect', null);
  }

  counters(): Promise<readonly ServiceCounters[]> {
    return this.#host.call('counters', null);
  }

  /** Removes everything of the plane's from the kernel. */
  remove(): Promise<boolean> {
    return this.#host.call('remove', null);
  }

  #startHost(): LineProcess<HostCalls> {
    const file = new URL('plane-host.ts', import.meta.url);
    return this.#lab.start<HostCalls>('node', `${this.plane.name} plane`, file, [this.plane.name]);
  }

  #open(): Promise<WriteReport> {
    return this.#host.call('open', { setup: this.#setup, objects: [...this.#objects.values()] });
  }
}

function idOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`;
}
