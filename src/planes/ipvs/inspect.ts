/** What the kernel holds, as people read it. */
import { setImmediate } from 'node:timers/promises';
import { type Family, formatCidr, hostPort } from '../../core/ip.ts';
import { type VirtualName, describeVirtual } from '../../kernel/ipvs/servers.ts';
import type { ProgrammedFrontend } from '../plane.ts';
import type { Sockets } from './machine.ts';
import { FOREIGN } from './plan.ts';
import { listEntries, setNames } from './read.ts';
import type { SetEntry, SetRole } from './schema.ts';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/** Virtual servers whose real servers are asked for before others get their turn. */
const LISTED_AT_ONCE = 64;

/** Every frontend, from sets and virtual servers. */
export async function inspectServers({
  ipvs,
  ipset,
}: Sockets): Promise<readonly ProgrammedFrontend[]> {
  const names = setNames(ipset);
  const virtual = new Map(
    (await ipvs.virtualServers()).map((server) => [describeVirtual(server.name), server]),
  );
  const targetOf = (name: VirtualName): readonly string[] =>
    ipvs
      .realServers(name)
      .filter(({ weight }) => weight > 0)
      .map(({ address, port }) => hostPort(address, port))
      .toSorted();
  const frontends: ProgrammedFrontend[] = [];
  for (const family of FAMILIES) {
    const found = byFrontend(await listEntries(ipset, family, names));
    for (const [key, roles] of found) {
      const [frontend] = roles.get('frontends') ?? [];
      if (frontend === undefined || !('port' in frontend)) continue;
      if (frontend.comment?.startsWith(FOREIGN) === true) continue;
      if (frontends.length % LISTED_AT_ONCE === 0) await setImmediate();
      const { ip: address, protocol, port, comment } = frontend;
      const mark = roles.get('inside')?.[0]?.mark;
      frontends.push({
        frontend: hostPort(address, port),
        protocol,
        label: comment ?? '',
        target: refusal(roles) ?? targetOf({ protocol, address, port }),
        insideTarget: mark === undefined ? undefined : targetOf({ mark, family }),
        affinitySeconds: virtual.get(key)?.scheduling.persistence?.seconds,
        masquerade: roles.has('masquerade'),
        allowedSources: roles.has('restricted')
          ? roles.get('allowed')?.flatMap((each) => ('net2' in each ? formatCidr(each.net2) : []))
          : undefined,
      });
    }
  }
  return frontends;
}

type Roles = Map<SetRole, SetEntry['element'][]>;

/** Elements that are about a frontend, by its virtual server. */
function byFrontend(entries: readonly SetEntry[]): ReadonlyMap<string, Roles> {
  const found = new Map<string, Roles>();
  for (const { role, element } of entries) {
    if (!('port' in element)) continue;
    const { protocol, ip: address, port } = element;
    const key = describeVirtual({ protocol, address, port });
    const roles: Roles = found.get(key) ?? new Map();
    found.set(key, roles);
    roles.set(role, [...(roles.get(role) ?? []), element]);
  }
  return found;
}

function refusal(roles: Roles): 'reject' | 'drop' | undefined {
  if (roles.has('refused')) return 'reject';
  return roles.has('silent') ? 'drop' : undefined;
}
