/** Where Services, EndpointSlices, the Node and ServiceCIDRs come from. */
import type { ObjectChange } from '../core/change.ts';

/** Takes what a source tells. `at` is when it was noticed, on the agent's clock. */
export type TakeChanges = (changes: readonly ObjectChange[], at: number) => void;

/** Objects that are followed. */
export interface ObjectSource extends AsyncDisposable {
  /** Resolves once everything that exists was told. Rejects when the source cannot go on. */
  readonly synced: Promise<void>;
  /** Resolves when the source is closed. Rejects when it cannot go on. */
  readonly done: Promise<void>;
}
