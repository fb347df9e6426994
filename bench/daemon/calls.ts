/** What the processes beside the daemon can be asked. Times are in milliseconds of CLOCK_MONOTONIC. */

/** A change of one endpoint, known by the address that came in: none comes twice. */
export interface Change {
  readonly address: string;
  readonly at: number;
}

export type ApiServerCalls = {
  /** Listens on loopback with TLS and a token, all objects encoded. Writes a kubeconfig. */
  readonly open: {
    readonly params: {
      readonly services: number;
      readonly endpoints: number;
      readonly nodeAddress: string;
      readonly kubeconfig: string;
    };
    readonly result: null;
  };
  /** From now on so many slices change in a second; 0 stops. Result: the changes so far, when each was handed to the connections. */
  readonly churn: {
    readonly params: { readonly ratePerSecond: number };
    readonly result: readonly Change[];
  };
};

/** What the kernel told. */
export interface Heard {
  /** New endpoints, when the kernel told of them. */
  readonly changes: readonly Change[];
  readonly transactions: number;
}

export type KernelCalls = {
  /** What is programmed, read from the kernel: frontends, and endpoints of all of them. */
  readonly count: {
    readonly params: null;
    readonly result: { readonly frontends: number; readonly endpoints: number };
  };
  /** Removes all rules. */
  readonly clear: { readonly params: null; readonly result: null };
  /** Begins to listen to what anybody changes in nf_tables. */
  readonly listen: { readonly params: null; readonly result: null };
  /** All that was heard so far. */
  readonly heard: { readonly params: null; readonly result: Heard };
};
