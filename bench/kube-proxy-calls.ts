/** What the process that loads kube-proxy's rules can be asked. Times are in milliseconds. */
export type KubeProxyCalls = {
  /** `nft -f -` with everything, from start to end of the process. */
  readonly load: {
    readonly params: { readonly network: number; readonly services: number };
    readonly result: number;
  };
  /** `nft -f -` with one Service that loses or gets back an endpoint, in turns. */
  readonly changeEndpoints: {
    readonly params: { readonly count: number };
    readonly result: readonly number[];
  };
};
