/** What the proxy knows of the node it runs on, and the node-wide choices that follow from it. */
import type { Address, Cidr, Family } from './ip.ts';

/** How traffic of this node's own pods is told from other traffic (kube-proxy: detectLocalMode). */
export type LocalTraffic =
  | { readonly kind: 'cidr'; readonly cidr: Cidr }
  | { readonly kind: 'interface'; readonly name: string }
  | { readonly kind: 'interfacePrefix'; readonly prefix: string };

/** The inputs of `select()` that belong to the node and not to a Service. */
export interface NodeView {
  readonly name: string;
  readonly zone: string | undefined;
  /** The node's own address per family, as Kubernetes sees it (source-range test). */
  readonly primaryAddresses: readonly Address[];
  /** Addresses on which node ports are served now, both families, loopback left out. */
  readonly nodePortAddresses: readonly Address[];
}

/** Node-wide settings a data plane turns into its base structure. */
export interface PlaneSettings {
  /** Families to program; at least one. */
  readonly families: readonly Family[];
  /** Masquerade all cluster-IP traffic. */
  readonly masqueradeAll: boolean;
  /**
   * How many Service ports, both families of one together, have their traffic counted; 0: none. Up to 2,000
   * are reasonable: in nftables mode reading takes time with the square of their number.
   */
  readonly countedPorts: number;
  /** Ranges that cluster IPs are taken from; what no Service has of them leads nowhere. */
  readonly serviceCidrs: readonly Cidr[];
  /** Per family; absent: nothing is known to be local, so cluster-IP traffic keeps its source. */
  readonly localTraffic: { readonly [F in Family]?: LocalTraffic };
}
