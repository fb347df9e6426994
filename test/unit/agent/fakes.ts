/** Stand-ins for what the agent's parts work with. */
import { setImmediate } from 'node:timers/promises';
import type { AgentClock } from '../../../src/agent/clock.ts';
import { parseAddress } from '../../../src/core/ip.ts';
import type { Address } from '../../../src/core/ip.ts';
import type { EndpointSlice, Protocol, Service } from '../../../src/core/model.ts';
import { plainEndpoint, plainService, plainSlice } from '../../../src/core/plain.ts';
import type { NodeView, PlaneSettings } from '../../../src/core/node.ts';
import type { Route, RouteChange } from '../../../src/core/route.ts';
import type { ObjectChange } from '../../../src/core/change.ts';
import type {
  Capability,
  DataPlane,
  DriftReport,
  ProgrammedFrontend,
  ServiceCounters,
  ServiceNotice,
  WriteReport,
} from '../../../src/planes/plane.ts';

/** Time that stands still until a test moves it. */
export class FakeClock implements AgentClock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  async breathe(): Promise<void> {
    await setImmediate();
  }

  /** Lets all that is ready happen, then moves time, timer by timer, and lets happen what they start. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await turns();
    for (;;) {
      const [next] = [...this.#timers].toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await turns();
    }
    this.#now = end;
  }
}

/** Some turns of the event loop: all that needs no time is over then. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await setImmediate();
}

/** A data plane whose kernel is a map. It notices calls that overlap. */
export class FakePlane implements DataPlane {
  readonly mode = 'nftables';
  /** What the kernel holds. */
  readonly kernel = new Map<string, Route>();
  readonly calls: string[] = [];
  readonly applied: (readonly RouteChange[])[] = [];
  settings: PlaneSettings | undefined;
  overlapped = false;
  isDisturbed = false;
  /** Asked before each write; throws to make it fail after it has done a part of its work. */
  fault: (call: string) => void = () => undefined;
  /** Awaited in each write: keeps the kernel busy. */
  busy: () => Promise<void> = async () => Promise.resolve();
  drift: readonly string[] = [];
  notices: readonly ServiceNotice[] = [];
  /** There is work that only time brings. */
  hasWork = false;
  #running = false;

  probe(): readonly Capability[] {
    return [];
  }

  async open(settings: PlaneSettings, routes: Iterable<Route>): Promise<WriteReport> {
    const wanted = new Map([...routes].map((route) => [route.key, route]));
    return this.#write('open', () => {
      this.settings = settings;
      const before = [...this.kernel.keys()];
      for (const [key, route] of wanted) this.kernel.set(key, route);
      return () => {
        for (const key of before) if (!wanted.has(key as Route['key'])) this.kernel.delete(key);
        return wanted.size;
      };
    });
  }

  async apply(changes: readonly RouteChange[]): Promise<WriteReport> {
    return this.#write('apply', () => {
      this.applied.push(changes);
      const half = changes.length >> 1;
      this.#take(changes.slice(0, half));
      return () => {
        this.#take(changes.slice(half));
        return changes.length;
      };
    });
  }

  disturbed(): boolean {
    this.overlapped ||= this.#running;
    return this.isDisturbed;
  }

  async verify(): Promise<DriftReport> {
    const report = await this.#write('verify', () => () => 0);
    this.isDisturbed = false;
    return { ...report, drift: this.drift };
  }

  async tend(): Promise<WriteReport | undefined> {
    if (!this.hasWork) return undefined;
    this.hasWork = false;
    return this.#write('tend', () => () => 1);
  }

  async inspect(): Promise<readonly ProgrammedFrontend[]> {
    return Promise.resolve([]);
  }

  async counters(): Promise<readonly ServiceCounters[]> {
    await this.#write('counters', () => () => 0);
    return [];
  }

  async remove(): Promise<boolean> {
    return Promise.resolve(false);
  }

  close(): void {
    this.calls.push('close');
  }

  #take(changes: readonly RouteChange[]): void {
    for (const { key, after } of changes) {
      if (after === undefined) this.kernel.delete(key);
      else this.kernel.set(key, after);
    }
  }

  /** `begin` does one half of the work and returns the other. */
  async #write(call: string, begin: () => () => number): Promise<WriteReport> {
    this.overlapped ||= this.#running;
    this.#running = true;
    this.calls.push(call);
    try {
      const finish = begin();
      await this.busy();
      this.fault(call);
      return { operations: finish(), batches: 1, kernelMs: 0, notices: this.notices };
    } finally {
      this.#running = false;
    }
  }
}

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

export const VIEW: NodeView = {
  name: 'n1',
  zone: undefined,
  primaryAddresses: [address('192.0.2.1')],
  nodePortAddresses: [address('192.0.2.1')],
};

export const SETTINGS: PlaneSettings = {
  families: ['IPv4'],
  masqueradeAll: false,
  serviceCidrs: [],
  countedPorts: 0,
  localTraffic: {},
};

export interface PortSample {
  readonly port?: number;
  readonly nodePort?: number;
  readonly protocol?: Protocol;
}

/** A Service with one port. */
export function service(
  name: string,
  clusterIP: string,
  { port = 80, nodePort = 0, protocol = 'TCP' }: PortSample = {},
): Service {
  return plainService({
    namespace: 'shop',
    name,
    type: nodePort === 0 ? 'ClusterIP' : 'NodePort',
    clusterIPs: [address(clusterIP)],
    ports: [{ name: '', protocol, port, nodePort }],
  });
}

/** A slice of that Service. */
export function slice(
  serviceName: string,
  addresses: readonly string[],
  protocol: Protocol = 'TCP',
): EndpointSlice {
  return plainSlice(
    { namespace: 'shop', name: serviceName },
    {
      name: `${serviceName}-1`,
      ports: [{ name: '', protocol, port: 8080 }],
      endpoints: addresses.map((text) => plainEndpoint({ address: address(text) })),
    },
  );
}

export function setService(object: Service): ObjectChange {
  return { type: 'set', item: { kind: 'Service', object } };
}

export function removeService(object: Service): ObjectChange {
  return { type: 'remove', item: { kind: 'Service', object } };
}

export function setSlice(object: EndpointSlice): ObjectChange {
  return { type: 'set', item: { kind: 'EndpointSlice', object } };
}
