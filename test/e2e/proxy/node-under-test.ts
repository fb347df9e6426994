/** A network namespace as a node, a folder of manifests, and the real proxy process between them. */
import { type SpawnSyncReturns, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProxyProcess, sourceProgram } from '../lab/proxy-process.ts';

/** Why the tests of this folder cannot run here, if they cannot. */
export const missing =
  process.getuid?.() === 0 ? undefined : 'needs root, for a network namespace of its own';

const nodeName = 'node-1';
export const nodeAddress = '192.0.2.1';

let count = 0;

/** One node; everything of it goes with it. */
export class NodeUnderTest implements Disposable {
  readonly namespace = `switchyard-e2e-${process.pid}-${count++}`;
  readonly folder = mkdtempSync(join(tmpdir(), 'switchyard-e2e-'));
  readonly #proxies: ProxyProcess[] = [];
  readonly #remove = (): void => this[Symbol.dispose]();

  constructor() {
    process.once('exit', this.#remove);
    execFileSync('ip', ['netns', 'add', this.namespace]);
    this.ip('link', 'set', 'lo', 'up');
    this.ip('addr', 'add', `${nodeAddress}/24`, 'dev', 'lo');
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#remove);
    for (const proxy of this.#proxies) proxy.kill('SIGKILL');
    spawnSync('ip', ['netns', 'del', this.namespace]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: string | Uint8Array): void {
    writeFileSync(this.file(name), content);
  }

  /** Puts a file in the place of another one: nobody ever finds it empty, however slow this machine is. */
  replace(name: string, content: string | Uint8Array): void {
    this.write(`.${name}.tmp`, content);
    renameSync(this.file(`.${name}.tmp`), this.file(name));
  }

  ip(...args: readonly string[]): void {
    execFileSync('ip', ['-n', this.namespace, ...args]);
  }

  /** What `nft` says in the namespace; fails when it does. */
  nft(...args: readonly string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.namespace, 'nft', ...args], {
      encoding: 'utf8',
    });
  }

  /** Runs a command of the program to its end. */
  run(args: readonly string[], program = sourceProgram, wrapper: readonly string[] = []) {
    const [command, ...rest] = this.#command(program, args, wrapper);
    return spawnSync(command, rest, {
      encoding: 'utf8',
      cwd: '/',
    }) satisfies SpawnSyncReturns<string>;
  }

  /** Starts the proxy on the folder, logging every change. */
  proxy(flags: readonly string[] = [], program = sourceProgram): ProxyProcess {
    const args = [
      'proxy',
      '--manifests',
      this.folder,
      '--hostname-override',
      nodeName,
      '-v',
      '2',
      '--status-socket=',
      ...flags,
    ];
    const [command, ...rest] = this.#command(program, args, []);
    const proxy = new ProxyProcess(spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] }));
    this.#proxies.push(proxy);
    return proxy;
  }

  #command(
    program: string,
    args: readonly string[],
    wrapper: readonly string[],
  ): readonly [string, ...string[]] {
    const inside = [...wrapper, process.execPath, program, ...args];
    return ['ip', 'netns', 'exec', this.namespace, ...inside];
  }
}
