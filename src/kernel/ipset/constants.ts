/** Numbers of linux/netfilter/ipset/ip_set.h; the names are theirs. */

/** Kernels since 3.x speak 6, later ones (4.20) 7 as well; nothing here needs 7. */
export const IPSET_PROTOCOL = 6;
/** Longest set name, its NUL included (IPSET_MAXNAMELEN). */
export const IPSET_MAXNAMELEN = 32;
export const IPSET_MAX_COMMENT_SIZE = 255;

/** enum ipset_cmd, under NFNL_SUBSYS_IPSET (6). */
export const IPSET_CMD = {
  PROTOCOL: 0x601,
  CREATE: 0x602,
  DESTROY: 0x603,
  FLUSH: 0x604,
  RENAME: 0x605,
  SWAP: 0x606,
  LIST: 0x607,
  ADD: 0x609,
  DEL: 0x60a,
} as const;

/** Attributes at command level. */
export const IPSET_ATTR = {
  PROTOCOL: 1,
  SETNAME: 2,
  TYPENAME: 3,
  SETNAME2: 3,
  REVISION: 4,
  FAMILY: 5,
  FLAGS: 6,
  DATA: 7,
  ADT: 8,
  PROTOCOL_MIN: 10,
} as const;

/** Attributes of what creates a set and of elements. */
export const IPSET_CADT = {
  IP: 1,
  IP_TO: 2,
  CIDR: 3,
  PORT: 4,
  PORT_TO: 5,
  TIMEOUT: 6,
  PROTO: 7,
  CADT_FLAGS: 8,
} as const;

/** Attributes of sets only. */
export const IPSET_CREATE = {
  HASHSIZE: 18,
  MAXELEM: 19,
  ELEMENTS: 24,
  REFERENCES: 25,
  MEMSIZE: 26,
} as const;

/** Attributes of elements only. */
export const IPSET_ADT = {
  IP2: 20,
  CIDR2: 21,
  BYTES: 24,
  PACKETS: 25,
  COMMENT: 26,
  SKBMARK: 27,
} as const;

export const IPSET_IPADDR = { IPV4: 1, IPV6: 2 } as const;

/** enum ipset_cmd_flags. */
export const IPSET_FLAG_LIST_HEADER = 0x4;

/** enum ipset_cadt_flags. */
export const IPSET_CADT_FLAG = {
  NOMATCH: 0x4,
  WITH_COUNTERS: 0x8,
  WITH_COMMENT: 0x10,
  WITH_SKBINFO: 0x40,
} as const;
