/**
 * Element keys and data as the kernel holds them: every field of a concatenation starts on a 4-byte
 * boundary; addresses and ports are in network order, slot numbers and classids in the machine's order.
 * In memory they are kept as strings of one character a byte (latin1), which can be Map keys.
 */
import {
  type Address,
  type Cidr,
  type Family,
  addressLength,
  formatCidr,
  hostPort,
  packAddress,
  parseCidr,
  unpackAddress,
} from '../../core/ip.ts';
import type { Protocol } from '../../core/model.ts';

/** Bytes as a string, one character each. */
export type Packed = string;

/** IANA protocol numbers. */
const PROTOCOL_NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const satisfies Record<Protocol, number>;

const scratch = Buffer.alloc(64);

/** Like {@link bytesOf}, but the result is valid only until the next call. */
export function reusedBytes(): (packed: Packed) => Uint8Array {
  const buffers = new Map<number, Buffer>();
  return (packed) => {
    let buffer = buffers.get(packed.length);
    if (buffer === undefined) {
      buffer = Buffer.alloc(packed.length);
      buffers.set(packed.length, buffer);
    }
    buffer.write(packed, 0, 'latin1');
    return buffer;
  };
}

/** A {@link Packed} as the kernel wants it. */
export function bytesOf(packed: Packed): Uint8Array {
  return Buffer.from(packed, 'latin1');
}

/** `address . protocol . port`. */
export function packFrontend(address: Address, protocol: Protocol, port: number): Packed {
  const end = packAddress(address, scratch, 0);
  scratch.writeUInt32LE(PROTOCOL_NUMBERS[protocol], end);
  scratch.writeUInt16BE(port, end + 4);
  scratch.writeUInt16BE(0, end + 6);
  return scratch.toString('latin1', 0, end + 8);
}

/** `address . port`, the data of the endpoint maps. */
export function packDestination(address: Address, port: number): Packed {
  const end = packAddress(address, scratch, 0);
  scratch.writeUInt16BE(port, end);
  scratch.writeUInt16BE(0, end + 2);
  return scratch.toString('latin1', 0, end + 4);
}

/** One address. */
export function packPlainAddress(address: Address): Packed {
  return scratch.toString('latin1', 0, packAddress(address, scratch, 0));
}

/** A slot number or a classid. */
export function packNumber(value: number): Packed {
  scratch.writeUInt32LE(value, 0);
  return scratch.toString('latin1', 0, 4);
}

/** First and last address of a range. */
export function packRange(cidr: Cidr): { readonly first: Packed; readonly last: Packed } {
  const length = packAddress(cidr.address, scratch, 0);
  const first = scratch.toString('latin1', 0, length);
  for (let index = 0; index < length; index++) {
    const hostBits = 8 - Math.min(8, Math.max(0, cidr.prefix - index * 8));
    scratch[index] = (scratch[index] ?? 0) | (0xff >>> (8 - hostBits));
  }
  return { first, last: scratch.toString('latin1', 0, length) };
}

/** Length of a packed frontend. */
export function frontendLength(family: Family): number {
  return addressLength(family) + 8;
}

/** The opposite of {@link packNumber}. */
export function unpackNumber(packed: Packed): number {
  scratch.write(packed, 0, 'latin1');
  return scratch.readUInt32LE(0);
}

/** The opposite of {@link packFrontend}. */
export function unpackFrontend(
  packed: Packed,
  family: Family,
): { readonly address: Address; readonly protocol: string; readonly port: number } {
  const end = addressLength(family);
  scratch.write(packed, 0, 'latin1');
  const number = scratch[end] ?? 0;
  const name = Object.entries(PROTOCOL_NUMBERS).find(([, value]) => value === number)?.[0];
  return {
    address: unpackAddress(scratch, 0, family),
    protocol: name ?? String(number),
    port: scratch.readUInt16BE(end + 4),
  };
}

/** `ip:port` of {@link packDestination}. */
export function formatDestination(packed: Packed, family: Family): string {
  scratch.write(packed, 0, 'latin1');
  return hostPort(unpackAddress(scratch, 0, family), scratch.readUInt16BE(addressLength(family)));
}

/** Text of {@link packPlainAddress}. */
export function formatPlainAddress(packed: Packed, family: Family): string {
  scratch.write(packed, 0, 'latin1');
  return unpackAddress(scratch, 0, family);
}

/** `10.0.0.0/8` of {@link packRange}, or `first-last` where the range is no prefix. */
export function formatRange(first: Packed, last: Packed, family: Family): string {
  const from = formatPlainAddress(first, family);
  for (let prefix = 0; prefix <= addressLength(family) * 8; prefix++) {
    const cidr = parseCidr(`${from}/${prefix}`);
    if (cidr === undefined) break;
    const range = packRange(cidr);
    if (range.first === first && range.last === last) return formatCidr(cidr);
  }
  return `${from}-${formatPlainAddress(last, family)}`;
}
