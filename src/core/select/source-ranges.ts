/** Who may use a Service's load-balancer addresses (`spec.loadBalancerSourceRanges`). */
import { addressLength, cidrContains, packAddress } from '../ip.ts';
import type { Address, Cidr, Family } from '../ip.ts';

/**
 * The allowed sources in one family, distinct, sorted and without overlap; `undefined` when everybody is
 * allowed: no range in this family, or one that covers all of it.
 *
 * @param vips - The load-balancer addresses of the family. Where a range covers the node, they are allowed
 *   sources too: a connection of the node to an address that is bound on it has that address as its source.
 * @param nodeAddresses - The node's primary addresses.
 */
export function allowedSources(
  ranges: readonly Cidr[],
  family: Family,
  vips: readonly Address[],
  nodeAddresses: readonly Address[],
): readonly Cidr[] | undefined {
  const own = ranges.filter((range) => range.family === family);
  if (own.length === 0 || own.some(({ prefix }) => prefix === 0)) return undefined;
  const coversNode = own.some((range) =>
    nodeAddresses.some((address) => cidrContains(range, address)),
  );
  if (!coversNode) return withoutOverlap(own);
  const prefix = addressLength(family) * 8;
  return withoutOverlap([...own, ...vips.map((address) => ({ family, address, prefix }))]);
}

/** Two CIDRs are apart or one holds the other; in this order a range directly follows one that holds it. */
function withoutOverlap(ranges: readonly Cidr[]): readonly Cidr[] {
  const sorted = ranges
    .map((range) => ({ range, key: sortKey(range) }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const kept: Cidr[] = [];
  for (const { range } of sorted) {
    const last = kept.at(-1);
    if (last === undefined || !cidrContains(last, range.address)) kept.push(range);
  }
  return kept;
}

/** Orders by address, then from the wide to the narrow range. */
function sortKey({ address, prefix }: Cidr): string {
  const bytes = new Uint8Array(17);
  bytes[packAddress(address, bytes, 0)] = prefix;
  return String.fromCharCode(...bytes);
}
