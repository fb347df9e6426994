/** The real proxy in ipvs mode on a lab's node, with a folder of manifests. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { ProxyProcess, sourceProgram } from '../e2e/lab/proxy-process.ts';
import { Lab } from '../lab/lab.ts';
import type { LineProcess } from '../lab/line-process.ts';
import { clusterCidr, nodeName } from '../lab/topology.ts';
import type { KubeObject } from '../netns/conformance/objects.ts';
import type { Outcome } from '../unit/cli/run.ts';
import type { CliCalls } from './ipvs-cli-calls.ts';

/** The guest has one slow processor, and other guests may have as much to do. */
const patienceMs = 60_000;

/** A lab for all tests of the suite. Returns what makes a node in it: one at a time, for a test or for some. */
export function openNodes(): () => IpvsNode {
  let lab: Lab;
  let cli: LineProcess<CliCalls>;
  before(async () => {
    lab = await Lab.open();
    const program = new URL('ipvs-cli-main.ts', import.meta.url);
    cli = lab.start<CliCalls>('node', 'command line', program, []);
  });
  after(async () => {
    await cli.kill();
    await lab.close();
  });
  return () => new IpvsNode(lab, cli);
}

/** One node; when it is disposed of, nothing of it is left in the lab. */
export class IpvsNode implements AsyncDisposable {
  readonly lab: Lab;
  readonly #cli: LineProcess<CliCalls>;
  readonly #folder = mkdtempSync(join(tmpdir(), 'switchyard-uml-'));
  readonly #proxies: ProxyProcess[] = [];

  constructor(lab: Lab, cli: LineProcess<CliCalls>) {
    this.lab = lab;
    this.#cli = cli;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#proxies) proxy.kill('SIGKILL');
    await Promise.all(this.#proxies.map(({ ended }) => ended));
    rmSync(this.#folder, { recursive: true });
    await this.switchyard('cleanup');
  }

  /** Writes a file of manifests. */
  write(name: string, objects: readonly KubeObject[]): void {
    const text = objects.map((object) => JSON.stringify(object)).join('\n---\n');
    writeFileSync(join(this.#folder, `${name}.yaml`), text);
  }

  /** Deletes a file of manifests. */
  erase(name: string): void {
    rmSync(join(this.#folder, `${name}.yaml`));
  }

  /** Starts the proxy, with other flags where that matters; resolves when it serves. */
  async start(flags: Readonly<Record<string, string>> = {}): Promise<ProxyProcess> {
    const proxy = this.launch(flags);
    await proxy.told(/ agent\] "Serving" /);
    return proxy;
  }

  /** Starts the proxy. */
  launch(more: Readonly<Record<string, string>>): ProxyProcess {
    const flags = {
      manifests: this.#folder,
      'hostname-override': nodeName,
      'proxy-mode': 'ipvs',
      'cluster-cidr': `${clusterCidr.IPv4},${clusterCidr.IPv6}`,
      v: '2',
      ...more,
    };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const command = ['netns', 'exec', this.lab.namespace('node'), process.execPath, sourceProgram];
    const child = spawn('ip', [...command, 'proxy', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const proxy = new ProxyProcess(child, patienceMs);
    this.#proxies.push(proxy);
    return proxy;
  }

  /** Runs `switchyard …` on the node. */
  run(...args: readonly string[]): Promise<Outcome> {
    return this.#cli.call('run', args);
  }

  /** The output of `switchyard …` on the node, which must succeed. */
  async switchyard(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    return stdout;
  }

  /** The output of a shell script on the node. */
  shell(script: string): string {
    return this.lab.run('node', 'sh', ['-ec', script]);
  }

  /** What the proxy answers to `GET /metrics`, without comments. */
  metrics(): readonly string[] {
    const script = `process.stdout.write(await (await fetch('http://127.0.0.1:10249/metrics')).text())`;
    const text = this.lab.run('node', process.execPath, ['--input-type=module', '-e', script]);
    return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  }
}
