/**
 * The nf_tables expressions this project uses, as data. Registers are the 32-bit ones, 0 to 15
 * (NFT_REG32_00 is sent as 8); `verdict` goes to NFT_REG_VERDICT. Byte strings are as in the packet
 * (network order) unless said otherwise. Names of fields follow linux/netfilter/nf_tables.h.
 */

/** NFT_REG32_00 + n, n = 0..15. */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15;

/** What becomes of a packet: `jump` comes back, `goto` does not. */
export type Verdict =
  | { readonly code: 'accept' | 'drop' | 'return' | 'continue' }
  | { readonly code: 'jump' | 'goto'; readonly chain: string };

/** NFT_META_*: l4proto 16, priority 2, iifname 6. */
export type MetaKey = 'l4proto' | 'priority' | 'iifname';

/** NFT_CT_*: direction 1 (original 0, reply 1), status 2, src 8, dst 9, proto-src 11, proto-dst 12, src_ip 19, dst_ip 20, src_ip6 21, dst_ip6 22. */
export type CtKey =
  'direction' | 'status' | 'proto-src' | 'proto-dst' | 'src-ip' | 'dst-ip' | 'src-ip6' | 'dst-ip6';

/** One step of a rule. A step that does not match ends the rule. */
export type Expression =
  | { readonly kind: 'meta'; readonly key: MetaKey; readonly to: Register }
  | { readonly kind: 'metaSet'; readonly key: 'priority'; readonly from: Register }
  | {
      readonly kind: 'payload';
      readonly base: 'network' | 'transport';
      readonly offset: number;
      readonly length: number;
      readonly to: Register;
    }
  | {
      readonly kind: 'ct';
      readonly key: CtKey;
      readonly direction: 'original' | 'reply' | undefined;
      readonly to: Register;
    }
  | {
      readonly kind: 'cmp';
      readonly op: 'eq' | 'neq';
      readonly from: Register;
      readonly value: Uint8Array;
    }
  | {
      readonly kind: 'bitwise';
      readonly from: Register;
      readonly to: Register;
      readonly mask: Uint8Array;
      readonly xor: Uint8Array;
    }
  | { readonly kind: 'immediate'; readonly to: Register; readonly value: Uint8Array }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  /** `to` absent: set membership; `to: 'verdict'`: verdict map; `invert`: match when absent. */
  | {
      readonly kind: 'lookup';
      readonly set: string;
      readonly from: Register;
      readonly to?: Register | 'verdict';
      readonly invert?: boolean;
    }
  /** Counts the packet in the counter that the map leads to, if any; the rule ends where there is none. */
  | { readonly kind: 'count'; readonly map: string; readonly from: Register }
  /** Adds or refreshes an element (NFT_DYNSET_OP_UPDATE). */
  | {
      readonly kind: 'update';
      readonly set: string;
      readonly key: Register;
      readonly data?: Register;
      readonly timeoutMs: number;
    }
  | { readonly kind: 'numgen'; readonly to: Register; readonly modulus: number }
  /** `saddr type local`, `daddr type local`: loads the RTN_* type of the address (RTN_LOCAL is 2). */
  | { readonly kind: 'fibType'; readonly of: 'saddr' | 'daddr'; readonly to: Register }
  | {
      readonly kind: 'dnat';
      readonly family: 'IPv4' | 'IPv6';
      readonly address: Register;
      readonly port: Register;
    }
  | { readonly kind: 'masquerade'; readonly fullyRandom: boolean }
  | { readonly kind: 'reject'; readonly with: 'tcp-reset' | 'port-unreachable' };
