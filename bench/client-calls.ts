/** What the client can be asked. */

/** One thing to connect to. */
export interface Target {
  readonly address: string;
  readonly port: number;
}

export type ClientCalls = {
  /**
   * Opens connections to all targets `rounds` times, each time in another order. Result: for each target the duration of every
   * connect(2), in microseconds.
   */
  readonly connect: {
    readonly params: { readonly targets: readonly Target[]; readonly rounds: number };
    readonly result: readonly (readonly number[])[];
  };
};
