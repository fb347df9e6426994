/**
 * Names and types of everything the nftables plane keeps in the kernel: one table a family, a fixed list
 * of sets and maps, and a fixed list of chains plus one chain for each number of endpoints in use.
 */
import type { Family } from '../../core/ip.ts';
import type { DataType, SetDefinition } from '../../kernel/nftables/batch.ts';

/** The table, in families ip and ip6. */
export const TABLE = 'switchyard';

/** Sets and maps that exist in every table. What each one holds is said in {@link setDefinitions}. */
export const SETS = {
  serviceIps: 'service-ips',
  endpoints: 'endpoints',
  insideIps: 'inside-ips',
  insideEndpoints: 'inside-endpoints',
  localIps: 'local-ips',
  clusterIps: 'cluster-ips',
  masqueradeIps: 'masquerade-ips',
  restrictedIps: 'restricted-ips',
  allowedSources: 'allowed-sources',
  hairpin: 'hairpin',
  affinity: 'affinity',
  pick: 'pick',
  pickInside: 'pick-inside',
  countersConnections: 'counters-connections',
  countersIn: 'counters-in',
  countersOut: 'counters-out',
} as const;

/** What is counted: connections, and packets with their bytes from clients and from endpoints. */
export type CounterKind = 'connections' | 'in' | 'out';

/** From frontends to their counters of each kind. */
export const COUNTER_MAPS = [
  ['connections', SETS.countersConnections],
  ['in', SETS.countersIn],
  ['out', SETS.countersOut],
] as const satisfies readonly (readonly [CounterKind, string])[];

/** Chains of fixed name, in every table but for those that count; rules.ts says what each is for. */
export const CHAINS = {
  prerouting: 'nat-prerouting',
  output: 'nat-output',
  input: 'nat-input',
  postrouting: 'nat-postrouting',
  services: 'services',
  inside: 'inside',
  insideService: 'inside-service',
  refuse: 'refuse',
  masquerading: 'masquerading',
  remember: 'remember',
  countPostrouting: 'count-postrouting',
  countInput: 'count-input',
  count: 'count',
  countOut: 'count-out',
  countConnections: 'count-connections',
} as const;

/** Values of the service maps besides a number of slots: refuse, or stay silent. */
export const REFUSE = 0;
/** See {@link REFUSE}. */
export const DROP = 0x1_0000;
/** Most slots (endpoints times weight) one frontend can have: the value is the minor part of a classid. */
export const MAX_SLOTS = 0xffff;

/** Clients remembered for session affinity, over all Services of a family. */
const AFFINITY_SIZE = 1_048_576;

const PICK_PREFIX = 'pick-';
const PICK_INSIDE_PREFIX = 'inside-';

/** The two ways to choose an endpoint: for everybody, and for this node's own traffic under a Local policy. */
export type PickKind = 'outside' | 'inside';

/** Name of the chain that picks one of `slots` endpoints at random. */
export function pickChain(kind: PickKind, slots: number): string {
  return `${kind === 'outside' ? PICK_PREFIX : PICK_INSIDE_PREFIX}${slots}`;
}

/** The opposite of {@link pickChain}; `undefined` for any other chain. */
export function parsePickChain(name: string): { kind: PickKind; slots: number } | undefined {
  const match = /^(?<prefix>pick-|inside-)(?<slots>[1-9]\d*)$/.exec(name);
  if (match?.groups === undefined) return undefined;
  const { prefix, slots } = match.groups;
  return { kind: prefix === PICK_PREFIX ? 'outside' : 'inside', slots: Number(slots) };
}

/** Set of the frontends with session affinity of this many seconds, and their endpoints. */
export function stickySet(seconds: number): string {
  return `sticky-${seconds}s`;
}

/** The opposite of {@link stickySet}; `undefined` for any other set. */
export function parseStickySet(name: string): number | undefined {
  const match = /^sticky-([1-9]\d*)s$/.exec(name);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

function addressType(family: Family): DataType {
  return family === 'IPv4' ? 'ipv4_addr' : 'ipv6_addr';
}

/** `address . protocol . port`, the key of everything that belongs to one frontend. */
function frontendTypes(family: Family): readonly DataType[] {
  return [addressType(family), 'inet_proto', 'inet_service'];
}

/** Where clients may be remembered for one affinity timeout. */
export function stickySetDefinition(family: Family, seconds: number): SetDefinition {
  return {
    name: stickySet(seconds),
    key: [...frontendTypes(family), addressType(family), 'inet_service'],
    comment: `frontend . endpoint at which clients are remembered for ${seconds} s`,
  };
}

const COUNTER_COMMENTS = {
  connections: 'its connections',
  in: 'what clients sent',
  out: 'what endpoints answered',
} as const satisfies Record<CounterKind, string>;

/** Every set and map of a family's table, apart from the sticky sets, which come and go. */
export function setDefinitions(family: Family): readonly SetDefinition[] {
  const address = addressType(family);
  const frontend = frontendTypes(family);
  const destination: readonly DataType[] = [address, 'inet_service'];
  return [
    {
      name: SETS.serviceIps,
      key: frontend,
      data: ['classid'],
      comment: 'frontend : number of endpoints; none = refuse, 1:0 = drop',
    },
    {
      name: SETS.endpoints,
      key: [...frontend, 'numgen'],
      data: destination,
      comment: 'frontend . slot : endpoint',
    },
    {
      name: SETS.localIps,
      key: frontend,
      comment: 'external frontends with traffic policy Local',
    },
    {
      name: SETS.insideIps,
      key: frontend,
      data: ['classid'],
      comment: 'the same as service-ips for traffic from this node and its pods',
    },
    {
      name: SETS.insideEndpoints,
      key: [...frontend, 'numgen'],
      data: destination,
      comment: 'the same as endpoints for traffic from this node and its pods',
    },
    { name: SETS.clusterIps, key: [address], comment: 'every cluster IP' },
    {
      name: SETS.masqueradeIps,
      key: frontend,
      comment: 'external frontends whose clients are masqueraded',
    },
    {
      name: SETS.restrictedIps,
      key: frontend,
      comment: 'load-balancer frontends with source ranges',
    },
    {
      name: SETS.allowedSources,
      key: [...frontend, address],
      flags: ['interval'],
      comment: 'who may use the restricted ones',
    },
    {
      name: SETS.hairpin,
      key: [address, address],
      comment: 'endpoints of this node that may be their own clients',
    },
    {
      name: SETS.affinity,
      key: [address, ...frontend],
      data: destination,
      flags: ['dynamic', 'timeout'],
      size: AFFINITY_SIZE,
      comment: 'client . frontend : endpoint',
    },
    { name: SETS.pick, key: ['classid'], data: 'verdict' },
    { name: SETS.pickInside, key: ['classid'], data: 'verdict' },
    ...COUNTER_MAPS.map(([kind, name]): SetDefinition => ({
      name,
      key: frontend,
      data: 'counter',
      comment: `counted frontend : ${COUNTER_COMMENTS[kind]}`,
    })),
  ];
}
