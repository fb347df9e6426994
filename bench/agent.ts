/** The agent's way of a change over the real kernel, from object events to acknowledgement, and nothing beside it. */
import { SYSTEM_CLOCK } from '../src/agent/clock.ts';
import { Pipeline, type Programmed } from '../src/agent/pipeline.ts';
import type { PlaneSettings } from '../src/core/node.ts';
import type { ObjectChange } from '../src/core/change.ts';
import type { DataPlane } from '../src/planes/plane.ts';
import { CLUSTER_CIDR, NODE_NAME } from './cluster.ts';

/** Both families, as an agent has them by default; the objects are IPv4. */
const SETTINGS: PlaneSettings = {
  families: ['IPv4', 'IPv6'],
  masqueradeAll: false,
  serviceCidrs: [],
  countedPorts: 0,
  localTraffic: { IPv4: { kind: 'cidr', cidr: CLUSTER_CIDR } },
};
/** The bench verifies when it wants to measure that. */
const NEVER_MS = 3_600_000;

const ignore = (): void => undefined;

export class Agent {
  readonly #pipeline: Pipeline;
  #waiting: PromiseWithResolvers<Programmed> | undefined;

  constructor(plane: DataPlane) {
    this.#pipeline = new Pipeline({
      plane,
      view: { name: NODE_NAME, zone: undefined, primaryAddresses: [], nodePortAddresses: [] },
      settings: SETTINGS,
      clock: SYSTEM_CLOCK,
      // The first change after a pause does not wait anyway; so the bench need not make pauses.
      coalesceMs: 0,
      verify: { pollMs: NEVER_MS, verifyMs: NEVER_MS, quietMs: NEVER_MS },
      events: {
        onQueued: ignore,
        onStarted: ignore,
        onSynced: ({ programmed }) => {
          if (programmed !== undefined) this.#waiting?.resolve(programmed);
        },
        onFailure: (error) => this.#waiting?.reject(error),
        onRecovered: ignore,
        onVerified: ignore,
        onTended: ignore,
        onProblems: ignore,
        onConflict: ignore,
        onStaleFlows: ignore,
      },
    });
  }

  /** Hands over everything there is and waits until the kernel has it. */
  async load(objects: readonly ObjectChange[]): Promise<Programmed> {
    const programmed = this.change(objects);
    this.#pipeline.complete();
    return programmed;
  }

  /** Hands over what changed and waits until the kernel has it. It must make a difference there. */
  async change(changes: readonly ObjectChange[]): Promise<Programmed> {
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#pipeline.accept(changes, SYSTEM_CLOCK.now());
    return promise;
  }
}
