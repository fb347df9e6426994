/** Numbers of linux/netfilter/nfnetlink_conntrack.h; the names are theirs. */

/** enum cntl_msg_types, under NFNL_SUBSYS_CTNETLINK (1). */
export const IPCTNL_MSG_CT = { NEW: 0x100, GET: 0x101, DELETE: 0x102 } as const;

export const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, ID: 12, ZONE: 18, FILTER: 25 } as const;
export const CTA_TUPLE = { IP: 1, PROTO: 2 } as const;
export const CTA_IP = { V4_SRC: 1, V4_DST: 2, V6_SRC: 3, V6_DST: 4 } as const;
export const CTA_PROTO = { NUM: 1, SRC_PORT: 2, DST_PORT: 3 } as const;

export const CTA_FILTER_ORIG_FLAGS = 1;
/** Which parts of the tuple a filter compares (enum ctnetlink_filter_flags of nf_conntrack_netlink.c). */
export const CTA_FILTER_F = { IP_DST: 2, PROTO_NUM: 8, PROTO_DST_PORT: 32 } as const;

export const IPPROTO_UDP = 17;
