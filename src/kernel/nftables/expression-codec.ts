/**
 * Writes expressions as attributes: enum nft_*_attributes of linux/netfilter/nf_tables.h, in the order in
 * which nft 1.0.6 sends them.
 */
import type { NetlinkWriter } from '../netlink/writer.ts';
import { NFTA_DATA, NFTA_LIST_ELEM, NFTA_VERDICT, NFPROTO, VERDICT_CODE } from './constants.ts';
import type { CtKey, Expression, MetaKey, Register, Verdict } from './expressions.ts';

const NFTA_EXPR = { NAME: 1, DATA: 2 } as const;
const NFTA_META = { DREG: 1, KEY: 2, SREG: 3 } as const;
const NFTA_PAYLOAD = { DREG: 1, BASE: 2, OFFSET: 3, LEN: 4 } as const;
const NFTA_CT = { DREG: 1, KEY: 2, DIRECTION: 3 } as const;
const NFTA_CMP = { SREG: 1, OP: 2, DATA: 3 } as const;
const NFTA_BITWISE = { SREG: 1, DREG: 2, LEN: 3, MASK: 4, XOR: 5 } as const;
const NFTA_IMMEDIATE = { DREG: 1, DATA: 2 } as const;
const NFTA_LOOKUP = { SET: 1, SREG: 2, DREG: 3, FLAGS: 5 } as const;
const NFTA_OBJREF = { SET_SREG: 3, SET_NAME: 4 } as const;
const NFTA_DYNSET = { SET_NAME: 1, OP: 3, SREG_KEY: 4, SREG_DATA: 5, TIMEOUT: 6 } as const;
const NFTA_NG = { DREG: 1, MODULUS: 2, TYPE: 3, OFFSET: 4 } as const;
const NFTA_FIB = { DREG: 1, RESULT: 2, FLAGS: 3 } as const;
const NFTA_NAT = { TYPE: 1, FAMILY: 2, REG_ADDR_MIN: 3, REG_PROTO_MIN: 5 } as const;
const NFTA_MASQ = { FLAGS: 1 } as const;
const NFTA_REJECT = { TYPE: 1, ICMP_CODE: 2 } as const;

const META_KEY: { readonly [Key in MetaKey]: number } = { priority: 2, iifname: 6, l4proto: 16 };
const CT_KEY: { readonly [Key in CtKey]: number } = {
  direction: 1,
  status: 2,
  'proto-src': 11,
  'proto-dst': 12,
  'src-ip': 19,
  'dst-ip': 20,
  'src-ip6': 21,
  'dst-ip6': 22,
};
/** enum ip_conntrack_dir. */
const CT_DIRECTION = { original: 0, reply: 1 } as const;
/** enum nft_payload_bases. */
const PAYLOAD_BASE = { network: 1, transport: 2 } as const;
/** enum nft_cmp_ops. */
const CMP_OP = { eq: 0, neq: 1 } as const;
/** NFT_REG_VERDICT. */
const REG_VERDICT = 0;
const NFT_LOOKUP_F_INV = 1;
const NFT_DYNSET_OP_UPDATE = 1;
const NFT_NG_RANDOM = 1;
/** NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_SADDR, NFTA_FIB_F_DADDR. */
const FIB_RESULT_ADDRTYPE = 3;
const FIB_FLAG = { saddr: 1, daddr: 2 } as const;
const NFT_NAT_DNAT = 1;
/** NF_NAT_RANGE_PROTO_RANDOM_FULLY (linux/netfilter/nf_nat.h). */
const RANDOM_FULLY = 0x10;
/** enum nft_reject_types. */
const REJECT_TYPE = { icmp: 0, tcpReset: 1 } as const;
/** ICMP_PORT_UNREACH (linux/icmp.h) and ICMPV6_PORT_UNREACH (linux/icmpv6.h). */
const PORT_UNREACHABLE = { [NFPROTO.IPv4]: 3, [NFPROTO.IPv6]: 4 };

/**
 * Writes one list element with an expression.
 * @param protocol NFPROTO_* of the table, on which the code of `reject` depends.
 */
export function writeExpression(
  writer: NetlinkWriter,
  protocol: number,
  expression: Expression,
): void {
  const element = writer.beginNested(NFTA_LIST_ELEM);
  writer.string(NFTA_EXPR.NAME, KERNEL_NAME[expression.kind]);
  const data = writer.beginNested(NFTA_EXPR.DATA);
  writeBody(writer, protocol, expression);
  writer.endNested(data);
  writer.endNested(element);
}

/** Names the kernel registers expressions under. */
const KERNEL_NAME: { readonly [Kind in Expression['kind']]: string } = {
  meta: 'meta',
  metaSet: 'meta',
  payload: 'payload',
  ct: 'ct',
  cmp: 'cmp',
  bitwise: 'bitwise',
  immediate: 'immediate',
  verdict: 'immediate',
  lookup: 'lookup',
  count: 'objref',
  update: 'dynset',
  numgen: 'numgen',
  fibType: 'fib',
  dnat: 'nat',
  masquerade: 'masq',
  reject: 'reject',
};

function writeBody(writer: NetlinkWriter, protocol: number, expression: Expression): void {
  switch (expression.kind) {
    case 'meta':
      writer.u32be(NFTA_META.KEY, META_KEY[expression.key]);
      writer.u32be(NFTA_META.DREG, register(expression.to));
      break;
    case 'metaSet':
      writer.u32be(NFTA_META.KEY, META_KEY[expression.key]);
      writer.u32be(NFTA_META.SREG, register(expression.from));
      break;
    case 'payload':
      writer.u32be(NFTA_PAYLOAD.DREG, register(expression.to));
      writer.u32be(NFTA_PAYLOAD.BASE, PAYLOAD_BASE[expression.base]);
      writer.u32be(NFTA_PAYLOAD.OFFSET, expression.offset);
      writer.u32be(NFTA_PAYLOAD.LEN, expression.length);
      break;
    case 'ct':
      writer.u32be(NFTA_CT.KEY, CT_KEY[expression.key]);
      writer.u32be(NFTA_CT.DREG, register(expression.to));
      if (expression.direction !== undefined) {
        writer.u8(NFTA_CT.DIRECTION, CT_DIRECTION[expression.direction]);
      }
      break;
    case 'cmp':
      writer.u32be(NFTA_CMP.SREG, register(expression.from));
      writer.u32be(NFTA_CMP.OP, CMP_OP[expression.op]);
      writeValue(writer, NFTA_CMP.DATA, expression.value);
      break;
    case 'bitwise':
      writer.u32be(NFTA_BITWISE.SREG, register(expression.from));
      writer.u32be(NFTA_BITWISE.DREG, register(expression.to));
      writer.u32be(NFTA_BITWISE.LEN, expression.mask.length);
      writeValue(writer, NFTA_BITWISE.MASK, expression.mask);
      writeValue(writer, NFTA_BITWISE.XOR, expression.xor);
      break;
    case 'immediate':
      writer.u32be(NFTA_IMMEDIATE.DREG, register(expression.to));
      writeValue(writer, NFTA_IMMEDIATE.DATA, expression.value);
      break;
    case 'verdict':
      writer.u32be(NFTA_IMMEDIATE.DREG, REG_VERDICT);
      writeVerdict(writer, NFTA_IMMEDIATE.DATA, expression.verdict);
      break;
    case 'lookup':
      writer.u32be(NFTA_LOOKUP.SREG, register(expression.from));
      if (expression.to !== undefined) {
        const target = expression.to === 'verdict' ? REG_VERDICT : register(expression.to);
        writer.u32be(NFTA_LOOKUP.DREG, target);
      }
      writer.string(NFTA_LOOKUP.SET, expression.set);
      if (expression.invert === true) writer.u32be(NFTA_LOOKUP.FLAGS, NFT_LOOKUP_F_INV);
      break;
    case 'count':
      writer.u32be(NFTA_OBJREF.SET_SREG, register(expression.from));
      // Like nft, without the NUL that other names end with.
      writer.bytes(NFTA_OBJREF.SET_NAME, Buffer.from(expression.map));
      break;
    case 'update':
      writer.u32be(NFTA_DYNSET.SREG_KEY, register(expression.key));
      if (expression.data !== undefined) {
        writer.u32be(NFTA_DYNSET.SREG_DATA, register(expression.data));
      }
      writer.u32be(NFTA_DYNSET.OP, NFT_DYNSET_OP_UPDATE);
      writer.u64be(NFTA_DYNSET.TIMEOUT, expression.timeoutMs);
      writer.string(NFTA_DYNSET.SET_NAME, expression.set);
      break;
    case 'numgen':
      writer.u32be(NFTA_NG.DREG, register(expression.to));
      writer.u32be(NFTA_NG.MODULUS, expression.modulus);
      writer.u32be(NFTA_NG.TYPE, NFT_NG_RANDOM);
      writer.u32be(NFTA_NG.OFFSET, 0);
      break;
    case 'fibType':
      writer.u32be(NFTA_FIB.FLAGS, FIB_FLAG[expression.of]);
      writer.u32be(NFTA_FIB.RESULT, FIB_RESULT_ADDRTYPE);
      writer.u32be(NFTA_FIB.DREG, register(expression.to));
      break;
    case 'dnat':
      writer.u32be(NFTA_NAT.TYPE, NFT_NAT_DNAT);
      writer.u32be(NFTA_NAT.FAMILY, NFPROTO[expression.family]);
      writer.u32be(NFTA_NAT.REG_ADDR_MIN, register(expression.address));
      writer.u32be(NFTA_NAT.REG_PROTO_MIN, register(expression.port));
      break;
    case 'masquerade':
      if (expression.fullyRandom) writer.u32be(NFTA_MASQ.FLAGS, RANDOM_FULLY);
      break;
    case 'reject':
      if (expression.with === 'tcp-reset') {
        writer.u32be(NFTA_REJECT.TYPE, REJECT_TYPE.tcpReset);
        writer.u8(NFTA_REJECT.ICMP_CODE, 0);
      } else {
        writer.u32be(NFTA_REJECT.TYPE, REJECT_TYPE.icmp);
        writer.u8(NFTA_REJECT.ICMP_CODE, PORT_UNREACHABLE[protocol] ?? 0);
      }
      break;
  }
}

/** struct nft_data with a value. */
function writeValue(writer: NetlinkWriter, type: number, value: Uint8Array): void {
  writer.nestedBytes(type, NFTA_DATA.VALUE, value);
}

/** struct nft_data with a verdict. */
export function writeVerdict(writer: NetlinkWriter, type: number, verdict: Verdict): void {
  const data = writer.beginNested(type);
  const inner = writer.beginNested(NFTA_DATA.VERDICT);
  writer.i32be(NFTA_VERDICT.CODE, VERDICT_CODE[verdict.code]);
  if ('chain' in verdict) writer.string(NFTA_VERDICT.CHAIN, verdict.chain);
  writer.endNested(inner);
  writer.endNested(data);
}

/**
 * Number of a 32-bit register. Those on a 16-byte boundary have two numbers; like nft and the kernel's own
 * listings this uses NFT_REG_1 to NFT_REG_4 for them, and NFT_REG32_00 + n (8 + n) for the others.
 */
function register(number: Register): number {
  return number % 4 === 0 ? 1 + number / 4 : 8 + number;
}
