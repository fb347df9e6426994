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

/** An element can expire between being read and being deleted; then the rest is read again. */
const ATTEMPTS = 5;

/** Deletes every remembered client for which `isStale` says so. */
export function forgetClients(
  socket: NftSocket,
  family: Family,
  isStale: (frontend: Packed, endpoint: Packed) => boolean,
  batch: NftBatch,
  commit: () => void,
): void {
  for (let attempt = 1; ; attempt++) {
    socket.eachElement(family, TABLE, SETS.affinity, (element) => {
      const key = keyOf(element);
      if (isStale(key.slice(addressLength(family)), dataOf(element))) {
        batch.deleteElement(family, TABLE, SETS.affinity, bytesOf(key));
      }
    });
    try {
      commit();
      return;
    } catch (error) {
      const expired = isKernelError(error, 'SY_KERNEL_NOT_FOUND');
      if (!expired || attempt === ATTEMPTS) throw error;
    }
  }
}
