/** Names of everything the iptables plane has in the kernel. docs/iptables.md explains them to people. */
import { createHash } from 'node:crypto';
import type { RouteKey } from '../../core/route.ts';

/** Tables that hold rules of ours. */
export const TABLES = ['filter', 'nat'] as const;
/** One of {@link TABLES}. */
export type Table = (typeof TABLES)[number];

/** Chains that are always there. */
export const CHAINS = {
  services: 'SWY-SERVICES',
  frontends: 'SWY-FRONTENDS',
  postrouting: 'SWY-POSTROUTING',
  hairpin: 'SWY-HAIRPIN',
  masquerade: 'SWY-MASQUERADE',
  filter: 'SWY-FILTER',
  refused: 'SWY-REFUSED',
  clusterIps: 'SWY-CLUSTER-IPS',
  reject: 'SWY-REJECT',
  forward: 'SWY-FORWARD',
  localnet: 'SWY-LOCALNET',
} as const;

/**
 * Chains of one Route. `SVC`: cluster traffic. `EXT`: every other frontend. `INS`: the same for this node and its pods,
 * where they get other endpoints. `FW`: source ranges. `SRC`, in the table filter: who of a restricted frontend that
 * nobody serves is refused, and who gets no answer.
 */
export type RouteRole = 'SVC' | 'EXT' | 'INS' | 'FW' | 'SRC';

/** XT_EXTENSION_MAXNAMELEN of linux/netfilter/x_tables.h, without the byte that ends it. */
const LONGEST_NAME = 28;
const HASH_LENGTH = 16;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Chain of a Route. */
export function routeChain(role: RouteRole, key: RouteKey): string {
  return `SWY-${role}-${hash(key)}`;
}

/** Chain of an endpoint that clients are remembered at, and the name of the list of these clients. */
export function endpointChain(pick: string, endpoint: string): string {
  return `SWY-SEP-${hash(`${pick} ${endpoint}`)}`;
}

/** Chain of a tree, by what it stands for; hashed where iptables takes no name so long. */
export function treeChain(tree: string, prefix: string): string {
  const name = `SWY-${tree}-${prefix}`;
  return name.length <= LONGEST_NAME ? name : `SWY-${tree}-~${hash(prefix)}`;
}

/** True for chains of this plane; the ipvs plane has some that are called alike. */
export function isOurs(chain: string): boolean {
  return chain.startsWith('SWY-') && !/^SWY-IPVS(?:-|$)/.test(chain);
}

/** RFC 4648 base32 of SHA-256, its first characters, as kube-proxy names chains. */
function hash(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  let name = '';
  let bits = 0;
  let value = 0;
  for (const byte of digest) {
    value = (value << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) name += BASE32.charAt((value >>> (bits - 5)) & 31);
    value &= (1 << bits) - 1;
    if (name.length >= HASH_LENGTH) break;
  }
  return name.slice(0, HASH_LENGTH);
}
