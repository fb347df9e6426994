/** What goes on through changes and restarts: connections without a pause, and one that stays open. */
import type { KeptConnection } from '../test/lab/lab-host.ts';
import { claim, DemoFailure } from './failure.ts';
import { frontends, type PodName } from './shop.ts';
import type { Visits } from './shopper/calls.ts';
import type { World } from './world.ts';

/** Four endpoints take turns at random: that many attempts in vain happen once in 10^12 runs. */
const attempts = 100;

export class Traffic {
  readonly #world: World;
  readonly #kept: KeptConnection;
  /** Where the connection leads that stays open. */
  readonly keptAt: PodName;

  private constructor(world: World, kept: KeptConnection, keptAt: PodName) {
    this.#world = world;
    this.#kept = kept;
    this.keptAt = keptAt;
  }

  /** Opens a connection to frontend that ends up at `keptAt`, then lets the shopper begin. */
  static async begin(world: World, keptAt: PodName): Promise<Traffic> {
    const kept = await openAt(world, keptAt);
    const { address, port } = frontends.loadBalancer;
    await world.shopper.call('keepVisiting', { address, port });
    return new Traffic(world, kept, keptAt);
  }

  /** What became of the shopper's connections so far; fails if one of them failed. */
  async visits(): Promise<Visits> {
    return withoutFailures(await this.#world.shopper.call('visits', null));
  }

  /** Fails unless the connection that was opened first still carries data both ways. */
  async keptStillAnswers(): Promise<void> {
    const answers = await this.#kept.echoes('are you still there?');
    claim(answers, `the connection to ${this.keptAt} that was open does not answer any more`);
  }

  /** Ends everything and returns what became of all connections. */
  async end(): Promise<Visits> {
    const visits = withoutFailures(await this.#world.shopper.call('stopVisiting', null));
    await this.#kept.close();
    return visits;
  }
}

async function openAt(world: World, pod: PodName): Promise<KeptConnection> {
  const { address, port } = frontends.loadBalancer;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const connection = await world.host('client').open(address, port);
    if (connection.greeting.server === pod) return connection;
    await connection.close();
  }
  const message = `none of ${attempts} connections to frontend reached ${pod}`;
  throw new DemoFailure('SY_DEMO_CLAIM', message);
}

function withoutFailures(visits: Visits): Visits {
  const failures = Object.entries(visits.failures).map(([error, times]) => `${times} ${error}`);
  claim(
    failures.length === 0,
    `of ${visits.connections} connections to frontend some failed: ${failures.join(', ')}`,
  );
  return visits;
}
