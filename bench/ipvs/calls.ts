/** What the process that holds the ipvs plane can be asked. Times are in milliseconds. */

interface Load {
  readonly ms: number;
  readonly kernelMs: number;
  readonly operations: number;
}

interface Changes {
  readonly removed: readonly number[];
  readonly added: readonly number[];
}

export type WorkerCalls = {
  /** Makes objects and programs them: objects handed to the pipeline, to the last acknowledgement. */
  readonly load: { readonly params: { readonly services: number }; readonly result: Load };
  /** Takes an endpoint from so many Services, one event after the other, and gives it back to each. */
  readonly changeEndpoints: {
    readonly params: { readonly count: number };
    readonly result: Changes;
  };
};
