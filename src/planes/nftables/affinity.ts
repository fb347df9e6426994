/**
 * Forgetting clients. The kernel remembers by itself which endpoint a client of a Service with session
 * affinity went to (rules.ts); when an endpoint goes, what it remembers of that endpoint has to go too.
 */
import { type Family, addressLength } from '../../core/ip.ts';
import { isKernelError } from '../../kernel/errors.ts';
import type { NftBatch } from '../../kernel/nftables/batch.ts';
import type { NftSocket } from '../../kernel/nftables/socket.ts';
import { SETS, TABLE } from './schema.ts';
import { type Packed, bytesOf } from './keys.ts';
import { dataOf, keyOf } from './read.ts';
import { portions } from './table.ts';

/** Clients come and expire meanwhile, so that a listing may leave some out. */
const PASSES = 5;

/**
 * Deletes every remembered client for which `isStale` says so. Where so many come and go that some are left out each time,
 * these stay until the next verification.
 */
export function forgetClients(
  socket: NftSocket,
  family: Family,
  isStale: (frontend: Packed, endpoint: Packed) => boolean,
  batch: NftBatch,
  commit: () => void,
): void {
  const forget = (keys: readonly Packed[]): void => {
    for (const key of keys) batch.deleteElement(family, TABLE, SETS.affinity, bytesOf(key));
    try {
      commit();
    } catch (error) {
      if (!isKernelError(error, 'SY_KERNEL_NOT_FOUND')) throw error;
      // One that has expired meanwhile makes the kernel refuse those beside it.
      if (keys.length > 1) for (const key of keys) forget([key]);
    }
  };
  for (let pass = 1; pass <= PASSES; pass++) {
    const stale = new Set<Packed>();
    const isWhole = socket.mostElements(family, TABLE, SETS.affinity, (element) => {
      const key = keyOf(element);
      if (isStale(key.slice(addressLength(family)), dataOf(element))) stale.add(key);
    });
    for (const keys of portions([...stale])) forget(keys);
    if (isWhole) return;
  }
}
