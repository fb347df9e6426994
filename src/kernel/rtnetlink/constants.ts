/** Numbers of linux/rtnetlink.h, linux/if_addr.h and linux/if_link.h; the names are theirs. */

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
} as const;

export const RTMGRP = { LINK: 0x1, IPV4_IFADDR: 0x10, IPV6_IFADDR: 0x100 } as const;

/** struct ifaddrmsg: u8 family, u8 prefix length, u8 flags, u8 scope, u32 interface index. */
export const IFADDRMSG_LENGTH = 8;
/**
 * struct rtmsg: u8 family, u8 destination length, u8 source length, u8 tos, u8 table, u8 protocol, u8 scope,
 * u8 type, u32 flags.
 */
export const RTMSG_LENGTH = 12;
/** struct ifinfomsg: u8 family, u8 pad, u16 type, i32 interface index, u32 flags, u32 change. */
export const IFINFOMSG_LENGTH = 16;

export const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
export const IFLA = { IFNAME: 3, LINKINFO: 18 } as const;
export const IFLA_INFO_KIND = 1;
/** Longest interface name, its NUL included (linux/if.h). */
export const IFNAMSIZ = 16;

/** AF_INET and AF_INET6. */
export const AF = { INET: 2, INET6: 10 } as const;

/** Bits of an address's flags that say it cannot be used (yet). */
export const IFA_F = { DADFAILED: 0x08, TENTATIVE: 0x40 } as const;
/** Bits of a link's flags. */
export const IFF = { UP: 0x1, LOOPBACK: 0x8 } as const;

export const RTA = { DST: 1, OIF: 4, TABLE: 15 } as const;
export const RT_TABLE_LOCAL = 255;
export const RTN_LOCAL = 2;
export const RT_SCOPE_HOST = 254;
/** Who made a route; the kernel cares only about numbers below this one. */
export const RTPROT_STATIC = 4;
