/** Which addresses may stand where in an object, and why others may not. */
import {
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  parseAddress,
  parseCidr,
} from '../ip.ts';
import type { Address, Cidr } from '../ip.ts';
import { at, describe, list, report } from './fields.ts';
import type { Cursor } from './fields.ts';

/** Why an address that clients connect to cannot be served: it would take the node's own traffic. */
export function frontendFault(address: Address): string | undefined {
  if (isUnspecified(address)) return 'is the unspecified address';
  if (isLoopback(address)) return 'is a loopback address';
  if (isMulticast(address)) return 'is a multicast address';
  return undefined;
}

/** Why an address cannot be an endpoint (as the API server's validation of EndpointSlices has it). */
export function endpointFault(address: Address): string | undefined {
  return isLinkLocal(address) ? 'is a link-local address' : frontendFault(address);
}

/** Reads one address; a bad one is reported as the field `name` with what follows from it. */
export function readAddress(
  cursor: Cursor,
  name: string,
  value: unknown,
  fault: (address: Address) => string | undefined,
  effect: string,
): Address | undefined {
  const address = typeof value === 'string' ? parseAddress(value) : undefined;
  if (address === undefined) {
    report(cursor, name, `${describe(value)} is not an IPv4 or IPv6 address; ${effect}`);
    return undefined;
  }
  const reason = fault(address);
  if (reason === undefined) return address;
  report(cursor, name, `${address} ${reason}; ${effect}`);
  return undefined;
}

/** Reads a list of addresses to serve: bad ones are reported and left out, blank ones just left out. */
export function readFrontendAddresses(cursor: Cursor, key: string): readonly Address[] {
  const addresses: Address[] = [];
  list(cursor, key, 'no address of it is served').forEach((value, index) => {
    if (typeof value === 'string' && value.trim() === '') return;
    const trimmed = typeof value === 'string' ? value.trim() : value;
    const name = at(key, index);
    const address = readAddress(cursor, name, trimmed, frontendFault, 'it is not served');
    if (address !== undefined && !addresses.includes(address)) addresses.push(address);
  });
  return addresses;
}

/** Reads one CIDR; a bad one is reported as the field `name` with what follows from it. */
export function readCidr(
  cursor: Cursor,
  name: string,
  value: unknown,
  effect: string,
): Cidr | undefined {
  const cidr = typeof value === 'string' ? parseCidr(value.trim()) : undefined;
  if (cidr !== undefined) return cidr;
  report(cursor, name, `${describe(value)} is not a CIDR like 10.0.0.0/8; ${effect}`);
  return undefined;
}

/** Reads a list of CIDRs. Bad ones are reported and left out. */
export function readCidrs(cursor: Cursor, key: string, effect: string): readonly Cidr[] {
  const cidrs: Cidr[] = [];
  list(cursor, key, effect).forEach((value, index) => {
    const cidr = readCidr(cursor, at(key, index), value, effect);
    if (cidr !== undefined) cidrs.push(cidr);
  });
  return cidrs;
}
