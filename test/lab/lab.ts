/**
 * A small cluster's network on this machine: namespaces as hosts, each with an agent process for echo servers and
 * probes. Everything is removed on close, at exit and on SIGINT and SIGTERM; what a killed test left behind is
 * removed by the next lab.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AgentCalls } from './agent/calls.ts';
import { LabHost } from './lab-host.ts';
import { LineProcess, type CallTable } from './line-process.ts';
import { namespacesMade, removeNamespaces, staleNamespaces, track, untrack } from './namespaces.ts';
import {
  crowdPort,
  hostCommands,
  hostNames,
  linkCommands,
  nodeSysctls,
  serverNames,
  serverPorts,
  servers,
  type HostName,
  type ServerName,
} from './topology.ts';

let labs = 0;

/** Why no lab can be made on this machine, or `undefined` if it can. */
export function labReason(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root: run the tests as root';
  const probe = `${namespacesMade}${process.pid}-probe`;
  try {
    runIp([], [`netns add ${probe}`, `netns del ${probe}`]);
    execFileSync('ip', ['-6', 'addr', 'show', 'dev', 'lo'], { stdio: 'ignore' });
  } catch (error) {
    return `network namespaces cannot be made (Debian package iproute2, CAP_SYS_ADMIN): ${String(error)}`;
  }
  return undefined;
}

/** Runs lines of `ip -batch`; throws with the output of `ip` when one fails. */
function runIp(options: readonly string[], lines: readonly string[]): void {
  execFileSync('ip', [...options, '-batch', '-'], {
    input: `${lines.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
}

export class Lab {
  readonly #id: string;
  readonly #hosts: Readonly<Record<HostName, LabHost>>;

  private constructor(id: string, hosts: Readonly<Record<HostName, LabHost>>) {
    this.#id = id;
    this.#hosts = hosts;
  }

  /** Builds the network and starts the echo servers. Takes about half a second; throws where {@link labReason} has one. */
  static async open(): Promise<Lab> {
    removeNamespaces(staleNamespaces(readdirSyncOrEmpty('/run/netns')));
    const id = `${namespacesMade}${process.pid}-${++labs}`;
    const namespaces = hostNames.map((host) => namespaceOf(id, host));
    const processes: LineProcess<AgentCalls>[] = [];
    track(id, namespaces, processes);
    try {
      runIp(
        [],
        linkCommands((host) => namespaceOf(id, host)),
      );
      setSysctls(namespaceOf(id, 'node'));
      for (const host of hostNames) runIp(['-n', namespaceOf(id, host)], hostCommands[host]);
      const start = (host: HostName): LabHost => {
        const agent = spawnNode<AgentCalls>(
          namespaceOf(id, host),
          `agent on ${host}`,
          new URL('agent/main.ts', import.meta.url),
          [],
        );
        processes.push(agent);
        return new LabHost(agent);
      };
      const hosts = {
        node: start('node'),
        client: start('client'),
        'pod-a': start('pod-a'),
        'pod-b': start('pod-b'),
        peer: start('peer'),
      };
      const lab = new Lab(id, hosts);
      await lab.#startServers();
      return lab;
    } catch (error) {
      untrack(id);
      throw error;
    }
  }

  /** One of the hosts. */
  host(name: HostName): LabHost {
    return this.#hosts[name];
  }

  /** Name of a host's network namespace, for `ip netns exec`. */
  namespace(host: HostName): string {
    return namespaceOf(this.#id, host);
  }

  /** Starts a TypeScript file of this repository in a host's namespace, to be asked in JSON lines. */
  start<Calls extends CallTable>(
    host: HostName,
    title: string,
    file: URL,
    args: readonly string[],
  ): LineProcess<Calls> {
    return spawnNode<Calls>(this.namespace(host), title, file, args);
  }

  /** Runs a command in a host's namespace and returns its output; throws when it fails. */
  run(host: HostName, command: string, args: readonly string[], input = ''): string {
    return execFileSync('ip', ['netns', 'exec', this.namespace(host), command, ...args], {
      input,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** Lets an echo server listen on more ports, or stop listening. */
  async setListening(
    server: ServerName,
    listening: boolean,
    protocol: 'TCP' | 'UDP',
    ports: readonly number[],
  ): Promise<void> {
    const { host, address } = servers[server];
    const params = { protocol, addresses: [address.IPv4, address.IPv6], ports };
    if (listening) await this.#hosts[host].call('listen', { server, ...params });
    else await this.#hosts[host].call('unlisten', params);
  }

  /** Ends every process of the lab and removes its namespaces. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#hosts).map((host) => host.stop()));
    untrack(this.#id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #startServers(): Promise<void> {
    await Promise.all([
      ...serverNames.flatMap((name) => [
        this.setListening(name, true, 'TCP', serverPorts),
        this.setListening(name, true, 'UDP', serverPorts),
      ]),
      this.#hosts.peer.call('listen', {
        server: 'crowd',
        protocol: 'TCP',
        addresses: ['::'],
        ports: [crowdPort],
      }),
    ]);
  }
}

function namespaceOf(id: string, host: HostName): string {
  return `${id}-${host}`;
}

function readdirSyncOrEmpty(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    // The directory is made with the first namespace.
    return [];
  }
}

function setSysctls(namespace: string): void {
  // Older kernels do not have all of them in a namespace.
  const script = nodeSysctls
    .map(([name, value]) => [value, `/proc/sys/net/${name}`] as const)
    .map(([value, path]) => `if [ -e ${path} ]; then echo ${value} > ${path}; fi`);
  execFileSync('ip', ['netns', 'exec', namespace, 'sh', '-ec', script.join('\n')]);
}

function spawnNode<Calls extends CallTable>(
  namespace: string,
  title: string,
  file: URL,
  args: readonly string[],
): LineProcess<Calls> {
  return LineProcess.start<Calls>(title, 'ip', [
    'netns',
    'exec',
    namespace,
    process.execPath,
    fileURLToPath(file),
    ...args,
  ]);
}
