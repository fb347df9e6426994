/** Reads from the kernel what a take-over is going to remove. */
import type { KernelIo } from '../../kernel/io.ts';
import type { ElementInfo, SetElement, SetInfo, SetType } from '../../kernel/ipset/sets.ts';
import { IpsetSocket } from '../../kernel/ipset/socket.ts';
import type { RealServer, RealServerInfo } from '../../kernel/ipvs/servers.ts';
import { IpvsSocket } from '../../kernel/ipvs/socket.ts';
import { KUBE_PROXY_SETS, KUBE_PROXY_TABLE } from '../cleanup/kube-proxy-names.ts';
import type { Leftovers, Removal } from '../cleanup/leftovers.ts';
import { listTable } from './nft-text.ts';
import { savedRules } from './saved-rules.ts';
import type { SavedObjects, SavedServer, SavedSet } from './undo-bundle.ts';

/**
 * Reads all of it. Rejects with a KernelError, and with a ToolError `SY_UNDO_BUNDLE` when nft fails.
 * @param removal - What is going to be removed of `leftovers`.
 */
export async function readObjects(
  { objects }: Leftovers,
  removal: Removal,
  io: KernelIo,
): Promise<SavedObjects> {
  const texts = await Promise.all(
    removal.tables.map(async (family) => ({
      family,
      text: await listTable(family, KUBE_PROXY_TABLE),
    })),
  );
  const tables = texts.flatMap(({ family, text }) => (text === undefined ? [] : { family, text }));
  return {
    objects,
    rules: removal.rules.map(savedRules),
    sets: readSets(removal, io),
    servers: readServers(removal, io),
    link: removal.link,
    addresses: removal.addresses,
    tables,
    unsaved:
      tables.length === texts.length
        ? []
        : ['The tables kube-proxy of nf_tables: nft, which reads them, is not installed.'],
  };
}

function readSets({ sets }: Removal, io: KernelIo): readonly SavedSet[] {
  if (sets.length === 0) return [];
  using ipset = IpsetSocket.open(io);
  return ipset
    .sets()
    .filter(({ name }) => sets.includes(name))
    .flatMap((info) => {
      const elements = ipset.elements(info.name).flatMap((element) => elementOf(element) ?? []);
      return savedSet(info, elements) ?? [];
    });
}

/** `undefined` for types that kube-proxy has not; a removal has none of them. */
function savedSet(info: SetInfo, elements: SavedSet['elements']): SavedSet | undefined {
  const { name, family = 'IPv4', timeout, counters, comments, marks } = info;
  const type = Object.values(KUBE_PROXY_SETS).find((each) => each === info.type);
  if (type === undefined) return undefined;
  const sizes =
    type === 'bitmap:port' ? {} : { maxElements: info.maxElements, hashSize: info.hashSize };
  const options = {
    counters,
    comments,
    marks,
    ...(timeout !== undefined && { timeout }),
    ...sizes,
  };
  return { definition: { name, type, family, ...options }, elements };
}

function elementOf(info: ElementInfo): SetElement<SetType> | undefined {
  const { ip, protocol, port, ip2, net2, except = false, timeout, comment, mark } = info;
  const extras = {
    ...(timeout !== undefined && { timeout }),
    ...(comment !== undefined && { comment }),
    ...(mark !== undefined && { mark }),
  };
  if (ip === undefined) return port === undefined ? undefined : { port, ...extras };
  if (protocol === undefined || port === undefined) return { ip, ...extras };
  const key = { ip, protocol, port, ...extras };
  if (ip2 !== undefined) return { ...key, ip2 };
  return net2 === undefined ? key : { ...key, net2, except };
}

function readServers({ servers }: Removal, io: KernelIo): readonly SavedServer[] {
  if (servers.length === 0) return [];
  using ipvs = IpvsSocket.open(io);
  return servers.flatMap((name) => {
    const info = ipvs.virtualServer(name);
    if (info === undefined) return [];
    const realServers = ipvs.realServers(name).map(realServerOf);
    return { name, scheduling: info.scheduling, realServers };
  });
}

/** Without its counters. */
function realServerOf(info: RealServerInfo): RealServer {
  const { address, port, forwarding, weight, upperThreshold, lowerThreshold } = info;
  return { address, port, forwarding, weight, upperThreshold, lowerThreshold };
}
