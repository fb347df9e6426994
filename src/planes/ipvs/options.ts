/** Choices of an operator that only ipvs mode has. */

/** How the addresses of Services become the node's own. */
export type BindMode = 'route' | 'address';

/** Settings of the ipvs plane. Times are in milliseconds; 0: as the kernel has it. */
export interface IpvsOptions {
  /** Of Services that do not ask for another one: `rr`, `wrr`, `lc`, …. */
  readonly scheduler: string;
  /** Addresses of Services are not told to the local network (ARP), except by the interface that has them. */
  readonly strictArp: boolean;
  readonly tcpMs: number;
  readonly tcpFinMs: number;
  readonly udpMs: number;
  /** Bit of the packet mark that says: masquerade; 0 to 31. */
  readonly masqueradeBit: number;
  /** `route`: local routes on kube-ipvs0, cheap. `address`: addresses on it, for tools that look for those. */
  readonly bindMode: BindMode;
  /** Longest time that connections to an endpoint that went away may last, where a Service does not say. */
  readonly drainMs: number;
  /** Another plane is in charge: no rules, which would also refuse and mark what that plane translates. */
  readonly isRetired?: true;
}
