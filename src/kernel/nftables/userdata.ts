/**
 * User data: what nft stores with kernel objects to list them as they were written. The kernel only keeps
 * the bytes. A sequence of (u8 type, u8 length, value); numbers inside are u32 in the machine's order.
 *
 * Types: enum nftnl_udata_*_types in include/libnftnl/udata.h of libnftnl. Expressions of `typeof`:
 * expr_*_build_udata() in src of nftables.
 */
import { badArgument } from '../errors.ts';
import { NFT_USERDATA_MAXLEN } from './constants.ts';
import {
  BYTEORDER,
  DATA_TYPES,
  type DataType,
  type SetDefinition,
  type TypeofField,
  dataFields,
} from './set-types.ts';

/**
 * Longest comment, in characters, the kernel has room for: user data without type, length and NUL.
 * nft 1.0.6 lists longer ones than it reads back, which is 128 (NFTNL_UDATA_COMMENT_MAXLEN).
 */
const MAX_COMMENT_LENGTH = NFT_USERDATA_MAXLEN - 3;

/** ASCII without control characters and without the quote that ends a comment. */
const PRINTABLE = /^[ !#-~]*$/;

/** NFTNL_UDATA_TABLE_COMMENT, NFTNL_UDATA_RULE_COMMENT, NFTNL_UDATA_SET_ELEM_COMMENT are all 0. */
export const UDATA_COMMENT = 0;

/** enum nftnl_udata_set_types. */
export const UDATA_SET = {
  KEYBYTEORDER: 0,
  DATABYTEORDER: 1,
  KEY_TYPEOF: 3,
  DATA_TYPEOF: 4,
  DATA_INTERVAL: 6,
  COMMENT: 7,
} as const;

/** enum nftnl_udata_set_typeof_types. */
const TYPEOF = { EXPR: 0, DATA: 1 } as const;
/** enum expr_types, include/expression.h of nftables. */
const EXPR = { payload: 7, meta: 9, concat: 13, numgen: 23 } as const;
/** enum proto_desc_id, include/proto.h of nftables. */
const PROTO_DESC = { th: 11, ip: 12, ip6: 13 } as const;

interface TypeofEntry {
  readonly expression: number;
  /** u32 values, by their position as type. */
  readonly values: readonly number[];
}

/** Payload: protocol description, header field. Meta: NFT_META_*. Numgen: type (random), modulus, offset. */
const FIELDS: { readonly [Field in TypeofField]: TypeofEntry } = {
  'ip saddr': { expression: EXPR.payload, values: [PROTO_DESC.ip, 11] },
  'ip daddr': { expression: EXPR.payload, values: [PROTO_DESC.ip, 12] },
  'ip6 saddr': { expression: EXPR.payload, values: [PROTO_DESC.ip6, 8] },
  'ip6 daddr': { expression: EXPR.payload, values: [PROTO_DESC.ip6, 9] },
  'th dport': { expression: EXPR.payload, values: [PROTO_DESC.th, 2] },
  'meta l4proto': { expression: EXPR.meta, values: [16] },
  'numgen random mod 1': { expression: EXPR.numgen, values: [1, 1, 0] },
};

/**
 * Comment of a table, rule or element, or, with another type, of a set.
 * @throws KernelError ARGUMENT: too long, or characters that nft could not write between quotes.
 */
export function commentUserdata(comment: string, type: number = UDATA_COMMENT): Buffer {
  if (comment.length > MAX_COMMENT_LENGTH) {
    throw badArgument(
      `comment of ${comment.length} characters; there is room for ${MAX_COMMENT_LENGTH}: ${comment}`,
    );
  }
  if (!PRINTABLE.test(comment)) {
    throw badArgument(
      `comment with a character other than plain ASCII: ${JSON.stringify(comment)}`,
    );
  }
  const bytes = Buffer.allocUnsafe(comment.length + 3);
  bytes[0] = type;
  bytes[1] = comment.length + 1;
  bytes.write(comment, 2, 'latin1');
  bytes[comment.length + 2] = 0;
  return bytes;
}

/** Everything nft keeps about a set's declaration (mnl_nft_set_add() in src/mnl.c of nftables). */
export function setUserdata(set: SetDefinition): Buffer {
  const fields = typeofFields(set);
  const data = dataFields(set);
  const bytes: number[] = [...u32Entry(UDATA_SET.KEYBYTEORDER, byteorder(set.key))];
  if (set.data !== undefined && set.data !== 'counter') {
    bytes.push(...u32Entry(UDATA_SET.DATABYTEORDER, byteorder(data)));
  }
  bytes.push(...typeEntry(UDATA_SET.KEY_TYPEOF, set.key, fields?.key));
  if (data !== undefined) bytes.push(...typeEntry(UDATA_SET.DATA_TYPEOF, data, fields?.data));
  if (set.data !== undefined) bytes.push(...u32Entry(UDATA_SET.DATA_INTERVAL, 0));
  if (set.comment !== undefined) bytes.push(...commentUserdata(set.comment, UDATA_SET.COMMENT));
  if (bytes.length > NFT_USERDATA_MAXLEN) {
    throw badArgument(
      `set ${set.name}: its types and comment take ${bytes.length} bytes where the kernel keeps ${NFT_USERDATA_MAXLEN}; shorten the comment`,
    );
  }
  return Buffer.from(bytes);
}

/** Finds the text of one type in user data. User data of other programs may be anything. */
export function findUserdataText(
  bytes: Buffer,
  start: number,
  end: number,
  type: number,
): string | undefined {
  for (let at = start; at + 2 <= end;) {
    const length = bytes.readUInt8(at + 1);
    const next = at + 2 + length;
    if (next > end) return undefined;
    if (bytes.readUInt8(at) === type) {
      const nul = bytes.indexOf(0, at + 2);
      return bytes.toString('utf8', at + 2, nul < 0 || nul > next ? next : nul);
    }
    at = next;
  }
  return undefined;
}

function u32Entry(type: number, value: number): number[] {
  return [type, 4, value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

function nestedEntry(type: number, inside: readonly number[]): number[] {
  if (inside.length > 0xff)
    throw badArgument('set user data with more than 255 bytes in one entry');
  return [type, inside.length, ...inside];
}

/** A concatenation has no byte order of its own. */
function byteorder(fields: readonly DataType[] | undefined): number {
  const [only] = fields ?? [];
  return only !== undefined && fields?.length === 1
    ? DATA_TYPES[only].byteorder
    : BYTEORDER.invalid;
}

/** What stands behind `typeof`, or `undefined` where the set is declared with `type`. */
function typeofFields(set: SetDefinition): SetDefinition['typeof'] {
  if (set.typeof !== undefined) {
    const data = dataFields(set) ?? [];
    if (
      set.typeof.key.length !== set.key.length ||
      (set.typeof.data ?? []).length !== data.length
    ) {
      throw badArgument(`set ${set.name}: typeof and types have different numbers of fields`);
    }
    return set.typeof;
  }
  if (!set.key.includes('numgen')) return undefined;
  const data = dataFields(set);
  const written = (field: DataType): TypeofField => {
    const entry = DATA_TYPES[field].typeof;
    if (entry === undefined) throw badArgument(`set ${set.name}: ${field} cannot go with numgen`);
    return entry;
  };
  return {
    key: set.key.map((field) => written(field)),
    ...(data === undefined ? {} : { data: data.map((field) => written(field)) }),
  };
}

/** The typeof entry: the expression, or for `type` with several fields an empty concatenation. */
function typeEntry(
  type: number,
  types: readonly DataType[],
  fields: readonly TypeofField[] | undefined,
): number[] {
  const [only] = fields ?? [];
  if (fields !== undefined && only !== undefined && fields.length === 1) {
    return nestedEntry(type, expression(only));
  }
  if (types.length === 1) return [];
  const parts = (fields ?? []).flatMap((field, index) => nestedEntry(index, expression(field)));
  return nestedEntry(type, [
    ...u32Entry(TYPEOF.EXPR, EXPR.concat),
    ...nestedEntry(TYPEOF.DATA, parts),
  ]);
}

function expression(field: TypeofField): number[] {
  const entry = FIELDS[field];
  return [
    ...u32Entry(TYPEOF.EXPR, entry.expression),
    ...nestedEntry(
      TYPEOF.DATA,
      entry.values.flatMap((value, index) => u32Entry(index, value)),
    ),
  ];
}
