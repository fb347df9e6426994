/** Which of the node's addresses stand for the node, which serve node ports, and where their health checks listen. */
import {
  cidrContains,
  familyOf,
  isLinkLocal,
  isLoopback,
  isUnspecified,
  parseAddress,
} from './ip.ts';
import type { Address, Cidr, Family } from './ip.ts';
import type { NodeObject } from './model.ts';

const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/**
 * The node's own address of each family, at most two, the primary family first: the first address of the
 * Node and the first one of the other family. A bind address that is not `0.0.0.0` or `::` takes the
 * place of the one of its family and makes that family primary. A family of which nothing is known is
 * left out.
 */
export function primaryAddresses(
  node: NodeObject | undefined,
  bindAddress?: Address,
): readonly Address[] {
  const isBound = bindAddress !== undefined && !isUnspecified(bindAddress);
  const known = [...(isBound ? [bindAddress] : []), ...(node?.addresses ?? [])];
  const primary = known[0];
  if (primary === undefined) return [];
  const secondary = known.find((address) => familyOf(address) !== familyOf(primary));
  return secondary === undefined ? [primary] : [primary, secondary];
}

/**
 * The addresses on which node ports are served, sorted and distinct.
 *
 * With CIDRs: in each family the interface addresses that one of its CIDRs contains; a family without a
 * CIDR takes all of them. With `primary`: the primary addresses that an interface holds; a family whose
 * primary address is unknown serves no node ports, where kube-proxy would open them on every address.
 * IPv6 link-local addresses never serve.
 *
 * @param primary - As {@link primaryAddresses} gives them.
 * @param interfaceAddresses - What the node's interfaces hold now.
 * @param localhost - IPv4 loopback addresses serve, too, as {@link servesLocalhost} says; others never do.
 */
export function resolveNodePortAddresses(
  setting: 'primary' | readonly Cidr[],
  primary: readonly Address[],
  interfaceAddresses: readonly Address[],
  localhost = false,
): readonly Address[] {
  const eligible = interfaceAddresses.filter((address) =>
    isLoopback(address) ? localhost && familyOf(address) === 'IPv4' : !needsScope(address),
  );
  const found =
    setting === 'primary'
      ? eligible.filter((address) => primary.includes(address))
      : FAMILIES.flatMap((family) => matching(setting, family, eligible));
  return [...new Set(found)].toSorted();
}

/**
 * Whether node ports of a family are served on all addresses there are: no CIDR of the family is named, or
 * one that contains all.
 */
export function servesEverywhere(setting: 'primary' | readonly Cidr[], family: Family): boolean {
  if (setting === 'primary') return false;
  const own = setting.filter((cidr) => cidr.family === family);
  return own.length === 0 || own.some(({ prefix }) => prefix === 0);
}

/** Whether node ports are meant for 127.0.0.1, too, where a data plane can serve them there. */
export function servesLocalhost(setting: 'primary' | readonly Cidr[]): boolean {
  if (setting === 'primary') return false;
  const localhost = parseAddress('127.0.0.1');
  return (
    servesEverywhere(setting, 'IPv4') ||
    setting.some((cidr) => localhost !== undefined && cidrContains(cidr, localhost))
  );
}

/**
 * Where the health-check node ports of a family listen: on `any` address, or on those that node ports are
 * meant for, sorted and distinct. Unlike node ports they answer on loopback, too, where a CIDR names it.
 *
 * Parameters are those of {@link resolveNodePortAddresses}.
 */
export function healthCheckAddresses(
  setting: 'primary' | readonly Cidr[],
  family: Family,
  primary: readonly Address[],
  interfaceAddresses: readonly Address[],
): 'any' | readonly Address[] {
  if (servesEverywhere(setting, family)) return 'any';
  if (setting === 'primary') {
    const served = resolveNodePortAddresses(setting, primary, interfaceAddresses);
    return served.filter((address) => familyOf(address) === family);
  }
  const found = matching(setting, family, interfaceAddresses);
  return [...new Set(found.filter((address) => !needsScope(address)))].toSorted();
}

/** IPv6 link-local addresses mean something on one interface only: one cannot listen on them by address alone. */
function needsScope(address: Address): boolean {
  return familyOf(address) === 'IPv6' && isLinkLocal(address);
}

function matching(
  cidrs: readonly Cidr[],
  family: Family,
  addresses: readonly Address[],
): readonly Address[] {
  const own = cidrs.filter((cidr) => cidr.family === family);
  const ofFamily = addresses.filter((address) => familyOf(address) === family);
  if (own.length === 0) return ofFamily;
  return ofFamily.filter((address) => own.some((cidr) => cidrContains(cidr, address)));
}
