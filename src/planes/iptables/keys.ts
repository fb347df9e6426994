/**
 * Keys of the trees: a frontend, or an address, as a text whose every character is one step down. Addresses and ports
 * are hexadecimal digits, and between them stands the protocol: `0a600001t0050` is TCP port 80 of 10.96.0.1.
 */
import {
  type Address,
  type Family,
  addressLength,
  packAddress,
  unpackAddress,
} from '../../core/ip.ts';
import type { Protocol } from '../../core/model.ts';
import { treeChain } from './schema.ts';

const LETTERS = { TCP: 't', UDP: 'u', SCTP: 's' } as const satisfies Record<Protocol, string>;
const PROTOCOLS: Readonly<Record<string, string>> = { t: 'tcp', u: 'udp', s: 'sctp' };
const PORT_DIGITS = 4;

const bytes = new Uint8Array(16);

/** Key of an address. */
export function addressKey(address: Address): string {
  return Buffer.from(bytes.subarray(0, packAddress(address, bytes, 0))).toString('hex');
}

/** Key of a frontend. */
export function frontendKey(address: Address, protocol: Protocol, port: number): string {
  return `${addressKey(address)}${LETTERS[protocol]}${hex(port)}`;
}

/** Matches exactly one destination, in iptables' spelling; `comment` goes where iptables puts it. */
export function matchFrontend(
  address: Address,
  protocol: Protocol,
  port: number,
  comment: string,
): string {
  const name = protocol.toLowerCase();
  return `-d ${single(address)} -p ${name} -m comment --comment "${comment}" -m ${name} --dport ${port}`;
}

/** An address as a range. */
export function single(address: Address): string {
  return address.includes(':') ? `${address}/128` : `${address}/32`;
}

/** Matches all destinations whose keys begin so. */
export function matchPrefix(family: Family, prefix: string): string {
  const { range, letter, from, to } = read(family, prefix);
  const name = PROTOCOLS[letter];
  if (name === undefined) return `-d ${range}`;
  return from === undefined
    ? `-d ${range} -p ${name}`
    : `-d ${range} -p ${name} -m ${name} --dport ${from}:${to}`;
}

/** Chain for all destinations whose keys begin so: `SWY-S-10.96.16.0/20`, `SWY-S-10.1.0.1:t7f`. */
export function prefixChain(family: Family, tree: string, prefix: string): string {
  const { range, letter, digits } = read(family, prefix);
  if (letter === '') return treeChain(tree, range);
  return treeChain(tree, `${range.slice(0, range.indexOf('/'))}:${letter}${digits}`);
}

interface Prefix {
  readonly range: string;
  /** Of the protocol; empty while the address is not complete. */
  readonly letter: string;
  readonly digits: string;
  /** First and last port; `undefined` for all. */
  readonly from: number | undefined;
  readonly to: number | undefined;
}

function read(family: Family, prefix: string): Prefix {
  const length = addressLength(family);
  const address = prefix.slice(0, length * 2);
  const packed = Buffer.from(address.padEnd(length * 2, '0'), 'hex');
  const digits = prefix.slice(length * 2 + 1);
  return {
    range: `${unpackAddress(packed, 0, family)}/${address.length * 4}`,
    letter: prefix.slice(length * 2, length * 2 + 1),
    digits,
    from: digits === '' ? undefined : Number.parseInt(digits.padEnd(PORT_DIGITS, '0'), 16),
    to: digits === '' ? undefined : Number.parseInt(digits.padEnd(PORT_DIGITS, 'f'), 16),
  };
}

function hex(port: number): string {
  return port.toString(16).padStart(PORT_DIGITS, '0');
}
