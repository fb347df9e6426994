/** Numbers of linux/netfilter/nf_tables.h and linux/netfilter/nfnetlink.h; the names are theirs. */
import type { Family } from '../../core/ip.ts';

/** NFPROTO_IPV4 and NFPROTO_IPV6 (linux/netfilter.h). */
export const NFPROTO: { readonly [F in Family]: number } = { IPv4: 2, IPv6: 10 };

/** nft's names of the families, for messages. */
export const FAMILY_NAME: { readonly [F in Family]: 'ip' | 'ip6' } = { IPv4: 'ip', IPv6: 'ip6' };

/** enum nf_tables_msg_types, under NFNL_SUBSYS_NFTABLES. */
const message = (number: number): number => (10 << 8) | number;
export const NFT_MSG = {
  NEWTABLE: message(0),
  GETTABLE: message(1),
  DELTABLE: message(2),
  NEWCHAIN: message(3),
  GETCHAIN: message(4),
  DELCHAIN: message(5),
  NEWRULE: message(6),
  GETRULE: message(7),
  DELRULE: message(8),
  NEWSET: message(9),
  GETSET: message(10),
  DELSET: message(11),
  NEWSETELEM: message(12),
  GETSETELEM: message(13),
  DELSETELEM: message(14),
  NEWGEN: message(15),
  GETGEN: message(16),
  NEWOBJ: message(18),
  GETOBJ: message(19),
  DELOBJ: message(20),
} as const;

/** Batch messages of nfnetlink; the resource id is the subsystem. */
export const NFNL_MSG_BATCH = { BEGIN: 0x10, END: 0x11 } as const;
export const NFNL_SUBSYS_NFTABLES = 10;
export const NFNL_BATCH_GENID = 1;

export const NFTA_LIST_ELEM = 1;
export const NFTA_GEN_ID = 1;

export const NFTA_TABLE = { NAME: 1, FLAGS: 2, HANDLE: 4, USERDATA: 6 } as const;

export const NFTA_CHAIN = {
  TABLE: 1,
  HANDLE: 2,
  NAME: 3,
  HOOK: 4,
  POLICY: 5,
  TYPE: 7,
  USERDATA: 12,
} as const;
export const NFTA_HOOK = { HOOKNUM: 1, PRIORITY: 2 } as const;
/** NF_INET_* (linux/netfilter.h). */
export const NF_INET = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

export const NFTA_RULE = { TABLE: 1, CHAIN: 2, HANDLE: 3, EXPRESSIONS: 4, USERDATA: 7 } as const;

export const NFTA_SET = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  DESC: 9,
  ID: 10,
  TIMEOUT: 11,
  USERDATA: 13,
  OBJ_TYPE: 15,
  COUNT: 20,
} as const;
export const NFTA_SET_DESC = { SIZE: 1, CONCAT: 2 } as const;
export const NFTA_SET_FIELD_LEN = 1;
/** enum nft_set_flags. EVAL is what nft calls `dynamic`. */
export const NFT_SET = {
  INTERVAL: 0x4,
  MAP: 0x8,
  TIMEOUT: 0x10,
  EVAL: 0x20,
  OBJECT: 0x40,
  CONCAT: 0x80,
} as const;
/** NFT_DATA_VERDICT: the data type of verdict maps. */
export const NFT_DATA_VERDICT = 0xffff_ff00;

export const NFTA_SET_ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
export const NFTA_SET_ELEM = {
  KEY: 1,
  DATA: 2,
  TIMEOUT: 4,
  EXPIRATION: 5,
  USERDATA: 6,
  OBJREF: 9,
  KEY_END: 10,
} as const;
export const NFTA_DATA = { VALUE: 1, VERDICT: 2 } as const;
export const NFTA_VERDICT = { CODE: 1, CHAIN: 2 } as const;
/** enum nft_verdicts, and NF_DROP and NF_ACCEPT of linux/netfilter.h. */
export const VERDICT_CODE = {
  drop: 0,
  accept: 1,
  continue: -1,
  jump: -3,
  goto: -4,
  return: -5,
} as const;

export const NFTA_OBJ = { TABLE: 1, NAME: 2, TYPE: 3, DATA: 4 } as const;
/** NFT_OBJECT_COUNTER. */
export const NFT_OBJECT_COUNTER = 1;
export const NFTA_COUNTER = { BYTES: 1, PACKETS: 2 } as const;

/** Longest key or value (NFT_DATA_VALUE_MAXLEN). */
export const NFT_DATA_VALUE_MAXLEN = 64;
/** Most bytes of user data on one object (NFT_USERDATA_MAXLEN). */
export const NFT_USERDATA_MAXLEN = 256;
/** Longest object name, its NUL included (NFT_NAME_MAXLEN). */
export const NFT_NAME_MAXLEN = 256;
