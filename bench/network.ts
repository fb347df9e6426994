/**
 * The bench's network: one client and one backend, and between them a node for everything that is measured, each in a
 * network namespace of its own. All of them are there at the same time, so that their samples can be interleaved.
 *
 *     client 10.248.N.2 -- 10.248.N.1 node N 192.168.N.1 -- 192.168.N.2 backend (has every pod address)
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type CallTable, LineProcess } from '../test/lab/line-process.ts';
import { namespacesMade, track, untrack } from '../test/lab/namespaces.ts';
import { MAX_NETWORKS, podRange, serviceRange } from './cluster.ts';

/** Flags of Node.js that the processes under test run with. */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=4'];

export class Network {
  readonly #id: string;
  readonly #processes: { readonly killNow: () => void }[] = [];
  readonly client: string;
  readonly backend: string;
  /** By number of the node, which is also that of its addresses. */
  readonly nodes: readonly string[];

  private constructor(id: string, nodes: number) {
    this.#id = id;
    this.client = `${id}-client`;
    this.backend = `${id}-backend`;
    this.nodes = Array.from({ length: nodes }, (_, node) => `${id}-node${node}`);
  }

  /** Makes the namespaces. They are removed on close, at exit, and on SIGINT and SIGTERM. */
  static open(nodes: number): Network {
    if (nodes > MAX_NETWORKS) throw new RangeError(`at most ${MAX_NETWORKS} nodes, not ${nodes}`);
    const network = new Network(`${namespacesMade}${process.pid}-bench`, nodes);
    const { client, backend } = network;
    const namespaces = [client, backend, ...network.nodes];
    track(network.#id, namespaces, network.#processes);
    try {
      runIp([], [...namespaces.map((name) => `netns add ${name}`), ...linksOf(network)]);
      runIp(
        ['-n', client],
        network.nodes.flatMap((_, node) => clientCommands(node)),
      );
      runIp(
        ['-n', backend],
        network.nodes.flatMap((_, node) => backendCommands(node)),
      );
      for (const [node, name] of network.nodes.entries()) {
        runIp(['-n', name], nodeCommands(node));
        network.run(name, 'sh', ['-ec', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
      }
      return network;
    } catch (error) {
      untrack(network.#id);
      throw error;
    }
  }

  /** Starts a file of the bench in a namespace, to be asked in JSON lines. */
  start<Calls extends CallTable>(
    namespace: string,
    title: string,
    file: URL,
    args: readonly string[] = [],
  ): LineProcess<Calls> {
    const child = LineProcess.start<Calls>(title, 'ip', [
      'netns',
      'exec',
      namespace,
      process.execPath,
      ...NODE_FLAGS,
      fileURLToPath(file),
      ...args,
    ]);
    this.#processes.push(child);
    return child;
  }

  /** Has a process killed together with those started here. */
  killLater(process: { readonly killNow: () => void }): void {
    this.#processes.push(process);
  }

  /** Runs a command in a namespace; throws when it fails. */
  run(namespace: string, command: string, args: readonly string[], input = ''): void {
    execFileSync('ip', ['netns', 'exec', namespace, command, ...args], {
      input,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
  }

  [Symbol.dispose](): void {
    untrack(this.#id);
  }
}

/** Address of a node on the client's side. */
export function nodeAddress(node: number): string {
  return `10.248.${node}.1`;
}

const device = (name: string, netns: string): string => `name ${name} netns ${netns}`;

function linksOf({ client, backend, nodes }: Network): readonly string[] {
  return nodes.flatMap((name, node) => [
    `link add ${device('client', name)} type veth peer ${device(`node${node}`, client)}`,
    `link add ${device('backend', name)} type veth peer ${device(`node${node}`, backend)}`,
  ]);
}

function clientCommands(node: number): readonly string[] {
  return [
    `addr add 10.248.${node}.2/24 dev node${node}`,
    `link set node${node} up`,
    `route add ${serviceRange(node)} via ${nodeAddress(node)}`,
    `route add ${podRange(node)} via ${nodeAddress(node)}`,
  ];
}

function backendCommands(node: number): readonly string[] {
  return [
    ...(node === 0 ? ['link set lo up'] : []),
    `addr add 192.168.${node}.2/24 dev node${node}`,
    `link set node${node} up`,
    `route add local ${podRange(node)} dev lo`,
    `route add 10.248.${node}.0/24 via 192.168.${node}.1`,
  ];
}

function nodeCommands(node: number): readonly string[] {
  return [
    'link set lo up',
    `addr add ${nodeAddress(node)}/24 dev client`,
    'link set client up',
    `addr add 192.168.${node}.1/24 dev backend`,
    'link set backend up',
    `route add ${podRange(node)} via 192.168.${node}.2`,
  ];
}

function runIp(options: readonly string[], lines: readonly string[]): void {
  execFileSync('ip', [...options, '-batch', '-'], {
    input: `${lines.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
}
