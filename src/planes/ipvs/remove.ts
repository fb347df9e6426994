/** Removes everything of the plane, and nothing else. */
import { type Family, familyOf } from '../../core/ip.ts';
import { isKernelError } from '../../kernel/errors.ts';
import { IpvsBatch } from '../../kernel/ipvs/socket.ts';
import { describeVirtual, familyOfVirtual } from '../../kernel/ipvs/servers.ts';
import { LinkBatch } from '../../kernel/rtnetlink/links.ts';
import { removeRules } from './base.ts';
import type { Sockets } from './machine.ts';
import type { Marks } from './marks.ts';
import { namedServers, readEntries, readLinkContents, setNames } from './read.ts';
import { LINK, SET_ROLES, type SetEntry, setName } from './schema.ts';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/** Removes all of it, of both families. Resolves to whether there was anything. */
export async function removeEverything(sockets: Sockets, marks: Marks): Promise<boolean> {
  const isFound = await removeFamilies(sockets, marks, FAMILIES);
  const { links } = sockets;
  const link = links.link(LINK);
  if (link?.kind !== 'dummy' || readLinkContents(links, link, []).others.length > 0) return isFound;
  links.deleteLink(LINK);
  return true;
}

/**
 * Removes what is there for some families, but not the link: first the rules, which name the sets, and last the
 * sets, which say what is ours. Sysctls stay as they are: nobody knows what they were before. Resolves to whether
 * there was anything.
 */
export async function removeFamilies(
  sockets: Sockets,
  marks: Marks,
  families: readonly Family[],
): Promise<boolean> {
  let isFound = false;
  for (const family of families) {
    isFound = (await removeRulesIfThere(sockets, family)) || isFound;
  }
  const names = unlessUnsupported(() => setNames(sockets.ipset), new Set<string>());
  const entries = families.flatMap((family) => readEntries(sockets.ipset, family, names));
  const named = namedServers(entries);
  const servers = new IpvsBatch();
  if (unlessUnsupported(() => sockets.ipvs.info(), undefined) !== undefined) {
    for (const { name } of await sockets.ipvs.virtualServers()) {
      const isOurs = 'mark' in name ? marks.isOurs(name.mark) : named.has(describeVirtual(name));
      if (isOurs && families.includes(familyOfVirtual(name))) servers.deleteVirtual(name);
    }
    if (servers.length > 0) await sockets.ipvs.commit(servers);
  }
  const addresses = await removeAddresses(sockets, entries, families);
  const sets = families.flatMap((family) =>
    SET_ROLES.map((role) => setName(family, role)).filter((name) => names.has(name)),
  );
  for (const name of sets) sockets.ipset.destroy(name);
  return isFound || servers.length + addresses + sets.length > 0;
}

async function removeRulesIfThere(sockets: Sockets, family: Family): Promise<boolean> {
  try {
    return await removeRules(sockets.iptables, family);
  } catch (error) {
    if (isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) return false;
    throw error;
  }
}

/** Resolves to how many there were. */
async function removeAddresses(
  { links }: Sockets,
  entries: readonly SetEntry[],
  families: readonly Family[],
): Promise<number> {
  const link = links.link(LINK);
  if (link?.kind !== 'dummy') return 0;
  const batch = new LinkBatch();
  for (const { address, by } of readLinkContents(links, link, entries).ours) {
    const family = familyOf(address);
    if (!families.includes(family)) continue;
    if (by === 'address') batch.deleteAddress(link, address);
    else batch.deleteLocalRoute(link, { family, address, prefix: family === 'IPv4' ? 32 : 128 });
  }
  if (batch.length > 0) await links.commit(batch);
  return batch.length;
}

/** A kernel that lacks something has nothing of ours in it. */
function unlessUnsupported<T>(act: () => T, otherwise: T): T {
  try {
    return act();
  } catch (error) {
    if (isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) return otherwise;
    throw error;
  }
}
