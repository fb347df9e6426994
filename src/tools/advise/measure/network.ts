/**
 * The network that is measured in: a client and a backend, and between them a node for each thing to measure, each in a network
 * namespace. Only to be built where everything is private (measure.ts), for nothing here is removed.
 *
 *     client 198.18.N.2 -- 198.18.N.1 node N 198.19.N.1 -- 198.19.N.2 backend (has the addresses of endpoints)
 *
 * Addresses of Services and endpoints are whatever a user's are, so every node gets all of them, and the client chooses the node
 * by the link. 198.18.0.0/15 is for measurements (RFC 2544).
 */
import { execFileSync } from 'node:child_process';
import type { Cidr } from '../../../core/ip.ts';
import { parseCidr } from '../../../core/ip.ts';

/** Names of the namespaces beside `node0`, `node1`, …. */
export const CLIENT = 'client';
export const BACKEND = 'backend';

/** Name of a node's namespace; the client has a link of this name to it. */
export function nodeName(node: number): string {
  return `node${node}`;
}

/** Address of a node on the client's side. */
export function nodeAddress(node: number): string {
  return `198.18.${node}.1`;
}

/** The range of the client's addresses: its traffic is to count as that of pods. */
export function clientRange(): Cidr {
  const range = parseCidr('198.18.0.0/16');
  if (range === undefined) throw new RangeError('it is no CIDR');
  return range;
}

/** Makes the namespaces. `endpoints` are the addresses that the backend is to have. Throws with the output of `ip`. */
export function buildNetwork(nodes: number, endpoints: Iterable<string>): void {
  const all = Array.from({ length: nodes }, (_, node) => node);
  // A private folder for names, and a private lock of iptables.
  run('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  run('mkdir', ['/run/netns']);
  ip(
    [],
    [CLIENT, BACKEND, ...all.map(nodeName)].map((name) => `netns add ${name}`),
  );
  ip([], all.flatMap(links));
  ip(['-n', CLIENT], ['link set lo up', ...all.flatMap(clientCommands)]);
  ip(
    ['-n', BACKEND],
    [
      'link set lo up',
      ...all.flatMap(backendCommands),
      ...Array.from(new Set(endpoints), (address) => `route replace local ${address} dev lo`),
    ],
  );
  for (const node of all) ip(['-n', nodeName(node)], nodeCommands(node));
  for (const name of [CLIENT, BACKEND, ...all.map(nodeName)]) run('ip', inNamespace(name, SYSCTLS));
}

/** Makes a namespace without any link but `lo`. */
export function addBareNamespace(name: string): void {
  ip([], [`netns add ${name}`]);
  ip(['-n', name], ['link set lo up']);
}

/** Removes a namespace. */
export function removeNamespace(name: string): void {
  ip([], [`netns del ${name}`]);
}

/** Arguments of `ip` that run a command in a namespace. */
export function inNamespace(name: string, command: readonly string[]): readonly string[] {
  return ['netns', 'exec', name, ...command];
}

/** Packets come by other links than routes say. */
const SYSCTLS: readonly string[] = [
  'sh',
  '-ec',
  'echo 1 > /proc/sys/net/ipv4/ip_forward; for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done',
];

function links(node: number): readonly string[] {
  const name = nodeName(node);
  return [
    `link add name client netns ${name} type veth peer name ${name} netns ${CLIENT}`,
    `link add name backend netns ${name} type veth peer name ${name} netns ${BACKEND}`,
  ];
}

function clientCommands(node: number): readonly string[] {
  return [
    `addr add 198.18.${node}.2/24 dev ${nodeName(node)}`,
    `link set ${nodeName(node)} up`,
    `route add default via ${nodeAddress(node)} dev ${nodeName(node)} metric ${node + 1}`,
  ];
}

function backendCommands(node: number): readonly string[] {
  return [
    `addr add 198.19.${node}.2/24 dev ${nodeName(node)}`,
    `link set ${nodeName(node)} up`,
    `route add 198.18.${node}.0/24 via 198.19.${node}.1`,
  ];
}

function nodeCommands(node: number): readonly string[] {
  return [
    'link set lo up',
    `addr add ${nodeAddress(node)}/24 dev client`,
    'link set client up',
    `addr add 198.19.${node}.1/24 dev backend`,
    'link set backend up',
    `route add default via 198.19.${node}.2`,
  ];
}

function ip(options: readonly string[], lines: readonly string[]): void {
  run('ip', [...options, '-batch', '-'], `${lines.join('\n')}\n`);
}

function run(command: string, args: readonly string[], input = ''): void {
  execFileSync(command, args, { input, stdio: ['pipe', 'ignore', 'pipe'] });
}
