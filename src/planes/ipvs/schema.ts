/** Names of everything the ipvs plane has in the kernel. */
import { type Address, type Family, addressLength } from '../../core/ip.ts';
import { formatElement } from '../../kernel/ipset/batch.ts';
import type { ElementInfo, SetDefinition, SetElement, SetType } from '../../kernel/ipset/sets.ts';

/** Dummy link that has the addresses of Services; kube-proxy's name for it, which tools look for. */
export const LINK = 'kube-ipvs0';

/** What each set holds. All are made once for each family, and rules.ts says what they do. */
const TYPES = {
  /** Every frontend that is served, refused or silent; the comment names its Service port. */
  frontends: 'hash:ip,port',
  /** Virtual servers of ours that are no frontends any more and wait for their connections to end. */
  draining: 'hash:ip,port',
  /** Cluster IPs. */
  cluster: 'hash:ip',
  /** Other addresses on the link: external IPs, load-balancer IPs, and those of draining virtual servers. */
  other: 'hash:ip',
  /** Frontends without any endpoint. */
  refused: 'hash:ip,port',
  /** Frontends whose policy Local finds nothing on this node. */
  silent: 'hash:ip,port',
  /** External frontends with policy Cluster. */
  masquerade: 'hash:ip,port',
  /** External frontends that have other endpoints for this node and its pods; the mark leads to them. */
  inside: 'hash:ip,port',
  /** Frontends with source ranges, and the ranges. */
  restricted: 'hash:ip,port',
  allowed: 'hash:ip,port,net',
  /** Endpoints on this node, each with itself as its client. */
  hairpin: 'hash:ip,port,ip',
} as const satisfies Record<string, SetType>;

/** A set by what it holds. */
export type SetRole = keyof typeof TYPES;
type OurType = (typeof TYPES)[SetRole];

/** An element and the set it is for. */
export interface SetEntry {
  readonly role: SetRole;
  readonly element: SetElement<OurType>;
}

/** Every set of a family. */
export const SET_ROLES: readonly SetRole[] = [
  'frontends',
  'draining',
  'cluster',
  'other',
  'refused',
  'silent',
  'masquerade',
  'inside',
  'restricted',
  'allowed',
  'hairpin',
];

/** More than anybody has; a hash grows as it is filled. */
const MAX_ELEMENTS = 1 << 20;

/** Made once: every element is written to one of them. */
const definitions: { readonly [F in Family]: Map<SetRole, SetDefinition<OurType>> } = {
  IPv4: new Map(),
  IPv6: new Map(),
};

/** `swy-ipvs4-frontends`. */
export function setName(family: Family, role: SetRole): string {
  return setDefinition(family, role).name;
}

/** A set as it is made. */
export function setDefinition(family: Family, role: SetRole): SetDefinition<OurType> {
  let known = definitions[family].get(role);
  if (known === undefined) {
    known = define(family, role);
    definitions[family].set(role, known);
  }
  return known;
}

function define(family: Family, role: SetRole): SetDefinition<OurType> {
  return {
    name: `swy-ipvs${family === 'IPv4' ? 4 : 6}-${role}`,
    type: TYPES[role],
    family,
    maxElements: MAX_ELEMENTS,
    ...(role === 'frontends' && { comments: true }),
    ...(role === 'inside' && { marks: true }),
  };
}

/** Tells elements of a family apart. */
export function entryKey({ role, element }: SetEntry): string {
  return `${role} ${formatElement(element)}`;
}

/** True when an element has the same comment and mark. */
export function isSameEntry(one: SetEntry, other: SetEntry): boolean {
  return one.element.comment === other.element.comment && one.element.mark === other.element.mark;
}

/** An element that was read; `undefined` when it has not what the set's type has. */
export function entryFound(role: SetRole, info: ElementInfo): SetEntry | undefined {
  const { ip, protocol, port, ip2, comment, mark } = info;
  if (ip === undefined) return undefined;
  const extras = {
    ...(comment !== undefined && { comment }),
    ...(mark !== undefined && { mark }),
  };
  const type = TYPES[role];
  if (type === 'hash:ip') return { role, element: { ip, ...extras } };
  if (protocol === undefined || port === undefined) return undefined;
  const frontend = { ip, protocol, port };
  if (type === 'hash:ip,port') return { role, element: { ...frontend, ...extras } };
  if (type === 'hash:ip,port,ip') {
    return ip2 === undefined ? undefined : { role, element: { ...frontend, ip2 } };
  }
  const net2 = info.net2 ?? (ip2 === undefined ? undefined : single(ip2));
  return net2 === undefined ? undefined : { role, element: { ...frontend, net2 } };
}

function single(address: Address) {
  const family = address.includes(':') ? 'IPv6' : 'IPv4';
  return { family, address, prefix: addressLength(family) * 8 } as const;
}
