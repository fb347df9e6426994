/** Finding what a proxy left. Nothing is changed. */
import { MODES, type PlaneMode } from '../../agent/config/option.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { LinkSocket } from '../../kernel/rtnetlink/links.ts';
import { namedServers, readEntries, readLinkContents } from '../../planes/ipvs/read.ts';
import { LINK } from '../../planes/ipvs/schema.ts';
import {
  type IpvsFacts,
  type IpvsPlan,
  type KubeSet,
  isKubeProxySet,
  planIpvs,
} from './ipvs-plan.ts';
import { KUBE_PROXY_TABLE, type RuleMode } from './kube-proxy-names.ts';
import type { Kept, Leftover, Leftovers, Owner, RuleRemoval } from './leftovers.ts';
import { type CleanupMachine, FAMILIES, readTables, toolName, unseenRules } from './machine.ts';
import { findOurs } from './ours.ts';
import { findTables, openIpset, readNodeAddresses, readServers } from './read.ts';
import { planRules } from './rule-plan.ts';

const NOTHING: IpvsPlan = {
  objects: [],
  kept: [],
  servers: [],
  addresses: [],
  link: false,
  sets: [],
};

/**
 * Finds what an owner left in the kernel.
 * @param modes Only what these modes of it made.
 * @throws KernelError PERMISSION; CALL when a tool fails.
 */
export async function findLeftovers(
  owner: Owner,
  machine: CleanupMachine,
  modes: readonly PlaneMode[] = MODES,
): Promise<Leftovers> {
  const unseen = unseenRules(machine, modes);
  if (owner === 'switchyard') {
    const objects = await findOurs(machine, modes);
    return { owner, modes, objects, kept: [], unseen, removal: undefined };
  }
  const ruleModes = new Set(modes.filter((mode) => mode !== 'nftables'));
  const rules = await findRules(machine, ruleModes);
  const ipvs = ruleModes.has('ipvs')
    ? planIpvs(await readIpvs(machine.io, rules.setUsers))
    : NOTHING;
  const tables = modes.includes('nftables') ? findTables(machine.io, KUBE_PROXY_TABLE) : [];
  const { servers, addresses, link, sets } = ipvs;
  return {
    owner,
    modes,
    objects: [...rules.objects, ...ipvs.objects, ...tables.flatMap(({ objects }) => objects)],
    kept: [...rules.kept, ...ipvs.kept],
    unseen,
    removal: {
      rules: rules.removals,
      servers,
      addresses,
      link,
      sets,
      tables: tables.map(({ family }) => family),
    },
  };
}

/** What is to be done in every variant and family. */
interface FoundRules {
  readonly objects: readonly Leftover[];
  readonly kept: readonly Kept[];
  readonly removals: readonly RuleRemoval[];
  readonly setUsers: ReadonlyMap<string, string>;
}

async function findRules(
  { iptables }: CleanupMachine,
  modes: ReadonlySet<RuleMode>,
): Promise<FoundRules> {
  const objects: Leftover[] = [];
  const kept: Kept[] = [];
  const removals: RuleRemoval[] = [];
  const setUsers = new Map<string, string>();
  for (const family of modes.size === 0 ? [] : FAMILIES) {
    for (const tool of iptables) {
      const found = await readTables(family, tool);
      const plan = planRules(found, modes, toolName(family, tool));
      objects.push(...plan.objects);
      kept.push(...plan.kept);
      for (const [set, rule] of plan.setUsers) setUsers.set(set, rule);
      const { variant } = tool.tools;
      const { batches } = plan;
      if (batches.length > 0) removals.push({ variant, family, batches, found });
    }
  }
  return { objects, kept, removals, setUsers };
}

async function readIpvs(io: KernelIo, setUsers: ReadonlyMap<string, string>): Promise<IpvsFacts> {
  using ipset = openIpset(io);
  const sets = ipset?.sets() ?? [];
  const names = new Set(sets.map(({ name }) => name));
  const ours = ipset ? FAMILIES.flatMap((family) => readEntries(ipset, family, names)) : [];
  const kube = sets
    .filter(({ name }) => isKubeProxySet(name))
    .map((info): KubeSet => ({ info, elements: ipset?.elements(info.name) ?? [] }));
  using links = LinkSocket.open(io);
  const link = links.link(LINK);
  const contents = link && readLinkContents(links, link, ours);
  return {
    sets: kube,
    setUsers,
    link: link &&
      contents && {
        isDummy: link.kind === 'dummy',
        addresses: contents.others,
        isOurs: contents.ours.length > 0 || ours.length > 0,
      },
    servers: await readServers(io),
    nodeAddresses: readNodeAddresses(io),
    ourServers: namedServers(ours),
  };
}
