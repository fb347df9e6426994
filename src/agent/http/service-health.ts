/**
 * Health-check node ports: for a Service with `externalTrafficPolicy: Local` a load balancer asks each
 * node whether it has ready endpoints (`spec.healthCheckNodePort`; kube-proxy: pkg/proxy/healthcheck).
 */
import type { Clock } from '../../core/clock.ts';
import { type Address, type Family, familyOf } from '../../core/ip.ts';
import { type ObjectKey, objectKey } from '../../core/model.ts';
import { AgentError } from '../errors.ts';
import { ReportOnce } from '../report-once.ts';
import { type Answer, json, NOT_FOUND } from './answer.ts';
import type { BindFailure } from './bind-failure.ts';
import type { HealthState } from './health-state.ts';
import { Listener, wildcard } from './server.ts';

/** What one Service wants of its port. */
export interface ServiceHealthCheck {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** For each family of the Service: how many different addresses its ready endpoints on this node have. */
  readonly localEndpoints: { readonly [F in Family]?: number };
}

/** Where to listen: on whatever address the node has in a family, or on these. */
export type HealthCheckAddresses = { readonly [F in Family]?: 'any' | readonly Address[] };

/** What a {@link ServiceHealth} is made with. */
export interface ServiceHealthOptions {
  readonly health: Pick<HealthState, 'isHealthy'>;
  readonly addresses: HealthCheckAddresses;
  readonly clock: Clock;
  /** A Service has no, or not all, health checks. Told once for each cause as long as it lasts. */
  readonly failed: (service: ObjectKey, error: AgentError) => void;
  /** A request could not be answered, or a connection not be taken. */
  readonly fault: (error: unknown) => void;
}

/** A port and who wants it. The first one has it, the others wait. */
interface Port {
  readonly claimants: ObjectKey[];
  readonly sockets: Map<Address, Socket>;
}

interface Socket {
  readonly listener: Listener;
  failure: BindFailure | undefined;
}

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/** Listens for all Services. Changes are made one after the other, and each costs what it changes. */
export class ServiceHealth implements AsyncDisposable {
  readonly #options: ServiceHealthOptions;
  readonly #services = new Map<ObjectKey, ServiceHealthCheck>();
  readonly #ports = new Map<number, Port>();
  readonly #once = new ReportOnce();
  #addresses: HealthCheckAddresses;
  #work: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: ServiceHealthOptions) {
    this.#options = options;
    this.#addresses = options.addresses;
  }

  /** A Service wants health checks, or other ones than before. New numbers of endpoints count at once. */
  set(check: ServiceHealthCheck): void {
    const service = objectKey(check.namespace, check.name);
    const before = this.#services.get(service);
    if (before !== undefined && before.port !== check.port) this.remove(service);
    this.#services.set(service, check);
    if (before?.port === check.port && sameFamilies(before, check)) return;
    const port: Port = this.#ports.get(check.port) ?? { claimants: [], sockets: new Map() };
    this.#ports.set(check.port, port);
    if (!port.claimants.includes(service)) port.claimants.push(service);
    this.#update(check.port);
  }

  /** A Service wants no health checks any more. Who waits for its port gets it. */
  remove(service: ObjectKey): void {
    const check = this.#services.get(service);
    if (check === undefined) return;
    this.#services.delete(service);
    this.#once.news(service, []);
    const claimants = this.#ports.get(check.port)?.claimants ?? [];
    claimants.splice(claimants.indexOf(service), 1);
    this.#update(check.port);
  }

  /** The node has other addresses. Listeners at those that stay are left alone. */
  setAddresses(addresses: HealthCheckAddresses): void {
    this.#addresses = addresses;
    for (const number of this.#ports.keys()) this.#update(number);
  }

  /** Resolves when all changes up to now are made. What failed is tried again later. */
  async settled(): Promise<void> {
    await this.#work;
  }

  /** Stops to listen and breaks all connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#work;
    const sockets = this.#ports.values().flatMap((port) => port.sockets.values());
    await Promise.all(sockets.map(async ({ listener }) => listener.close()));
    this.#ports.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #update(number: number): void {
    this.#work = this.#work.then(async () => this.#reconcile(number));
  }

  async #reconcile(number: number): Promise<void> {
    const port = this.#ports.get(number);
    if (port === undefined || this.#isClosed) return;
    const wanted = this.#wantedAddresses(port);
    for (const [address, { listener }] of port.sockets) {
      if (wanted.has(address)) continue;
      port.sockets.delete(address);
      await listener.close();
    }
    for (const address of wanted) {
      if (!port.sockets.has(address)) await this.#listen(number, port, address);
    }
    if (port.claimants.length === 0) this.#ports.delete(number);
    this.#report(number, port);
  }

  #wantedAddresses({ claimants: [owner] }: Port): ReadonlySet<Address> {
    const check = owner === undefined ? undefined : this.#services.get(owner);
    return new Set(
      FAMILIES.filter((family) => check?.localEndpoints[family] !== undefined).flatMap((family) => {
        const addresses = this.#addresses[family] ?? [];
        return addresses === 'any' ? [wildcard(family)] : addresses;
      }),
    );
  }

  async #listen(number: number, port: Port, address: Address): Promise<void> {
    const listener = new Listener({
      purpose: 'health checks of a Service',
      addresses: [address],
      port: number,
      ipv6Only: true,
      clock: this.#options.clock,
      handle: () => this.#answer(port, familyOf(address)),
      events: {
        listening: () => {
          if (socket.failure === undefined) return;
          socket.failure = undefined;
          this.#update(number);
        },
        failed: (failure) => {
          socket.failure = failure;
          this.#update(number);
        },
        fault: this.#options.fault,
      },
    });
    const socket: Socket = { listener, failure: undefined };
    port.sockets.set(address, socket);
    await listener.open();
  }

  #answer({ claimants: [owner] }: Port, family: Family): Answer {
    const check = owner === undefined ? undefined : this.#services.get(owner);
    if (check === undefined) return NOT_FOUND;
    const localEndpoints = check.localEndpoints[family] ?? 0;
    const serviceProxyHealthy = this.#options.health.isHealthy;
    const body = {
      service: { namespace: check.namespace, name: check.name },
      localEndpoints,
      serviceProxyHealthy,
    };
    return json(
      localEndpoints > 0 && serviceProxyHealthy ? 200 : 503,
      JSON.stringify(body, undefined, '\t'),
      { 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) },
    );
  }

  #report(number: number, { claimants, sockets }: Port): void {
    const [owner, ...waiting] = claimants;
    if (owner === undefined) return;
    const failures = [...sockets.values()].flatMap(({ failure }) => failure ?? []);
    for (const cause of this.#once.news(
      owner,
      failures.map((failure) => failure.cause),
    )) {
      const messages = failures.flatMap(({ cause: same, message }) =>
        same === cause ? message : [],
      );
      this.#options.failed(owner, new AgentError('SY_BIND_FAILED', messages.join(' ')));
    }
    for (const service of waiting) {
      for (const rival of this.#once.news(service, [owner])) {
        const message = `Port ${number} serves the health checks of Service ${rival}: give Service ${service} another healthCheckNodePort.`;
        this.#options.failed(service, new AgentError('SY_BIND_FAILED', message));
      }
    }
  }
}

function sameFamilies(a: ServiceHealthCheck, b: ServiceHealthCheck): boolean {
  return FAMILIES.every(
    (family) =>
      (a.localEndpoints[family] === undefined) === (b.localEndpoints[family] === undefined),
  );
}
