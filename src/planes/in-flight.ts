/** Packets that are on their way through a data plane while that is removed. */
import { setTimeout } from 'node:timers/promises';

/** A packet takes microseconds; the processor of a virtual machine may stand still meanwhile. */
const PASSING_MS = 20;

/**
 * Resolves when packets that met a plane before have left the kernel. A plane that goes takes no new connections first, and
 * goes after this: rules of an old generation find the maps of a table empty that is deleted, and its sets as they
 * were (`nft_flush_table()` of nf_tables_api.c deactivates elements of maps only), and what was translated would not
 * be masqueraded.
 */
export async function packetsThrough(): Promise<void> {
  await setTimeout(PASSING_MS);
}
