/** Building blocks of rules: loading fields into registers, and the matches and ends that rules share. */
import { type Cidr, type Family, addressLength, packAddress } from '../../core/ip.ts';
import type { LocalTraffic } from '../../core/node.ts';
import type { Expression, Register } from '../../kernel/nftables/expressions.ts';
import { bytesOf, packNumber } from './keys.ts';

/** Protocols that Services have. */
export const PROTOCOLS = [
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132],
] as const;

/** IPS_DST_NAT and IPS_CONFIRMED, linux/netfilter/nf_conntrack_common.h, in the machine's order. */
const STATUS = { dnat: 0x20, confirmed: 0x8 } as const;

/** IP_CT_DIR_REPLY, linux/netfilter/nf_conntrack_tuple_common.h. */
const DIRECTION_REPLY = 1;

/** RTN_LOCAL, linux/rtnetlink.h. */
const ROUTE_TYPE_LOCAL = 2;

/** Register `base + offset`; the layouts below never leave the 16 registers there are. */
const REGISTERS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] as const;

function register(index: number): Register {
  const found = REGISTERS[index];
  if (found === undefined) throw new RangeError(`nf_tables has no register ${index}`);
  return found;
}

/** 32 bits in the machine's order. */
export function number(value: number): Uint8Array {
  return bytesOf(packNumber(value));
}

/** Loads packet fields one after another and remembers the next free register. */
export class Loader {
  readonly #family: Family;
  readonly #expressions: Expression[] = [];
  #next: number;

  constructor(family: Family, first = 0) {
    this.#family = family;
    this.#next = first;
  }

  get expressions(): readonly Expression[] {
    return this.#expressions;
  }

  get next(): Register {
    return register(this.#next);
  }

  address(of: 'saddr' | 'daddr'): this {
    const length = addressLength(this.#family);
    const first = this.#family === 'IPv4' ? 12 : 8;
    return this.#load(length, (to) => ({
      kind: 'payload',
      base: 'network',
      offset: of === 'saddr' ? first : first + length,
      length,
      to,
    }));
  }

  /** `daddr . l4proto . dport`, the frontend of a packet before translation. */
  frontend(): this {
    return this.address('daddr')
      .#load(4, (to) => ({ kind: 'meta', key: 'l4proto', to }))
      .#load(4, (to) => ({ kind: 'payload', base: 'transport', offset: 2, length: 2, to }));
  }

  ctAddress(of: 'src' | 'dst', direction: 'original' | 'reply'): this {
    const key = this.#family === 'IPv4' ? (`${of}-ip` as const) : (`${of}-ip6` as const);
    return this.#load(addressLength(this.#family), (to) => ({ kind: 'ct', key, direction, to }));
  }

  ctPort(of: 'src' | 'dst', direction: 'original' | 'reply'): this {
    return this.#load(4, (to) => ({ kind: 'ct', key: `proto-${of}`, direction, to }));
  }

  /** The same as {@link frontend} after translation, from conntrack. The protocol must be fixed before. */
  ctFrontend(): this {
    return this.ctAddress('dst', 'original')
      .#load(4, (to) => ({ kind: 'meta', key: 'l4proto', to }))
      .ctPort('dst', 'original');
  }

  slot(slots: number): this {
    return this.#load(4, (to) => ({ kind: 'numgen', to, modulus: slots }));
  }

  #load(bytes: number, expression: (to: Register) => Expression): this {
    this.#expressions.push(expression(this.next));
    this.#next += bytes / 4;
    return this;
  }
}

/** Sends to the `address . port` in the registers from 0. */
export function dnat(family: Family): Expression {
  return { kind: 'dnat', family, address: 0, port: register(addressLength(family) / 4) };
}

/** The packet is of this protocol. */
export function isProtocol(protocol: number): readonly Expression[] {
  return [
    { kind: 'meta', key: 'l4proto', to: 0 },
    { kind: 'cmp', op: 'eq', from: 0, value: Uint8Array.of(protocol) },
  ];
}

/** Goes to another chain, to come back or not. */
export function verdict(code: 'goto' | 'jump', chain: string): Expression {
  return { kind: 'verdict', verdict: { code, chain } };
}

/** The connection goes to an endpoint. */
export function isTranslated(): readonly Expression[] {
  return matchStatus('dnat', 'neq');
}

/** No packet of the connection left this node, or reached a process on it, before. */
export function isFirstPacket(): readonly Expression[] {
  return matchStatus('confirmed', 'eq');
}

function matchStatus(bit: keyof typeof STATUS, op: 'eq' | 'neq'): readonly Expression[] {
  return [
    { kind: 'ct', key: 'status', direction: undefined, to: 0 },
    { kind: 'bitwise', from: 0, to: 0, mask: number(STATUS[bit]), xor: number(0) },
    { kind: 'cmp', op, from: 0, value: number(0) },
  ];
}

/** The packet goes from the endpoint to the client. */
export function isAnswer(): readonly Expression[] {
  return [
    { kind: 'ct', key: 'direction', direction: undefined, to: 0 },
    { kind: 'cmp', op: 'eq', from: 0, value: Uint8Array.of(DIRECTION_REPLY) },
  ];
}

/** The packet was not sent by this node itself. */
export function isNotLooped(): readonly Expression[] {
  return matchInterface('neq', interfaceName('lo'));
}

/** The source is an address of this node. */
export function fromThisNode(): readonly Expression[] {
  return [
    { kind: 'fibType', of: 'saddr', to: 0 },
    { kind: 'cmp', op: 'eq', from: 0, value: number(ROUTE_TYPE_LOCAL) },
  ];
}

/** The packet comes from a pod of this node (`eq`), or does not (`neq`). */
export function matchLocal(local: LocalTraffic, op: 'eq' | 'neq'): readonly Expression[] {
  switch (local.kind) {
    case 'cidr':
      return matchCidr('saddr', local.cidr, op);
    case 'interface':
      return matchInterface(op, interfaceName(local.name));
    case 'interfacePrefix':
      // Compared only as far as the prefix goes; nft shows it as `cni*`.
      return matchInterface(op, Buffer.from(local.prefix, 'latin1'));
    default:
      return local satisfies never;
  }
}

/** The source or destination is in the range (`eq`), or is not (`neq`). */
export function matchCidr(
  of: 'saddr' | 'daddr',
  { family, address, prefix }: Cidr,
  op: 'eq' | 'neq',
): readonly Expression[] {
  const network = new Uint8Array(addressLength(family));
  packAddress(address, network, 0);
  const mask = network.map(
    (_, index) => 0xff << (8 - Math.min(8, Math.max(0, prefix - index * 8))),
  );
  return [
    ...new Loader(family).address(of).expressions,
    { kind: 'bitwise', from: 0, to: 0, mask, xor: new Uint8Array(network.length) },
    { kind: 'cmp', op, from: 0, value: network },
  ];
}

function matchInterface(op: 'eq' | 'neq', value: Uint8Array): readonly Expression[] {
  return [
    { kind: 'meta', key: 'iifname', to: 0 },
    { kind: 'cmp', op, from: 0, value },
  ];
}

/** IFNAMSIZ bytes, linux/if.h. */
function interfaceName(name: string): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.write(name, 0, 'latin1');
  return bytes;
}
