/** What a set or map is declared with, and the numbers that follow from it. */
import { badArgument } from '../errors.ts';
import { NFT_DATA_VALUE_MAXLEN, NFT_DATA_VERDICT, NFT_SET } from './constants.ts';

/** Types of nft (`nft describe`). `numgen` is the untyped integer of `numgen random mod N`. */
export type DataType =
  'ipv4_addr' | 'ipv6_addr' | 'inet_proto' | 'inet_service' | 'mark' | 'classid' | 'numgen';

/** A `typeof` field as nft writes it. */
export type TypeofField =
  | 'ip saddr'
  | 'ip daddr'
  | 'ip6 saddr'
  | 'ip6 daddr'
  | 'meta l4proto'
  | 'th dport'
  | 'numgen random mod 1';

type SetFlag = 'interval' | 'dynamic' | 'timeout';

/** A set, or with `data` a map, to add. Elements of a map to counters name a counter each. */
export interface SetDefinition {
  readonly name: string;
  /** Fields of the key; more than one make a concatenation. */
  readonly key: readonly DataType[];
  /** Present for maps. */
  readonly data?: readonly DataType[] | 'verdict' | 'counter';
  /** `interval` needs a concatenation: elements then have a first and a last key. */
  readonly flags?: readonly SetFlag[];
  /** Most elements it can hold. */
  readonly size?: number;
  /** How long elements live unless they say otherwise. */
  readonly timeoutMs?: number;
  readonly comment?: string;
  /**
   * Lists the set with `typeof` instead of `type`, field by field. Left out, that is done when a field has
   * no type name (`numgen`), in terms of destination, protocol and destination port.
   */
  readonly typeof?: {
    readonly key: readonly TypeofField[];
    readonly data?: readonly TypeofField[];
  };
}

/** Byte orders of nft (enum byteorder, src/datatype.h of nftables), as set user data spells them. */
export const BYTEORDER = { invalid: 0, host: 1, bigEndian: 2 } as const;

interface TypeEntry {
  /** enum datatypes, include/datatype.h of nftables. */
  readonly id: number;
  /** Bytes of a value. */
  readonly length: number;
  readonly byteorder: number;
  /** How the field is written with `typeof`, where that can be. */
  readonly typeof?: TypeofField;
}

export const DATA_TYPES: { readonly [Name in DataType]: TypeEntry } = {
  numgen: { id: 4, length: 4, byteorder: BYTEORDER.host, typeof: 'numgen random mod 1' },
  ipv4_addr: { id: 7, length: 4, byteorder: BYTEORDER.bigEndian, typeof: 'ip daddr' },
  ipv6_addr: { id: 8, length: 16, byteorder: BYTEORDER.bigEndian, typeof: 'ip6 daddr' },
  inet_proto: { id: 12, length: 1, byteorder: BYTEORDER.invalid, typeof: 'meta l4proto' },
  inet_service: { id: 13, length: 2, byteorder: BYTEORDER.bigEndian, typeof: 'th dport' },
  mark: { id: 19, length: 4, byteorder: BYTEORDER.host },
  classid: { id: 23, length: 4, byteorder: BYTEORDER.host },
};

/** Bits nft gives to each type id of a concatenation (TYPE_BITS). */
const TYPE_BITS = 6;
/** Most fields a concatenation can have (NFT_REG32_COUNT). */
const MAX_FIELDS = 16;

/** The numbers the kernel keeps of a set's declaration. */
export interface SetShape {
  /** Mask of {@link NFT_SET}. */
  readonly flags: number;
  readonly keyType: number;
  /** Bytes. */
  readonly keyLength: number;
  /** 0 for sets and maps to counters. */
  readonly dataType: number;
  /** Bytes; 0 for sets and maps to verdicts or counters. */
  readonly dataLength: number;
}

/** Numeric type of a field or a concatenation, as nft writes and reads it; the kernel does not look at it. */
function typeId(fields: readonly DataType[]): number {
  return fields.reduce((id, field) => ((id << TYPE_BITS) | DATA_TYPES[field].id) >>> 0, 0);
}

/** Bytes of a field or a concatenation; each field of a concatenation takes a multiple of 4. */
function byteLength(fields: readonly DataType[]): number {
  const [only] = fields;
  if (only !== undefined && fields.length === 1) return DATA_TYPES[only].length;
  return fields.reduce((sum, field) => sum + ((DATA_TYPES[field].length + 3) & ~3), 0);
}

/** @throws KernelError ARGUMENT: a declaration the kernel or nft could not handle. */
export function setShape(set: SetDefinition): SetShape {
  const data = dataFields(set);
  checkFields(set, set.key, 'key');
  if (data !== undefined) checkFields(set, data, 'data');
  const flags = set.flags ?? [];
  const interval = flags.includes('interval');
  if (interval && set.key.length === 1) {
    throw badArgument(`set ${set.name}: interval sets with a single field are not supported`);
  }
  return {
    flags:
      (interval ? NFT_SET.INTERVAL | NFT_SET.CONCAT : 0) |
      (flags.includes('dynamic') ? NFT_SET.EVAL : 0) |
      (flags.includes('timeout') || set.timeoutMs !== undefined ? NFT_SET.TIMEOUT : 0) |
      mapFlag(set.data),
    keyType: typeId(set.key),
    keyLength: byteLength(set.key),
    dataType: set.data === 'verdict' ? NFT_DATA_VERDICT : typeId(data ?? []),
    dataLength: byteLength(data ?? []),
  };
}

/** Fields of the values of a map; `undefined` for sets and for maps to verdicts or counters. */
export function dataFields({ data }: SetDefinition): readonly DataType[] | undefined {
  return data === 'verdict' || data === 'counter' ? undefined : data;
}

function mapFlag(data: SetDefinition['data']): number {
  if (data === undefined) return 0;
  return data === 'counter' ? NFT_SET.OBJECT : NFT_SET.MAP;
}

function checkFields(set: SetDefinition, fields: readonly DataType[], what: string): void {
  if (
    fields.length === 0 ||
    fields.length > MAX_FIELDS ||
    byteLength(fields) > NFT_DATA_VALUE_MAXLEN
  ) {
    throw badArgument(`set ${set.name}: ${what} must have 1 to ${NFT_DATA_VALUE_MAXLEN} bytes`);
  }
}
