/** The data planes there are, the best one first. */
import type { PlaneOffer } from '../agent/mode.ts';
import type { KernelIo } from '../kernel/io.ts';
import { openNftablesPlane } from '../planes/nftables/plane.ts';

/** Planes on this machine's kernel; nothing is read or written before one is used. */
export function planeOffers(io: KernelIo): readonly PlaneOffer[] {
  return [{ mode: 'nftables', open: () => openNftablesPlane(io) }];
}
