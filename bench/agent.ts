/** The pipeline under test, on the bench's node. */
import type { Programmed } from '../src/agent/pipeline.ts';
import type { ObjectChange } from '../src/core/change.ts';
import type { PlaneSettings } from '../src/core/node.ts';
import type { DataPlane } from '../src/planes/plane.ts';
import { MeasuredAgent } from '../src/tools/advise/measure/agent.ts';
import { CLUSTER_CIDR, NODE_NAME } from './cluster.ts';

/** Both families, as an agent has them by default; the objects are IPv4. */
const SETTINGS: PlaneSettings = {
  families: ['IPv4', 'IPv6'],
  masqueradeAll: false,
  serviceCidrs: [],
  countedPorts: 0,
  localTraffic: { IPv4: { kind: 'cidr', cidr: CLUSTER_CIDR } },
};

export class Agent {
  readonly #agent: MeasuredAgent;

  constructor(plane: DataPlane) {
    const view = {
      name: NODE_NAME,
      zone: undefined,
      primaryAddresses: [],
      nodePortAddresses: [],
    };
    this.#agent = new MeasuredAgent(plane, { view, settings: SETTINGS });
  }

  /** Hands over everything there is and waits until the kernel has it. */
  async load(objects: readonly ObjectChange[]): Promise<Programmed> {
    return this.#agent.load(objects);
  }

  /** Hands over what changed and waits until the kernel has it. It must make a difference there. */
  async change(changes: readonly ObjectChange[]): Promise<Programmed> {
    const programmed = await this.#agent.change(changes);
    if (programmed === undefined) throw new Error('a change made no difference');
    return programmed;
  }
}
