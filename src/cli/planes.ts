/** The data planes there are, the best one first. */
import { agentConfig } from '../agent/config/agent-config.ts';
import type { LoadedConfig } from '../agent/config/load.ts';
import type { PlaneOffer } from '../agent/mode.ts';
import type { Family } from '../core/ip.ts';
import { isKernelError } from '../kernel/errors.ts';
import type { KernelIo } from '../kernel/io.ts';
import { type Variant, findTools, legacyTables } from '../kernel/iptables/variant.ts';
import { NftSocket } from '../kernel/nftables/socket.ts';
import { openSysctls } from '../kernel/sysctl.ts';
import { isOurs } from '../planes/iptables/schema.ts';
import { iptablesMachine, openIptablesPlane } from '../planes/iptables/plane.ts';
import { allowLocalhostNodePorts } from '../planes/iptables/sysctls.ts';
import { openIpvsDrain } from '../planes/ipvs/drain.ts';
import { thisMachine } from '../planes/ipvs/machine.ts';
import { openIpvsPlane } from '../planes/ipvs/plane.ts';
import { applySysctls } from '../planes/ipvs/sysctls.ts';
import { openNftablesPlane } from '../planes/nftables/plane.ts';
import type { DataPlane, ProgrammedFrontend } from '../planes/plane.ts';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/**
 * Planes on this machine's kernel; nothing is read or written before one is used.
 * @param onWait Told why one waits for somebody else: a sentence for the log.
 */
export function planeOffers(
  io: KernelIo,
  loaded: LoadedConfig,
  onWait?: (text: string) => void,
): readonly PlaneOffer[] {
  return [
    { mode: 'nftables', open: () => openNftablesPlane(io) },
    {
      mode: 'ipvs',
      open: () => {
        const { ipvs, masqueradeBit } = agentConfig(loaded, 'ipvs');
        return openIpvsPlane(io, { ...ipvs, masqueradeBit }, thisMachine(onWait));
      },
      setSysctls: () => {
        const { sysctls, kernelRelease } = thisMachine();
        applySysctls(sysctls, agentConfig(loaded, 'ipvs').ipvs.strictArp, kernelRelease);
      },
      drain: () => {
        const { ipvs, masqueradeBit } = agentConfig(loaded, 'ipvs');
        return openIpvsDrain(io, { ...ipvs, masqueradeBit });
      },
    },
    ...variants(loaded).map((variant): PlaneOffer => {
      const open = (): DataPlane => {
        const { iptables, masqueradeBit } = agentConfig(loaded, 'iptables');
        const options = { variant, masqueradeBit, ...iptables };
        return openIptablesPlane(options, iptablesMachine(options, onWait));
      };
      return {
        mode: 'iptables',
        variant,
        open,
        setSysctls: () => {
          const { localhostNodePorts } = agentConfig(loaded, 'iptables').iptables;
          if (localhostNodePorts) allowLocalhostNodePorts(openSysctls());
        },
        mayBeThere: () => mayHaveRules(io, variant),
      };
    }),
  ];
}

/** Of iptables: the one that others use here first, where that counts. To find out which takes some short programs. */
function variants({ settings }: LoadedConfig): readonly Variant[] {
  const isLegacy = settings.mode === 'iptables' && findTools().variant === 'legacy';
  return isLegacy ? ['legacy', 'nft'] : ['nft', 'legacy'];
}

/** False when a variant has no chains of ours: asked without starting its programs, which a large process takes long to do. */
function mayHaveRules(io: KernelIo, variant: Variant): boolean {
  if (variant === 'legacy') return FAMILIES.flatMap(legacyTables).includes('nat');
  const socket = NftSocket.open(io);
  try {
    return FAMILIES.some((family) => socket.chains(family, 'nat').some(({ name }) => isOurs(name)));
  } catch (error) {
    if (isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) return false;
    throw error;
  } finally {
    socket.close();
  }
}

/** Reads what the kernel holds of a plane, with one that is opened for it. */
export async function inspectPlane({ open }: PlaneOffer): Promise<readonly ProgrammedFrontend[]> {
  const plane = open();
  try {
    return await plane.inspect();
  } finally {
    plane.close();
  }
}
