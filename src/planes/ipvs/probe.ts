/** What the ipvs plane needs of this node, tried out. */
import { KernelError } from '../../kernel/errors.ts';
import { IpvsBatch, type IpvsSocket } from '../../kernel/ipvs/socket.ts';
import type { Capability } from '../plane.ts';
import type { Sockets } from './machine.ts';
import { LINK, SET_ROLES, setDefinition } from './schema.ts';
import { scheduling } from './scheduling.ts';

/** Made to be deleted at once. */
const PROBE_SET = 'swy-ipvs-probe';
const PROBE_LINK = 'swy-ipvs-probe';

/** True when the kernel has a scheduler, which it loads if it can. `spareMark` is a firewall mark that nobody uses. */
export async function hasScheduler(
  ipvs: IpvsSocket,
  scheduler: string,
  spareMark: number,
): Promise<boolean> {
  const name = { mark: spareMark, family: 'IPv4' } as const;
  const batch = new IpvsBatch();
  // A process that was killed may have left it.
  batch.deleteVirtual(name);
  batch.addVirtual(name, scheduling({ scheduler, schedulerFlags: 0 }, 'IPv4', undefined));
  batch.deleteVirtual(name);
  const refusals = await ipvs.commit(batch);
  const refusal = refusals.find(({ command }) => command.verb === 'adding');
  if (refusal === undefined) return true;
  if (refusal.error.code === 'SY_KERNEL_NO_SCHEDULER') return false;
  throw refusal.error;
}

/** One answer for each thing that is needed. Leaves nothing behind. */
export function probeIpvs(sockets: Sockets): readonly Capability[] {
  return [
    tried('IPVS', () => `version ${sockets.ipvs.info().version}`),
    tried('ipset', () => {
      const { version } = sockets.ipset.protocol();
      const definitions = new Map(
        SET_ROLES.map((role) => setDefinition('IPv4', role)).map((each) => [each.type, each]),
      );
      for (const definition of definitions.values()) {
        sockets.ipset.create({ ...definition, name: PROBE_SET, maxElements: 1 });
        sockets.ipset.destroy(PROBE_SET);
      }
      return `protocol ${version} with ${[...definitions.keys()].join(', ')}`;
    }),
    tried('dummy links', () => {
      if (sockets.links.link(LINK) !== undefined) return `${LINK} is there`;
      sockets.links.addDummy(PROBE_LINK);
      sockets.links.deleteLink(PROBE_LINK);
      return 'can be made';
    }),
    tried('iptables', () => {
      const { version, reason } = sockets.iptables.tools;
      return `${version}: ${reason}`;
    }),
  ];
}

function tried(name: string, act: () => string): Capability {
  try {
    return { name, ok: true, detail: act() };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { name, ok: false, detail: error.message };
  }
}
