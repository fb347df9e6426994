/** Addresses and ports of one case in one family. No two cases share any, so nothing one leaves can help another. */
import type { Family } from '../../../src/core/ip.ts';

export interface Place {
  readonly family: Family;
  /** Virtual addresses of the case; `index` tells several apart. */
  readonly clusterIP: (index?: number) => string;
  readonly externalIP: (index?: number) => string;
  readonly loadBalancerIP: (index?: number) => string;
  /** Node ports of the case, `index` 0 to 15. */
  readonly nodePort: (index?: number) => number;
  /** Fixed source ports for UDP clients of the case, `index` 0 to 15. */
  readonly sourcePort: (index?: number) => number;
}

/** Place number `number`, 1 to 250. */
export function place(family: Family, number: number): Place {
  const addresses =
    (ipv4: string, ipv6: string) =>
    (index = 0) =>
      family === 'IPv4' ? `${ipv4}.${number}.${index + 1}` : `${ipv6}:${number}:${index + 1}`;
  const ports =
    (base: number) =>
    (index = 0) =>
      base + number * 16 + index;
  return {
    family,
    clusterIP: addresses('10.96', 'fd00:96:'),
    // 203.0.113.0/24 is too small for two hundred cases; the range for benchmarks is not routed anywhere either.
    externalIP: addresses('198.18', '2001:db8:cb::1'),
    loadBalancerIP: addresses('198.19', '2001:db8:cb::2'),
    nodePort: ports(28_000),
    sourcePort: ports(20_000),
  };
}
