/** The data planes there are, the best one first. */
import { agentConfig } from '../agent/config/agent-config.ts';
import type { LoadedConfig } from '../agent/config/load.ts';
import type { PlaneOffer } from '../agent/mode.ts';
import type { KernelIo } from '../kernel/io.ts';
import { openIpvsPlane } from '../planes/ipvs/plane.ts';
import { openNftablesPlane } from '../planes/nftables/plane.ts';

/** Planes on this machine's kernel; nothing is read or written before one is used. */
export function planeOffers(io: KernelIo, loaded: LoadedConfig): readonly PlaneOffer[] {
  return [
    { mode: 'nftables', open: () => openNftablesPlane(io) },
    {
      mode: 'ipvs',
      open: () => {
        const { ipvs, masqueradeBit } = agentConfig(loaded, 'ipvs');
        return openIpvsPlane(io, { ...ipvs, masqueradeBit });
      },
    },
  ];
}
