/** The demo's world: a lab's hosts with the shop's pods, a copy of the example files, and the proxy on the node. */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Lab } from '../test/lab/lab.ts';
import type { LabHost } from '../test/lab/lab-host.ts';
import type { LineProcess } from '../test/lab/line-process.ts';
import { clusterCidr, hostNames, nodeName, type HostName } from '../test/lab/topology.ts';
import { claim } from './failure.ts';
import { podNames, podPorts } from './shop.ts';
import type { ShopperCalls } from './shopper/calls.ts';
import { WatchedProcess } from './watched-process.ts';

const examples = fileURLToPath(new URL('../examples/shop', import.meta.url));
const proxyProgram = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const shopperProgram = new URL('shopper/main.ts', import.meta.url);

/** Options of the proxy besides where its files are. At -v 2 it logs every batch. */
const proxyOptions = `--hostname-override ${nodeName} --cluster-cidr ${clusterCidr.IPv4},${clusterCidr.IPv6} -v 2`;

export class World {
  /** The folder the proxy reads: a copy of examples/shop. */
  readonly folder: string;
  readonly shopper: LineProcess<ShopperCalls>;
  /** `nft monitor` on the node: the kernel's own account of every change of its rules. */
  readonly kernelEvents: WatchedProcess;
  readonly #lab: Lab;
  #proxy: WatchedProcess | undefined;
  readonly #abandon = (): void => {
    this.#proxy?.killNow();
    this.kernelEvents.killNow();
    this.shopper.killNow();
    rmSync(this.folder, { recursive: true, force: true });
  };

  private constructor(lab: Lab) {
    this.#lab = lab;
    this.folder = mkdtempSync(join(tmpdir(), 'switchyard-shop-'));
    this.shopper = lab.start<ShopperCalls>('client', 'the shopper', shopperProgram, []);
    this.kernelEvents = this.#watch('nft monitor', 'nft', ['monitor']);
    // The lab does the same for its namespaces.
    process.on('exit', this.#abandon);
  }

  /** Builds it, without the proxy. */
  static async open(): Promise<World> {
    const lab = await Lab.open();
    try {
      const world = new World(lab);
      cpSync(examples, world.folder, { recursive: true });
      for (const pod of podNames) {
        for (const { protocol, ports } of podPorts) {
          await lab.setListening(pod, true, protocol, ports);
        }
      }
      return world;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** The proxy that runs or ran last. */
  get proxy(): WatchedProcess {
    claim(this.#proxy !== undefined, 'the proxy was not started');
    return this.#proxy;
  }

  /** The proxy's command line, for people, on two lines. */
  get proxyCommand(): readonly [string, string] {
    return [`switchyard proxy --manifests ${this.folder}`, proxyOptions];
  }

  host(name: HostName): LabHost {
    return this.#lab.host(name);
  }

  /** Name of a host's network namespace. */
  namespace(name: HostName): string {
    return this.#lab.namespace(name);
  }

  /** Output of a command on the node. */
  onNode(command: string, args: readonly string[]): string {
    return this.#lab.run('node', command, args);
  }

  /** Starts the proxy process on the node. */
  startProxy(): WatchedProcess {
    const args = [proxyProgram, 'proxy', '--manifests', this.folder, ...proxyOptions.split(' ')];
    this.#proxy = this.#watch('switchyard proxy', process.execPath, args);
    return this.#proxy;
  }

  /** Ends and removes everything, and makes sure that nothing is left. */
  async close(): Promise<void> {
    await this.#proxy?.end('SIGTERM');
    await this.kernelEvents.end('SIGTERM');
    await this.shopper.kill();
    this.#abandon();
    process.off('exit', this.#abandon);
    const namespaces = hostNames.map((host) => `/run/netns/${this.namespace(host)}`);
    await this.#lab.close();
    const left = [...namespaces, this.folder].filter((path) => existsSync(path));
    claim(left.length === 0, `could not be removed: ${left.join(', ')}`);
  }

  #watch(title: string, command: string, args: readonly string[]): WatchedProcess {
    const inNode = ['netns', 'exec', this.#lab.namespace('node')];
    // Should somebody kill the demo outright, the kernel ends this process too.
    const mortal = ['setpriv', '--pdeathsig', 'KILL', command, ...args];
    return WatchedProcess.start(title, 'ip', [...inNode, ...mortal]);
  }
}
