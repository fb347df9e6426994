/** Sets of ipset and their elements as values. */
import type { Address, Cidr, Family } from '../../core/ip.ts';
import type { Protocol } from '../../core/model.ts';

/** A port of a transport protocol. */
interface TransportPort {
  readonly protocol: Protocol;
  readonly port: number;
}

/** Networks of which one may be an exception from the others. */
interface MaybeExcept {
  /** `nomatch`: addresses in it do not match, though a larger network of the set holds them. */
  readonly except?: boolean;
}

/** All addresses from `ip` to `ipTo`; IPv4 only. The kernel keeps them as networks. */
interface AddressRange {
  readonly ip: Address;
  readonly ipTo: Address;
}

/**
 * What tells the elements of a set apart, by the type of the set. Addresses are of the set's family. No
 * network may have the prefix 0: two halves say the same.
 */
export interface ElementKeys {
  readonly 'hash:ip': { readonly ip: Address };
  readonly 'hash:net': ({ readonly net: Cidr } | AddressRange) & MaybeExcept;
  readonly 'hash:ip,port': { readonly ip: Address } & TransportPort;
  readonly 'hash:ip,port,ip': { readonly ip: Address; readonly ip2: Address } & TransportPort;
  readonly 'hash:ip,port,net': { readonly ip: Address; readonly net2: Cidr } & TransportPort &
    MaybeExcept;
  readonly 'hash:net,net': { readonly net: Cidr; readonly net2: Cidr } & MaybeExcept;
  readonly 'bitmap:port': { readonly port: number };
}

/** The set types that can be made here. */
export type SetType = keyof ElementKeys;

/** What an element may have besides, where its set was made for it. */
export interface ElementExtras {
  /** Seconds until it goes away, 0: never. Without it that of the set. */
  readonly timeout?: number;
  /** At most 255 bytes. */
  readonly comment?: string;
  /** What the target `SET --map-set … --map-mark` of iptables makes the whole mark of matching packets. */
  readonly mark?: number;
}

/** An element to add. */
export type SetElement<T extends SetType> = ElementKeys[T] & ElementExtras;

/** A set, as far as its elements are concerned. */
export interface SetName<T extends SetType = SetType> {
  /** At most 31 bytes. */
  readonly name: string;
  readonly type: T;
}

/** A set to make. */
export interface SetDefinition<T extends SetType = SetType> extends SetName<T> {
  /** Of no meaning to `bitmap:port`, which holds all ports. */
  readonly family: Family;
  /** Elements have a timeout, of so many seconds where they do not say; 0: none unless they say. */
  readonly timeout?: number;
  /** Elements count packets and bytes. */
  readonly counters?: boolean;
  /** Elements can have a comment. */
  readonly comments?: boolean;
  /** Elements can have a packet mark (`skbinfo`). */
  readonly marks?: boolean;
  /** Hash types: most elements, 65,536 without it. */
  readonly maxElements?: number;
  /** Hash types: buckets at first, 1,024 without it; they become more as needed. */
  readonly hashSize?: number;
}

/** A set as the kernel tells it. Others than those made here have a type that this code cannot add to. */
export interface SetInfo {
  readonly name: string;
  readonly type: string;
  /** `undefined` for types without addresses. */
  readonly family: Family | undefined;
  /** Which variant of the type (`ipset list` calls it so). */
  readonly revision: number;
  readonly timeout: number | undefined;
  readonly counters: boolean;
  readonly comments: boolean;
  readonly marks: boolean;
  /** 0 for types that are not hashes. */
  readonly maxElements: number;
  readonly hashSize: number;
  readonly elementCount: number;
  /** How many rules and sets refer to it. */
  readonly references: number;
  /** Bytes. */
  readonly memory: number;
}

/** An element as the kernel tells it: those of `ip` … `port` that the type of its set has. */
export interface ElementInfo {
  /** Of an address as well as of a network, which then has a prefix. */
  readonly ip?: Address;
  readonly net?: Cidr;
  readonly protocol?: Protocol;
  readonly port?: number;
  readonly ip2?: Address;
  readonly net2?: Cidr;
  readonly except?: boolean;
  /** Seconds left. */
  readonly timeout?: number;
  readonly comment?: string;
  readonly mark?: number;
  readonly packets?: number;
  readonly bytes?: number;
}
