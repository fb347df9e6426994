/**
 * The order in which ipvsadm lists servers: ipvs_cmp_services() and ipvs_cmp_dests() of its libipvs.c, sorted by the
 * qsort() of glibc. They subtract unsigned numbers and take the difference for a signed one, so that 192.168.0.0 comes
 * before 10.0.0.0, and what comes first of three can depend on the sorting: hence no sort() of JavaScript here.
 */
import { type Address, addressLength, familyOf, packAddress } from '../../../core/ip.ts';
import {
  type RealAddress,
  type VirtualName,
  familyOfVirtual,
} from '../../../kernel/ipvs/servers.ts';
import { ADDRESS_FAMILY, IP_PROTOCOL } from '../../../kernel/netlink/inet.ts';

/** What is compared, one number after the other. */
type Key = readonly number[];

/** Virtual servers in the order of ipvsadm. */
export function sortVirtualServers<T extends { readonly name: VirtualName }>(
  servers: readonly T[],
): readonly T[] {
  return sortByKey(servers, ({ name }) => virtualKey(name));
}

/** Real servers in the order of ipvsadm. */
export function sortRealServers<T extends RealAddress>(servers: readonly T[]): readonly T[] {
  return sortByKey(servers, ({ address, port }) => [...addressWords(address), port]);
}

function virtualKey(name: VirtualName): Key {
  const family = ADDRESS_FAMILY[familyOfVirtual(name)];
  if ('mark' in name) return [name.mark, family];
  const { protocol, address, port } = name;
  return [0, family, IP_PROTOCOL[protocol], ...addressWords(address), port];
}

/** The address as four 32-bit numbers, of which IPv4 uses the first. */
function addressWords(address: Address): Key {
  const bytes = Buffer.alloc(16);
  packAddress(address, bytes, 0);
  const used = addressLength(familyOf(address));
  return [0, 4, 8, 12].map((at) => (at < used ? bytes.readUInt32BE(at) : 0));
}

function sortByKey<T>(items: readonly T[], keyOf: (item: T) => Key): readonly T[] {
  return mergeSort(items.map((item) => ({ item, key: keyOf(item) }))).map(({ item }) => item);
}

/** msort_with_tmp() of glibc. */
function mergeSort<T extends { readonly key: Key }>(items: readonly T[]): readonly T[] {
  if (items.length < 2) return items;
  const half = items.length >> 1;
  const left = mergeSort(items.slice(0, half));
  const right = mergeSort(items.slice(half));
  const merged: T[] = [];
  let [leftAt, rightAt] = [0, 0];
  for (;;) {
    const [first, second] = [left[leftAt], right[rightAt]];
    if (first === undefined || second === undefined) break;
    if (compare(first.key, second.key) <= 0) {
      merged.push(first);
      leftAt++;
    } else {
      merged.push(second);
      rightAt++;
    }
  }
  return [...merged, ...left.slice(leftAt), ...right.slice(rightAt)];
}

function compare(left: Key, right: Key): number {
  for (const [index, number] of left.entries()) {
    const difference = (number - (right[index] ?? 0)) | 0;
    if (difference !== 0) return difference;
  }
  return 0;
}
