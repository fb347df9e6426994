/** The error numbers that only ipset has, in words (ip_set.h, ip_set_hash.h, ip_set_bitmap.h). */
import { type KernelError, type KernelErrorCode, systemError } from '../errors.ts';

interface Words {
  readonly name: string;
  readonly text: string;
  readonly code?: KernelErrorCode;
  readonly advice?: string;
}

/** IPSET_ERR_PRIVATE: where numbers of ipset's own start. */
const PRIVATE = 4096;
/** IPSET_ERR_TYPE_SPECIFIC: where numbers start that mean something else in each kind of type. */
const TYPE_SPECIFIC = 4352;

/** enum ipset_errno, from IPSET_ERR_PROTOCOL. */
const GENERAL: readonly Words[] = [
  {
    name: 'PROTOCOL',
    text: 'a value that the set does not take, such as an address of another family',
  },
  {
    name: 'FIND_TYPE',
    text: 'this kernel does not have the set type',
    code: 'SY_KERNEL_UNSUPPORTED',
    advice: 'Load its module (modprobe ip_set_hash_ip and the like), or use a kernel that has it.',
  },
  { name: 'MAX_SETS', text: 'no more sets are possible' },
  {
    name: 'BUSY',
    text: 'a rule or another set refers to it',
    code: 'SY_KERNEL_BUSY',
    advice: 'Delete the rules that name it first.',
  },
  { name: 'EXIST_SETNAME2', text: 'a set of the new name exists', code: 'SY_KERNEL_EXISTS' },
  { name: 'TYPE_MISMATCH', text: 'the sets have different types' },
  { name: 'EXIST', text: 'the element is there already, or is not there' },
  { name: 'INVALID_CIDR', text: 'the prefix is out of range' },
  { name: 'INVALID_NETMASK', text: 'the netmask is out of range' },
  { name: 'INVALID_FAMILY', text: 'the set type does not have this address family' },
  { name: 'TIMEOUT', text: 'the set was made without timeouts' },
  {
    name: 'REFERENCED',
    text: 'a rule or another set refers to it',
    code: 'SY_KERNEL_BUSY',
    advice: 'Delete the rules that name it first.',
  },
  { name: 'IPADDR_IPV4', text: 'the set takes IPv4 addresses' },
  { name: 'IPADDR_IPV6', text: 'the set takes IPv6 addresses' },
  { name: 'COUNTER', text: 'the set was made without counters' },
  { name: 'COMMENT', text: 'the set was made without comments' },
  { name: 'INVALID_MARKMASK', text: 'the mark mask is invalid' },
  { name: 'SKBINFO', text: 'the set was made without skbinfo' },
];

/** enum of ip_set_hash.h. */
const HASH: readonly Words[] = [
  {
    name: 'HASH_FULL',
    text: 'the set is full',
    code: 'SY_KERNEL_SET_FULL',
    advice: 'Make the set again with a larger maxelem.',
  },
  { name: 'HASH_ELEM', text: 'an element of zeros cannot be stored' },
  { name: 'INVALID_PROTO', text: 'the set type does not have this protocol' },
  { name: 'MISSING_PROTO', text: 'the protocol is missing' },
  { name: 'HASH_RANGE_UNSUPPORTED', text: 'the set type has no ranges for IPv6' },
  { name: 'HASH_RANGE', text: 'the range is invalid' },
];

/** enum of ip_set_bitmap.h. */
const BITMAP: readonly Words[] = [
  { name: 'BITMAP_RANGE', text: "the element is out of the set's range" },
  { name: 'BITMAP_RANGE_SIZE', text: 'the range is larger than the set type can be' },
];

/**
 * Makes the error for what ipset refused.
 * @param doing What was tried, on what: `creating ipset web`.
 * @param errno Positive error number.
 * @param type The set's type, where it is known.
 */
export function ipsetError(
  doing: string,
  errno: number,
  extendedAck: string | undefined,
  type: string,
): KernelError {
  const specific = type.startsWith('bitmap:') ? BITMAP : HASH;
  const words =
    errno >= TYPE_SPECIFIC ? specific[errno - TYPE_SPECIFIC] : GENERAL[errno - PRIVATE - 1];
  if (words === undefined) return systemError(doing, errno, { extendedAck });
  const { name, text, code, advice } = words;
  return systemError(doing, errno, {
    extendedAck,
    why: `${text} (IPSET_ERR_${name})`,
    ...(code === undefined ? {} : { code }),
    ...(advice === undefined ? {} : { advice }),
  });
}
