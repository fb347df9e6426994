/** The agent's way of a change over the real kernel, from object events to acknowledgement, and nothing beside it. */
import { SYSTEM_CLOCK } from '../../../agent/clock.ts';
import { Pipeline, type Programmed } from '../../../agent/pipeline.ts';
import type { ObjectChange } from '../../../core/change.ts';
import type { NodeView, PlaneSettings } from '../../../core/node.ts';
import type { DataPlane } from '../../../planes/plane.ts';

/** The node that is pretended. */
export interface MeasuredNode {
  readonly view: NodeView;
  readonly settings: PlaneSettings;
}

/** Nothing is verified unless somebody asks for it. */
const NEVER_MS = 3_600_000;

const ignore = (): void => undefined;

/** A pipeline that is asked for one change at a time. */
export class MeasuredAgent {
  readonly #pipeline: Pipeline;
  #waiting: PromiseWithResolvers<Programmed | undefined> | undefined;

  constructor(plane: DataPlane, { view, settings }: MeasuredNode) {
    this.#pipeline = new Pipeline({
      plane,
      view,
      settings,
      clock: SYSTEM_CLOCK,
      // The first change after a pause does not wait anyway; so there need be no pauses.
      coalesceMs: 0,
      verify: { pollMs: NEVER_MS, verifyMs: NEVER_MS, quietMs: NEVER_MS },
      events: {
        onQueued: ignore,
        onStarted: ignore,
        onSynced: ({ programmed }) => this.#waiting?.resolve(programmed),
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

  /** Hands over everything there is and waits until the kernel has it. Rejects with what the plane failed with. */
  async load(objects: readonly ObjectChange[]): Promise<Programmed> {
    const loading = this.change(objects);
    this.#pipeline.complete();
    const programmed = await loading;
    if (programmed === undefined) throw new RangeError('there was nothing to load');
    return programmed;
  }

  /**
   * Hands over what changed and waits until the kernel has it. Resolves to `undefined` when it makes no difference there;
   * rejects with what the plane failed with.
   */
  async change(changes: readonly ObjectChange[]): Promise<Programmed | undefined> {
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#pipeline.accept(changes, SYSTEM_CLOCK.now());
    return promise;
  }

  /** Ends the pipeline. What it programmed stays. */
  async close(): Promise<void> {
    await this.#pipeline[Symbol.asyncDispose]();
  }
}
