/** Addresses in the spellings that Go reads (k8s.io/utils/net, package net). */
import {
  type Address,
  type Cidr,
  familyOf,
  hostPort,
  parseAddress,
  parseCidr,
} from '../../core/ip.ts';

/** Where a server listens. */
export interface ListenAddress {
  readonly host: Address;
  readonly port: number;
}

/** Reads an address; leading zeros of IPv4 parts are decimal digits, as in Kubernetes (ParseIPSloppy). */
export function parseSloppyAddress(text: string): Address | undefined {
  return parseAddress(withoutZeros(text));
}

/** Reads a CIDR with the same leniency (ParseCIDRSloppy). */
export function parseSloppyCidr(text: string): Cidr | undefined {
  return parseCidr(withoutZeros(text));
}

function withoutZeros(text: string): string {
  return text.replaceAll(/(?<=^|\.)0+(?=\d+(?:\.|\/|$))/g, '');
}

/** Reads `1.2.3.4:80` or `[fd00::1]:80`, with a port from 1 to 65535. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const host = parseSloppyAddress(match?.[1] ?? match?.[2] ?? '');
  const port = Number(match?.[3]);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** Adds the port to a bare address. Everything else is returned as it is (AppendPortIfNeeded). */
export function withPort(text: string, port: number): string {
  const address = parseSloppyAddress(text);
  return address === undefined ? text : hostPort(address, port);
}

/** True for no CIDR, one, or one of each family. */
export function atMostOneOfEachFamily(cidrs: readonly Cidr[]): boolean {
  return new Set(cidrs.map(({ family }) => family)).size === cidrs.length;
}

/** True for an IPv6 address. */
export function isIPv6(text: string): boolean {
  const address = parseSloppyAddress(text);
  return address !== undefined && familyOf(address) === 'IPv6';
}
