/** Reading what is in the kernel; what it lacks holds nothing. */
import { type Family, isLinkLocal, isLoopback } from '../../core/ip.ts';
import { isKernelError } from '../../kernel/errors.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { IpsetSocket } from '../../kernel/ipset/socket.ts';
import type { VirtualName } from '../../kernel/ipvs/servers.ts';
import { IpvsSocket } from '../../kernel/ipvs/socket.ts';
import { NftSocket } from '../../kernel/nftables/socket.ts';
import { RouteSocket } from '../../kernel/rtnetlink/socket.ts';
import { LINK } from '../../planes/ipvs/schema.ts';
import { type Leftover, count } from './leftovers.ts';
import { FAMILIES } from './machine.ts';

/** A table of nf_tables with what is in it. */
interface FoundTable {
  readonly family: Family;
  readonly objects: readonly Leftover[];
}

/** The tables of a name, at most one a family. */
export function findTables(io: KernelIo, name: string): readonly FoundTable[] {
  const socket = NftSocket.open(io);
  try {
    socket.generation();
    return FAMILIES.flatMap((family) => {
      if (!socket.tables(family).some((table) => table.name === name)) return [];
      return [{ family, objects: describeTable(socket, family, name) }];
    });
  } catch (error) {
    if (isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) return [];
    throw error;
  } finally {
    socket.close();
  }
}

function describeTable(socket: NftSocket, family: Family, name: string): readonly Leftover[] {
  const mode = 'nftables';
  const place = `nf_tables ${family === 'IPv4' ? 'ip' : 'ip6'}`;
  const inside = `${place} ${name}`;
  const rules = Map.groupBy(socket.rules(family, name), ({ chain }) => chain);
  // Those without a name of their own are parts of rules.
  const sets = socket.sets(family, name).filter((set) => !/^__(?:set|map)\d+$/.test(set.name));
  return [
    { mode, kind: 'table', place, name, contents: '' },
    ...sets.map((set): Leftover => {
      const contents = set.count === undefined ? '' : count(set.count, 'element');
      return { mode, kind: 'set', place: inside, name: set.name, contents };
    }),
    ...socket.chains(family, name).map((chain): Leftover => {
      const contents = count(rules.get(chain.name)?.length ?? 0, 'rule');
      return { mode, kind: 'chain', place: inside, name: chain.name, contents };
    }),
  ];
}

/** Every virtual server. */
export async function readServers(io: KernelIo): Promise<readonly VirtualName[]> {
  try {
    using ipvs = IpvsSocket.open(io);
    return (await ipvs.virtualServers()).map(({ name }) => name);
  } catch (error) {
    if (isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) return [];
    throw error;
  }
}

/** Opens the sets; `undefined` where the kernel has no ipset. */
export function openIpset(io: KernelIo): IpsetSocket | undefined {
  const ipset = IpsetSocket.open(io);
  try {
    ipset.protocol();
    return ipset;
  } catch (error) {
    ipset.close();
    if (isKernelError(error, 'SY_KERNEL_UNSUPPORTED')) return undefined;
    throw error;
  }
}

/** Addresses by which the node can be reached, but for those of Services. */
export function readNodeAddresses(io: KernelIo): ReadonlySet<string> {
  const socket = RouteSocket.open(io);
  try {
    const addresses = socket
      .listAddresses()
      .filter(
        ({ address, interfaceName }) =>
          interfaceName !== LINK && !isLoopback(address) && !isLinkLocal(address),
      );
    return new Set(addresses.map(({ address }) => address));
  } finally {
    socket.close();
  }
}
