/** Numbers of IP families and transport protocols: linux/socket.h, linux/in.h. */
import { type Address, type Family, familyOf, packAddress } from '../../core/ip.ts';
import type { Protocol } from '../../core/model.ts';

/** AF_INET and AF_INET6. */
export const ADDRESS_FAMILY: { readonly [F in Family]: number } = { IPv4: 2, IPv6: 10 };

/** IPPROTO_*. */
export const IP_PROTOCOL: { readonly [P in Protocol]: number } = { TCP: 6, UDP: 17, SCTP: 132 };

/** One each for all addresses: there are very many of them, and each is copied at once. */
const packed: { readonly [F in Family]: Uint8Array } = {
  IPv4: new Uint8Array(4),
  IPv6: new Uint8Array(16),
};

/** The bytes of an address in network order, valid until the next call. */
export function packedAddress(address: Address): Uint8Array {
  const bytes = packed[familyOf(address)];
  packAddress(address, bytes, 0);
  return bytes;
}

/** The family of an AF_* number; `undefined` for one that is not IP. */
export function familyOfNumber(number: number): Family | undefined {
  if (number === ADDRESS_FAMILY.IPv4) return 'IPv4';
  return number === ADDRESS_FAMILY.IPv6 ? 'IPv6' : undefined;
}

/** The protocol of an IPPROTO_* number; `undefined` for one that no Service port has. */
export function protocolOfNumber(number: number): Protocol | undefined {
  if (number === IP_PROTOCOL.TCP) return 'TCP';
  if (number === IP_PROTOCOL.UDP) return 'UDP';
  return number === IP_PROTOCOL.SCTP ? 'SCTP' : undefined;
}
