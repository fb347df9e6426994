/** The real proxy on a lab's node, with a folder of manifests and a socket of its own, to be switched. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ProxyProcess, sourceProgram } from '../../e2e/lab/proxy-process.ts';
import type { Lab } from '../../lab/lab.ts';
import { nodeName } from '../../lab/topology.ts';

/** In user-mode Linux, where one slow processor has other work as well, the program takes many seconds to start. */
const patienceMs = 60_000;

/** How a command ended. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One node; when it is disposed of, nothing of it is left in the lab. */
export class SwitchNode implements AsyncDisposable {
  readonly lab: Lab;
  readonly #folder = mkdtempSync(join(tmpdir(), 'switchyard-switch-'));
  readonly #proxies: ProxyProcess[] = [];
  readonly #children = new Set<ChildProcess>();
  readonly #flags: readonly string[];

  /** @param flags Of the proxy, beside those that name folders. */
  constructor(lab: Lab, flags: readonly string[] = []) {
    this.lab = lab;
    this.#flags = flags;
    mkdirSync(join(this.#folder, 'manifests'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear();
    rmSync(this.#folder, { recursive: true });
  }

  /** Ends the proxy and removes what it made in the kernel. */
  async clear(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(this.#proxies.map(({ ended }) => ended));
    await this.switchyard('cleanup');
  }

  /** Writes a file of manifests. */
  write(name: string, objects: readonly object[]): void {
    const yaml = objects.map((object) => JSON.stringify(object)).join('\n---\n');
    writeFileSync(join(this.#folder, 'manifests', `${name}.yaml`), yaml);
  }

  /** The proxy that was started last. */
  get proxy(): ProxyProcess {
    const proxy = this.#proxies.at(-1);
    assert.ok(proxy !== undefined);
    return proxy;
  }

  /** Ends the proxy and starts another one; resolves when it serves. */
  async restart(signal: NodeJS.Signals, mode: string): Promise<ProxyProcess> {
    this.proxy.kill(signal);
    await this.proxy.ended;
    return this.start(mode);
  }

  /** Starts the proxy; resolves when it serves. */
  async start(mode: string): Promise<ProxyProcess> {
    const args = [
      'proxy',
      `--manifests=${join(this.#folder, 'manifests')}`,
      `--hostname-override=${nodeName}`,
      `--proxy-mode=${mode}`,
      `--status-socket=${this.#socket}`,
      `--state-folder=${this.#state}`,
      '--v=2',
      ...this.#flags,
    ];
    const proxy = new ProxyProcess(this.#spawn(args), patienceMs);
    this.#proxies.push(proxy);
    await proxy.told(/ agent\] "Serving" /);
    return proxy;
  }

  /** Runs `switchyard switch …` to its end. */
  async switch(...args: readonly string[]): Promise<Outcome> {
    const folders = [`--status-socket=${this.#socket}`, `--state-folder=${this.#state}`];
    return this.switchyard('switch', ...args, ...folders);
  }

  /** Runs a command of the program on the node to its end. */
  async switchyard(...args: readonly string[]): Promise<Outcome> {
    const child = this.#spawn(args);
    const closed = Promise.withResolvers<number | null>();
    child.on('close', closed.resolve);
    assert.ok(child.stdout !== null && child.stderr !== null);
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await closed.promise, stdout, stderr };
  }

  /** The journal of switches. */
  journal(): unknown {
    const file = join(this.#state, 'switch.json');
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  }

  /** The output of a shell script on the node. */
  shell(script: string, input = ''): string {
    return this.lab.run('node', 'sh', ['-ec', script], input);
  }

  /** Has a program with the name of kube-proxy run on the node, until the function is called. */
  async pretendKubeProxy(): Promise<() => Promise<void>> {
    const program = ['bash', '-c', 'exec -a kube-proxy cat'];
    const child = spawn('ip', ['netns', 'exec', this.lab.namespace('node'), ...program]);
    const closed = once(child, 'close');
    child.stdin.write('up');
    await once(child.stdout, 'data');
    return async () => {
      child.stdin.end();
      await closed;
    };
  }

  get #socket(): string {
    return join(this.#folder, 'run', 'status.sock');
  }

  get #state(): string {
    return join(this.#folder, 'state');
  }

  #spawn(args: readonly string[]): ChildProcess {
    const inside = ['netns', 'exec', this.lab.namespace('node'), process.execPath, sourceProgram];
    const child = spawn('ip', [...inside, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.add(child);
    child.on('close', () => this.#children.delete(child));
    return child;
  }
}
