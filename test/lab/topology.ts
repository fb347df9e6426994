/**
 * The lab's network: a star with the node under test in the middle, dual stack.
 *
 *     client 192.0.2.2, .3 -- eth1 [          ] eth0 -- peer 10.1.0.2, with pod-c, pod-d and the crowd
 *     pod-a  10.244.1.10 -- cnia.. [   node   ]
 *     pod-b  10.244.1.11 -- cnib.. [          ]
 *
 * Everybody's default route is the node, and the node's default route is the peer, which does not forward: a packet
 * to an address that nobody serves vanishes there.
 */
import type { Family } from '../../src/core/ip.ts';

/** Namespaces of the lab. `peer` holds the pods of another node as extra addresses. */
export const hostNames = ['node', 'client', 'pod-a', 'pod-b', 'peer'] as const;
export type HostName = (typeof hostNames)[number];

/** One text per family. */
export type PerFamily = { readonly [F in Family]: string };

export interface Server {
  /** Namespace it runs in. */
  readonly host: HostName;
  /** Node name in the cluster. */
  readonly nodeName: string;
  readonly address: PerFamily;
}

/** Name of the node under test and of the other node in Kubernetes objects. */
export const nodeName = 'node-1';
export const otherNodeName = 'node-2';

/** Echo servers by name. `host-net` is a pod in the node's own network. */
export const servers = {
  'pod-a': {
    host: 'pod-a',
    nodeName,
    address: { IPv4: '10.244.1.10', IPv6: 'fd00:244:1::10' },
  },
  'pod-b': {
    host: 'pod-b',
    nodeName,
    address: { IPv4: '10.244.1.11', IPv6: 'fd00:244:1::11' },
  },
  'pod-c': {
    host: 'peer',
    nodeName: otherNodeName,
    address: { IPv4: '10.244.2.10', IPv6: 'fd00:244:2::10' },
  },
  'pod-d': {
    host: 'peer',
    nodeName: otherNodeName,
    address: { IPv4: '10.244.2.11', IPv6: 'fd00:244:2::11' },
  },
  'host-net': {
    host: 'node',
    nodeName,
    address: { IPv4: '10.1.0.1', IPv6: 'fd00:1::1' },
  },
} as const satisfies Record<string, Server>;
export type ServerName = keyof typeof servers;
export const serverNames: readonly ServerName[] = ['pod-a', 'pod-b', 'pod-c', 'pod-d', 'host-net'];

/** Ports every echo server listens on, TCP and UDP. */
export const serverPorts: readonly number[] = [8080, 8081];

/** The client's own addresses; it counts as two clients. */
export const clientAddress: PerFamily = { IPv4: '192.0.2.2', IPv6: '2001:db8:2::2' };
export const otherClientAddress: PerFamily = { IPv4: '192.0.2.3', IPv6: '2001:db8:2::3' };

/** The node's address in the cluster, and one it has besides. */
export const nodeAddress: PerFamily = { IPv4: '10.1.0.1', IPv6: 'fd00:1::1' };
export const nodeSecondAddress: PerFamily = { IPv4: '192.0.2.1', IPv6: '2001:db8:2::1' };

/** Addresses of all pods of the cluster. */
export const clusterCidr: PerFamily = { IPv4: '10.244.0.0/16', IPv6: 'fd00:244::/32' };

/** Start of the names of the node's interfaces to its own pods. */
export const podInterfacePrefix = 'cni';
/** The node's interfaces to pods `pod-a` and `pod-b`. */
export const podInterfaces = { 'pod-a': 'cnia1f0', 'pod-b': 'cnib2f0' } as const;

/** Port on which every address of the crowd answers, TCP only. */
export const crowdPort = 7000;

/** Address number `index` (from 0, below 4000) of the crowd: endpoints behind the peer that all answer. */
export function crowdAddress(family: Family, index: number): string {
  const number = index + 1;
  return family === 'IPv4'
    ? `10.244.${128 + Math.floor(number / 256)}.${number % 256}`
    : `fd00:244:8000::${number.toString(16)}`;
}

/** Every address of a host's own, both families. */
export const hostAddresses: { readonly [H in HostName]: readonly string[] } = {
  node: [nodeAddress, nodeSecondAddress].flatMap(bothFamilies),
  client: [clientAddress, otherClientAddress].flatMap(bothFamilies),
  'pod-a': bothFamilies(servers['pod-a'].address),
  'pod-b': bothFamilies(servers['pod-b'].address),
  peer: ['10.1.0.2', 'fd00:1::2'],
};

function bothFamilies({ IPv4, IPv6 }: PerFamily): readonly string[] {
  return [IPv4, IPv6];
}

const podMac = { 'pod-a': '02:00:00:00:01:0a', 'pod-b': '02:00:00:00:01:0b' } as const;

/** `ip -batch` lines that make the namespaces and the links between them. `name` gives a host's namespace name. */
export function linkCommands(name: (host: HostName) => string): readonly string[] {
  const node = name('node');
  return [
    ...hostNames.map((host) => `netns add ${name(host)}`),
    `link add eth0 netns ${node} type veth peer name eth0 netns ${name('peer')}`,
    `link add eth1 netns ${node} type veth peer name eth0 netns ${name('client')}`,
    ...(['pod-a', 'pod-b'] as const).map(
      (pod) =>
        `link add ${podInterfaces[pod]} address ${podMac[pod]} netns ${node} type veth peer name eth0 netns ${name(pod)}`,
    ),
  ];
}

function up(link: string, linkLocal: string): readonly string[] {
  // A link-local address of our own instead of a generated one: no duplicate address detection to wait for.
  return [
    `link set ${link} addrgenmode none`,
    `link set ${link} up`,
    `addr add ${linkLocal}/64 dev ${link} nodad`,
  ];
}

function podCommands(pod: 'pod-a' | 'pod-b'): readonly string[] {
  const { address } = servers[pod];
  return [
    'link set lo up',
    ...up('eth0', 'fe80::2'),
    `addr add ${address.IPv4}/32 dev eth0`,
    `addr add ${address.IPv6}/128 dev eth0 nodad`,
    // As routed pod networks do it: the IPv4 gateway exists only as a neighbour entry.
    `neigh add 169.254.1.1 lladdr ${podMac[pod]} dev eth0 nud permanent`,
    'route add default via 169.254.1.1 dev eth0 onlink',
    'route add default via fe80::1 dev eth0',
  ];
}

function peerAddresses(): readonly string[] {
  return [servers['pod-c'], servers['pod-d']].flatMap(({ address }) => [
    `addr add ${address.IPv4}/32 dev lo`,
    `addr add ${address.IPv6}/128 dev lo nodad`,
  ]);
}

/** `ip -batch` lines to run inside each host, with its interfaces, addresses and routes. */
export const hostCommands: { readonly [H in HostName]: readonly string[] } = {
  node: [
    'link set lo up',
    ...['eth0', 'eth1', ...Object.values(podInterfaces)].flatMap((link) => up(link, 'fe80::1')),
    `addr add ${nodeAddress.IPv4}/24 dev eth0`,
    `addr add ${nodeAddress.IPv6}/64 dev eth0 nodad`,
    `addr add ${nodeSecondAddress.IPv4}/24 dev eth1`,
    `addr add ${nodeSecondAddress.IPv6}/64 dev eth1 nodad`,
    ...(['pod-a', 'pod-b'] as const).flatMap((pod) => [
      `route add ${servers[pod].address.IPv4}/32 dev ${podInterfaces[pod]}`,
      `route add ${servers[pod].address.IPv6}/128 dev ${podInterfaces[pod]}`,
    ]),
    'route add default via 10.1.0.2',
    'route add default via fd00:1::2',
  ],
  client: [
    'link set lo up',
    ...up('eth0', 'fe80::2'),
    ...[clientAddress, otherClientAddress].flatMap((address) => [
      `addr add ${address.IPv4}/24 dev eth0`,
      `addr add ${address.IPv6}/64 dev eth0 nodad`,
    ]),
    `route add default via ${nodeSecondAddress.IPv4} src ${clientAddress.IPv4}`,
    `route add default via ${nodeSecondAddress.IPv6} src ${clientAddress.IPv6}`,
  ],
  'pod-a': podCommands('pod-a'),
  'pod-b': podCommands('pod-b'),
  peer: [
    'link set lo up',
    ...up('eth0', 'fe80::2'),
    'addr add 10.1.0.2/24 dev eth0',
    'addr add fd00:1::2/64 dev eth0 nodad',
    ...peerAddresses(),
    'route add local 10.244.128.0/20 dev lo',
    'route add local fd00:244:8000::/64 dev lo',
    `route add default via ${nodeAddress.IPv4}`,
    `route add default via ${nodeAddress.IPv6}`,
  ],
};

/** Kernel settings of the node, path below /proc/sys/net and value. */
export const nodeSysctls: readonly (readonly [string, string])[] = [
  ['ipv4/ip_forward', '1'],
  ['ipv6/conf/all/forwarding', '1'],
  ['ipv4/conf/all/send_redirects', '0'],
  ['ipv4/conf/default/send_redirects', '0'],
  // The suite is refused more often in a second than the kernel would send ICMP errors for.
  ['ipv4/icmp_ratemask', '0'],
  ['ipv4/icmp_msgs_per_sec', '1000000'],
  ['ipv4/icmp_msgs_burst', '1000000'],
  ['ipv6/icmp/ratelimit', '0'],
];
