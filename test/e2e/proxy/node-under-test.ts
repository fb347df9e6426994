/** A network namespace as a node, a folder of manifests, and the real proxy process between them. */
import {
  type ChildProcess,
  type SpawnSyncReturns,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The program as it is developed. */
const sourceProgram = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
/** The program as it is shipped, if it was built. */
export const builtProgram = fileURLToPath(
  new URL('../../../dist/bin/switchyard.js', import.meta.url),
);

/** Why the tests of this folder cannot run here, if they cannot. */
export const missing =
  process.getuid?.() === 0 ? undefined : 'needs root, for a network namespace of its own';

const nodeName = 'node-1';
export const nodeAddress = '192.0.2.1';

/** A test fails when it waits longer for a line. */
const patienceMs = 20_000;

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

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running proxy and its log. */
export class ProxyProcess {
  readonly lines: string[] = [];
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  #cursor = 0;
  #isOver = false;
  #wake = (): void => undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    if (child.stderr !== null) {
      createInterface({ input: child.stderr }).on('line', (line) => {
        this.lines.push(line);
        this.#wake();
      });
    }
    child.on('close', (code, signal) => {
      this.#isOver = true;
      this.#wake();
      resolve({ code, signal });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The next line that matches, behind the one that was waited for last. */
  async logged(pattern: RegExp): Promise<string> {
    const deadline = AbortSignal.timeout(patienceMs);
    deadline.addEventListener('abort', () => this.#wake());
    for (;;) {
      while (this.#cursor < this.lines.length) {
        const line = this.lines[this.#cursor++] ?? '';
        if (pattern.test(line)) return line;
      }
      if (this.#isOver || deadline.aborted)
        throw new Error(`the proxy did not log ${pattern} but:\n${this.lines.join('\n')}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Lines so far that match. */
  count(pattern: RegExp): number {
    return this.lines.filter((line) => pattern.test(line)).length;
  }
}
