/** Whether the data plane keeps up with what is wanted of it. */
import type { Clock, WallTime } from '../../core/clock.ts';
import type { Family } from '../../core/ip.ts';

/** Health of what serves one family. Times are in milliseconds since 1970. */
interface FamilyHealth {
  readonly family: Family;
  readonly lastUpdated: number;
  readonly isHealthy: boolean;
}

/** Health at one moment. Times are in milliseconds since 1970. */
export interface HealthReport {
  readonly now: number;
  /** All families keep up. A node that is not eligible does not change this. */
  readonly isHealthy: boolean;
  readonly isNodeEligible: boolean;
  /** Those that reported, IPv4 first. */
  readonly families: readonly FamilyHealth[];
}

/** What a {@link HealthState} is made with. */
export interface HealthOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly wallTime: WallTime;
  /** The proxy's sync period, in milliseconds: a request that is twice as old is late. */
  readonly syncPeriodMs: number;
}

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/**
 * Health as kube-proxy has it (pkg/proxy/healthcheck): a family is unhealthy while its oldest request to
 * program something waits for twice the sync period. What never reported does not count.
 */
export class HealthState {
  readonly #options: HealthOptions;
  /** When the oldest request came that is not programmed yet, on the clock. */
  readonly #pending = new Map<Family, number>();
  readonly #updated = new Map<Family, number>();
  #isNodeEligible = true;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** There is something to program. */
  queuedUpdate(family: Family): void {
    if (!this.#pending.has(family)) this.#pending.set(family, this.#options.clock.now());
  }

  /** Everything is programmed; also to be called when the proxy begins to work. */
  updated(family: Family): void {
    this.#pending.delete(family);
    this.#updated.set(family, this.#options.wallTime());
  }

  /** Whether load balancers may send new traffic here: not when the node is unknown, or about to go. Yes at first. */
  setNodeEligible(isEligible: boolean): void {
    this.#isNodeEligible = isEligible;
  }

  /** True when all families keep up. */
  get isHealthy(): boolean {
    return this.#updated.keys().every((family) => this.#keepsUp(family));
  }

  /** All there is to know now. */
  read(): HealthReport {
    return {
      now: this.#options.wallTime(),
      isHealthy: this.isHealthy,
      isNodeEligible: this.#isNodeEligible,
      families: FAMILIES.flatMap((family) => {
        const lastUpdated = this.#updated.get(family);
        if (lastUpdated === undefined) return [];
        return [{ family, lastUpdated, isHealthy: this.#keepsUp(family) }];
      }),
    };
  }

  #keepsUp(family: Family): boolean {
    const { clock, syncPeriodMs } = this.#options;
    const since = this.#pending.get(family);
    return since === undefined || clock.now() - since < 2 * syncPeriodMs;
  }
}
