/** What Switchyard itself has in the kernel, as a list: our data planes know how to remove it. */
import type { PlaneMode } from '../../agent/config/option.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { describeVirtual } from '../../kernel/ipvs/servers.ts';
import { LinkSocket } from '../../kernel/rtnetlink/links.ts';
import { Marks } from '../../planes/ipvs/marks.ts';
import { namedServers, readEntries, readLinkContents } from '../../planes/ipvs/read.ts';
import { CHAIN as IPVS_CHAIN } from '../../planes/ipvs/rules.ts';
import { LINK, SET_ROLES, setName } from '../../planes/ipvs/schema.ts';
import { TABLE } from '../../planes/nftables/schema.ts';
import { type Leftover, count } from './leftovers.ts';
import { type CleanupMachine, FAMILIES, readTables, toolName } from './machine.ts';
import { findTables, openIpset, readServers } from './read.ts';
import { type Tables, targetOf } from './rule-plan.ts';

/** Chains of our iptables mode begin so; those of ipvs mode have a longer beginning. */
const CHAIN_PREFIX = 'SWY-';

/** Lists what some of our modes have in the kernel. */
export async function findOurs(
  { io, iptables }: CleanupMachine,
  modes: readonly PlaneMode[],
): Promise<readonly Leftover[]> {
  const objects: Leftover[] = [];
  if (modes.includes('ipvs') || modes.includes('iptables')) {
    for (const family of FAMILIES) {
      for (const tool of iptables) {
        const found = listRules(await readTables(family, tool), toolName(family, tool));
        objects.push(...found.filter(({ mode }) => modes.includes(mode)));
      }
    }
  }
  if (modes.includes('ipvs')) objects.push(...(await listIpvs(io)));
  if (modes.includes('nftables')) {
    objects.push(...findTables(io, TABLE).flatMap((table) => table.objects));
  }
  return objects;
}

function listRules(tables: Tables, tool: string): readonly Leftover[] {
  const objects: Leftover[] = [];
  for (const [table, chains] of tables) {
    const place = `${tool} ${table}`;
    for (const [chain, rules] of chains) {
      const mode = modeOf(chain);
      if (mode !== undefined) {
        const contents = count(rules.length, 'rule');
        objects.push({ mode, kind: 'chain', place, name: chain, contents });
        continue;
      }
      for (const rule of rules) {
        const target = modeOf(targetOf(rule) ?? '');
        if (target === undefined) continue;
        const name = `-A ${chain} ${rule}`;
        objects.push({ mode: target, kind: 'jump', place, name, contents: '' });
      }
    }
  }
  return objects;
}

function modeOf(chain: string): PlaneMode | undefined {
  if (chain === IPVS_CHAIN || chain.startsWith(`${IPVS_CHAIN}-`)) return 'ipvs';
  return chain.startsWith(CHAIN_PREFIX) ? 'iptables' : undefined;
}

async function listIpvs(io: KernelIo): Promise<readonly Leftover[]> {
  using ipset = openIpset(io);
  const sets = new Map(ipset?.sets().map((info) => [info.name, info]));
  const names = new Set(sets.keys());
  const entries = ipset ? FAMILIES.flatMap((family) => readEntries(ipset, family, names)) : [];
  const named = namedServers(entries);
  // Whatever the bit for masquerading is: it is none of those that say whose a mark is.
  const marks = new Marks(0);
  const objects: Leftover[] = [];
  for (const name of await readServers(io)) {
    const text = describeVirtual(name);
    if ('mark' in name ? !marks.isOurs(name.mark) : !named.has(text)) continue;
    objects.push({ mode: 'ipvs', kind: 'virtual server', place: 'IPVS', name: text, contents: '' });
  }
  using links = LinkSocket.open(io);
  const link = links.link(LINK);
  if (link?.kind === 'dummy') {
    const { ours, others } = readLinkContents(links, link, entries);
    for (const { address, by } of ours) {
      objects.push({ mode: 'ipvs', kind: by, place: LINK, name: address, contents: '' });
    }
    if (others.length === 0) {
      const place = 'network interfaces';
      objects.push({ mode: 'ipvs', kind: 'link', place, name: LINK, contents: '' });
    }
  }
  for (const name of FAMILIES.flatMap((family) => SET_ROLES.map((role) => setName(family, role)))) {
    const info = sets.get(name);
    if (info === undefined) continue;
    const contents = count(info.elementCount, 'element');
    objects.push({ mode: 'ipvs', kind: 'ipset', place: 'ipset', name, contents });
  }
  return objects;
}
