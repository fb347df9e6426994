/** Numbers of the netlink protocol itself: linux/netlink.h, linux/socket.h, asm-generic/socket.h. */

export const AF_NETLINK = 16;
/** SOCK_RAW | SOCK_CLOEXEC. */
export const SOCKET_TYPE = 0x80003;

/** Netlink protocols. */
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const NETLINK_GENERIC = 16;

export const SOL_SOCKET = 1;
/** Options of SOL_SOCKET. SO_RCVTIMEO is the old one (a timeval of two longs), valid on 64-bit machines. */
export const SO = { SNDBUF: 7, RCVBUF: 8, RCVTIMEO: 20, SNDBUFFORCE: 32, RCVBUFFORCE: 33 } as const;

export const SOL_NETLINK = 270;
/** Options of SOL_NETLINK. */
export const NETLINK_OPTION = { CAP_ACK: 10, EXT_ACK: 11, GET_STRICT_CHK: 12 } as const;

/** Flags of recv(2). */
export const MSG = { TRUNC: 0x20, DONTWAIT: 0x40 } as const;

/** struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port id. */
export const HEADER_LENGTH = 16;
/** struct nlattr: u16 length, u16 type. */
export const ATTRIBUTE_HEADER_LENGTH = 4;
/** Messages and attributes start on 4-byte boundaries. */
export function align4(length: number): number {
  return (length + 3) & ~3;
}

/** Message types below NLMSG_MIN_TYPE (16) belong to netlink itself. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, MIN_TYPE: 16 } as const;

export const NLM_F = {
  REQUEST: 0x1,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  /** NLM_F_ROOT | NLM_F_MATCH. */
  DUMP: 0x300,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  /** In an NLMSG_ERROR: the message that failed is not repeated behind its header. */
  CAPPED: 0x100,
  /** In an NLMSG_ERROR: attributes follow. */
  ACK_TLVS: 0x200,
} as const;

/** Flag in an attribute's type: it holds attributes. */
export const NLA_F_NESTED = 0x8000;
/** Flag in an attribute's type, which ipset insists on: its value is in network order. */
export const NLA_F_NET_BYTEORDER = 0x4000;
/** The attribute type without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
export const NLA_TYPE_MASK = 0x3fff;
/** Length is 16 bits wide. */
export const MAX_ATTRIBUTE_LENGTH = 0xffff;

/** Attributes of an NLMSG_ERROR (enum nlmsgerr_attrs). */
export const NLMSGERR_ATTR = { MSG: 1, OFFS: 2 } as const;
