/** Reading back what the plane has in the kernel, and telling it from what others have. */
import { type Address, type Family, isLinkLocal } from '../../core/ip.ts';
import type { IpsetSocket } from '../../kernel/ipset/socket.ts';
import { describeVirtual } from '../../kernel/ipvs/servers.ts';
import { RTPROT_STATIC } from '../../kernel/rtnetlink/constants.ts';
import type { LinkSocket } from '../../kernel/rtnetlink/links.ts';
import type { Link } from '../../kernel/rtnetlink/socket.ts';
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
  const named = new Set<string>();
  for (const { role, element } of entries) {
    if ((role === 'cluster' || role === 'other') && 'ip' in element) named.add(element.ip);
  }
  const addresses = links.addresses(link).filter(({ address }) => !isLinkLocal(address));
  const routes = links.localRoutes(link).filter(({ protocol }) => protocol === RTPROT_STATIC);
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
