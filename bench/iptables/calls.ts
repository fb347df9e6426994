/** What the process that writes the rules of a node can be asked. Times are in milliseconds. */

export interface Load {
  readonly ms: number;
  /** Part of it that the tools took. */
  readonly kernelMs: number;
  readonly operations: number;
}

export type WorkerCalls = {
  /** Makes objects and programs them, as network `network` of the bench. */
  readonly load: {
    readonly params: { readonly network: number; readonly services: number };
    readonly result: Load;
  };
  /** Takes an endpoint from some Service or gives it back, in turns, one event after the other. */
  readonly changeEndpoints: {
    readonly params: { readonly count: number };
    readonly result: readonly number[];
  };
};
