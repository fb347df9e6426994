/** What of IPVS, its link and its sets is kube-proxy's. */
import { type Address, type Family, familyOf } from '../../core/ip.ts';
import type { ElementInfo, SetInfo } from '../../kernel/ipset/sets.ts';
import {
  type VirtualAddress,
  type VirtualName,
  describeVirtual,
} from '../../kernel/ipvs/servers.ts';
import { LINK } from '../../planes/ipvs/schema.ts';
import { KUBE_PROXY_SETS, ipv6SetName } from './kube-proxy-names.ts';
import { type Kept, type Leftover, count } from './leftovers.ts';

/** A set with a name of kube-proxy's, and what is in it. */
export interface KubeSet {
  readonly info: SetInfo;
  readonly elements: readonly ElementInfo[];
}

/** What the plan is made from. */
export interface IpvsFacts {
  readonly sets: readonly KubeSet[];
  /** Rules of others by the set that they match on. */
  readonly setUsers: ReadonlyMap<string, string>;
  /** The link of ipvs mode; `undefined` when there is none. */
  readonly link:
    | {
        readonly isDummy: boolean;
        /** Without ours, and without those that IPv6 gives to every link. */
        readonly addresses: readonly Address[];
        /** Our own ipvs mode uses it. */
        readonly isOurs: boolean;
      }
    | undefined;
  readonly servers: readonly VirtualName[];
  /** Addresses of the node that are not on the link, and not loopback ones. */
  readonly nodeAddresses: ReadonlySet<string>;
  /** Virtual servers of our own ipvs mode, by `describeVirtual`. */
  readonly ourServers: ReadonlySet<string>;
}

/** What is to be done. */
export interface IpvsPlan {
  readonly objects: readonly Leftover[];
  readonly kept: readonly Kept[];
  readonly servers: readonly VirtualAddress[];
  readonly addresses: readonly Address[];
  readonly link: boolean;
  readonly sets: readonly string[];
}

/**
 * Plans the removal. A virtual server is kube-proxy's when a set of kube-proxy's names it, when its address is on the
 * link (kube-proxy removes all others from there), or when it is a node port: an address of the node with a port from
 * kube-proxy's sets. What we serve by now is ours.
 */
export function planIpvs(facts: IpvsFacts): IpvsPlan {
  const objects: Leftover[] = [];
  const kept: Kept[] = [];
  const linkAddresses = facts.link?.isDummy === true ? facts.link.addresses : [];
  const isKubeProxys = attribution(facts, linkAddresses);
  const servers: VirtualAddress[] = [];
  const hasTraces = facts.sets.length > 0 || facts.link !== undefined;
  for (const name of facts.servers) {
    const text = describeVirtual(name);
    if (!('mark' in name) && !facts.ourServers.has(text) && isKubeProxys(name)) {
      servers.push(name);
      objects.push({
        mode: 'ipvs',
        kind: 'virtual server',
        place: 'IPVS',
        name: text,
        contents: '',
      });
    } else if (hasTraces && !facts.ourServers.has(text)) {
      const reason = `No set of kube-proxy names it, and its address is not on ${LINK}.`;
      kept.push({ kind: 'virtual server', place: 'IPVS', name: text, reason });
    }
  }
  const link = planLink(facts, linkAddresses, objects, kept);
  const sets = planSets(facts, objects, kept);
  return { objects, kept, servers, sets, addresses: linkAddresses, link };
}

/** Tells virtual servers of kube-proxy from others. */
function attribution(
  { sets, nodeAddresses }: IpvsFacts,
  linkAddresses: readonly Address[],
): (name: VirtualAddress) => boolean {
  const named = new Set<string>();
  const addresses = new Set<string>(linkAddresses);
  const nodePorts = new Set<string>();
  for (const { info, elements } of sets) {
    const { family, role } = setRole(info.name);
    if (info.type !== KUBE_PROXY_SETS[role]) continue;
    const [, nodePort] = /^KUBE-NODE-PORT-(?:LOCAL-)?(TCP|UDP)$/.exec(role) ?? [];
    for (const { ip, protocol, port } of elements) {
      if (nodePort !== undefined && port !== undefined)
        nodePorts.add(`${family} ${nodePort} ${port}`);
      else if (role === 'KUBE-IPVS-IPS' && ip !== undefined) addresses.add(ip);
      else if (info.type === 'hash:ip,port' && ip !== undefined && protocol !== undefined) {
        named.add(describeVirtual({ address: ip, protocol, port: port ?? 0 }));
      }
    }
  }
  return (name) =>
    named.has(describeVirtual(name)) ||
    addresses.has(name.address) ||
    (nodeAddresses.has(name.address) &&
      nodePorts.has(`${familyOf(name.address)} ${name.protocol} ${name.port}`));
}

/** Whether the link goes: not while our own ipvs mode is on it, which has the same name for it. */
function planLink(
  { link, sets }: IpvsFacts,
  addresses: readonly Address[],
  objects: Leftover[],
  kept: Kept[],
): boolean {
  if (link === undefined) return false;
  const object = { kind: 'link', place: 'network interfaces', name: LINK } as const;
  for (const name of addresses) {
    objects.push({ mode: 'ipvs', kind: 'address', place: LINK, name, contents: '' });
  }
  if (!link.isDummy) {
    kept.push({ ...object, reason: 'It is not a dummy link, as kube-proxy makes it.' });
  } else if (!link.isOurs) {
    objects.push({ ...object, mode: 'ipvs', contents: '' });
  } else if (sets.length + addresses.length > 0) {
    kept.push({ ...object, reason: 'Switchyard serves in ipvs mode and needs it.' });
  }
  return link.isDummy && !link.isOurs;
}

function planSets(
  { sets, setUsers }: IpvsFacts,
  objects: Leftover[],
  kept: Kept[],
): readonly string[] {
  const names: string[] = [];
  for (const { info, elements } of sets) {
    const { name, type } = info;
    const user = setUsers.get(name);
    const object = { kind: 'ipset', place: 'ipset', name } as const;
    if (type !== KUBE_PROXY_SETS[setRole(name).role]) {
      kept.push({
        ...object,
        reason: `Its type is ${type}, which is not that of kube-proxy’s set.`,
      });
    } else if (user !== undefined) {
      kept.push({ ...object, reason: `A rule of others matches on it: ${user}` });
    } else {
      names.push(name);
      objects.push({ ...object, mode: 'ipvs', contents: count(elements.length, 'element') });
    }
  }
  return names;
}

/** A set of kube-proxy: its family and its IPv4 name. */
interface SetRole {
  readonly family: Family;
  readonly role: string;
}

const ROLES: ReadonlyMap<string, SetRole> = new Map<string, SetRole>(
  Object.keys(KUBE_PROXY_SETS).flatMap((role): readonly (readonly [string, SetRole])[] => [
    [role, { family: 'IPv4', role }],
    [ipv6SetName(role), { family: 'IPv6', role }],
  ]),
);

/** True for the names of kube-proxy's sets, of both families. */
export function isKubeProxySet(name: string): boolean {
  return ROLES.has(name);
}

function setRole(name: string): SetRole {
  return ROLES.get(name) ?? { family: 'IPv4', role: '' };
}
