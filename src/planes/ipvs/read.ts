/** Reading back what the plane has in the kernel, and telling it from what others have. */
import { type Address, type Family, isLinkLocal } from '../../core/ip.ts';
import type { IpsetSocket } from '../../kernel/ipset/socket.ts';
import { describeVirtual } from '../../kernel/ipvs/servers.ts';
import { RTPROT_STATIC } from '../../kernel/rtnetlink/constants.ts';
import type { LinkSocket, LocalRoute } from '../../kernel/rtnetlink/links.ts';
import type { InterfaceAddress, Link } from '../../kernel/rtnetlink/socket.ts';
import type { BindMode } from './options.ts';
import { FOREIGN } from './plan.ts';
import { type SetEntry, SET_ROLES, entryFound, setName } from './schema.ts';

/** Names of all sets there are, whoever made them. */
export function setNames(ipset: IpsetSocket): ReadonlySet<string> {
  return new Set(ipset.sets().map(({ name }) => name));
}

/** Elements of those sets of a family that are there. */
export function readEntries(
  ipset: IpsetSocket,
  family: Family,
  present: ReadonlySet<string>,
): readonly SetEntry[] {
  return SET_ROLES.flatMap((role) => {
    const name = setName(family, role);
    if (!present.has(name)) return [];
    return ipset.elements(name).flatMap((info) => entryFound(role, info) ?? []);
  });
}

/** The same, while other work has its turn. */
export async function listEntries(
  ipset: IpsetSocket,
  family: Family,
  present: ReadonlySet<string>,
): Promise<readonly SetEntry[]> {
  const found: SetEntry[] = [];
  for (const role of SET_ROLES) {
    const name = setName(family, role);
    if (!present.has(name)) continue;
    for (const info of await ipset.listElements(name)) {
      const entry = entryFound(role, info);
      if (entry !== undefined) found.push(entry);
    }
  }
  return found;
}

/** An address of the link that is ours, and how it is bound. */
export interface BoundAddress {
  readonly address: Address;
  readonly by: BindMode;
}

/** What is bound to the link. */
export interface LinkContents {
  readonly ours: readonly BoundAddress[];
  /** Addresses that somebody else put on it. */
  readonly others: readonly Address[];
}

/**
 * What is bound to the link. Ours are the local routes of protocol `static`, which addresses do not have, and
 * addresses that our sets name.
 */
export function readLinkContents(
  links: LinkSocket,
  link: Link,
  entries: readonly SetEntry[],
): LinkContents {
  return contentsOf(links.addresses(link), links.localRoutes(link), entries);
}

/** The same, while other work has its turn. */
export async function listLinkContents(
  links: LinkSocket,
  link: Link,
  entries: readonly SetEntry[],
): Promise<LinkContents> {
  return contentsOf(await links.listAddresses(link), await links.listLocalRoutes(link), entries);
}

function contentsOf(
  linkAddresses: readonly InterfaceAddress[],
  localRoutes: readonly LocalRoute[],
  entries: readonly SetEntry[],
): LinkContents {
  const named = new Set<string>();
  for (const { role, element } of entries) {
    if ((role === 'cluster' || role === 'other') && 'ip' in element) named.add(element.ip);
  }
  const addresses = linkAddresses.filter(({ address }) => !isLinkLocal(address));
  const routes = localRoutes.filter(({ protocol }) => protocol === RTPROT_STATIC);
  return {
    ours: [
      ...routes.map(({ destination: { address } }) => ({ address, by: 'route' }) as const),
      ...addresses
        .filter(({ address }) => named.has(address))
        .map(({ address }) => ({ address, by: 'address' }) as const),
    ],
    others: addresses.flatMap(({ address }) => (named.has(address) ? [] : address)),
  };
}

/** Virtual servers that our sets name as ours, by {@link describeVirtual}. */
export function namedServers(entries: readonly SetEntry[]): ReadonlySet<string> {
  const named = new Set<string>();
  for (const { role, element } of entries) {
    if ((role !== 'frontends' && role !== 'draining') || !('port' in element)) continue;
    if (element.comment?.startsWith(FOREIGN) === true) continue;
    const { protocol, ip: address, port } = element;
    named.add(describeVirtual({ protocol, address, port }));
  }
  return named;
}

/** Firewall marks that our sets give to frontends, by {@link describeVirtual}. */
export function marksIn(entries: readonly SetEntry[]): ReadonlyMap<string, number> {
  const marks = new Map<string, number>();
  for (const { role, element } of entries) {
    if (role !== 'inside' || !('port' in element) || element.mark === undefined) continue;
    const { ip: address, protocol, port } = element;
    marks.set(describeVirtual({ protocol, address, port }), element.mark);
  }
  return marks;
}
