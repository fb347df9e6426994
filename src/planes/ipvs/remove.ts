/** Removes everything of the plane, and nothing else. */
import type { Family } from '../../core/ip.ts';
import { isKernelError } from '../../kernel/errors.ts';
import type { Iptables } from '../../kernel/iptables/iptables.ts';
import { IpvsBatch } from '../../kernel/ipvs/socket.ts';
import { LinkBatch } from '../../kernel/rtnetlink/links.ts';
import { removeRules } from './base.ts';
import type { Sockets } from './machine.ts';
import type { Marks } from './marks.ts';
import { ownership, readEntries, readLinkContents, setNames } from './read.ts';
import { LINK, SET_ROLES, type SetEntry, setName } from './schema.ts';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/**
 * Removes rules first, which name the sets, and the sets last, which say what is ours. Sysctls stay as they are:
 * nobody knows what they were before. Resolves to whether there was anything.
 */
export async function removeEverything(
  sockets: Sockets,
  iptables: Iptables,
  marks: Marks,
): Promise<boolean> {
  let isFound = false;
  for (const family of FAMILIES) {
    isFound = unlessUnsupported(() => removeRules(iptables, family), false) || isFound;
  }
  const names = unlessUnsupported(() => setNames(sockets.ipset), new Set<string>());
  const entries = FAMILIES.flatMap((family) => readEntries(sockets.ipset, family, names));
  const { bound, isOurLink } = readLink(sockets, entries);
  const isOurs = ownership({
    entries,
    bound,
    isOurMark: (mark) => marks.isOurs(mark),
    excluded: [],
  });
  const servers = new IpvsBatch();
  if (unlessUnsupported(() => sockets.ipvs.info(), undefined) !== undefined) {
    for (const { name } of await sockets.ipvs.virtualServers()) {
      if (isOurs(name)) servers.deleteVirtual(name);
    }
    if (servers.length > 0) await sockets.ipvs.commit(servers);
  }
  await removeAddresses(sockets, bound, isOurLink);
  const ourSets = FAMILIES.flatMap((family) =>
    SET_ROLES.map((role) => setName(family, role)).filter((name) => names.has(name)),
  );
  for (const name of ourSets) sockets.ipset.destroy(name);
  return isFound || servers.length > 0 || bound.length > 0 || isOurLink || ourSets.length > 0;
}

function readLink(
  { links }: Sockets,
  entries: readonly SetEntry[],
): {
  readonly bound: ReturnType<typeof readLinkContents>['ours'];
  readonly isOurLink: boolean;
} {
  const link = links.link(LINK);
  if (link?.kind !== 'dummy') return { bound: [], isOurLink: false };
  const { ours, hasOthers } = readLinkContents(links, link, entries);
  return { bound: ours, isOurLink: !hasOthers };
}

async function removeAddresses(
  { links }: Sockets,
  bound: ReturnType<typeof readLinkContents>['ours'],
  isOurLink: boolean,
): Promise<void> {
  if (isOurLink) {
    links.deleteLink(LINK);
    return;
  }
  const link = links.link(LINK);
  if (link === undefined) return;
  const batch = new LinkBatch();
  for (const { address, by } of bound) {
    const prefix = address.includes(':') ? 128 : 32;
    const family = address.includes(':') ? 'IPv6' : 'IPv4';
    if (by === 'address') batch.deleteAddress(link, address);
    else batch.deleteLocalRoute(link, { family, address, prefix });
  }
  if (batch.length > 0) await links.commit(batch);
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
