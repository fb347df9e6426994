/**
 * A stand-in API server and the real proxy on one node. For test files that run in a network namespace of
 * their own, which is the node.
 */
import { type SpawnSyncReturns, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  type ApiServer,
  type ApiServerOptions,
  startApiServer,
} from '../../../src/testing/api-server.ts';
import { createAuthority } from '../../../src/testing/certificates.ts';
import type { RequestRecord } from '../../../src/testing/request.ts';
import { ProxyProcess, sourceProgram } from '../lab/proxy-process.ts';
import { NODE_IP, NODE_NAME, SERVICE_CIDR, node, service, slice } from './objects.ts';

const authority = createAuthority();

/** A certificate for the server on loopback. */
export function certificateOf(signer = authority, notAfter?: Date) {
  const own = { commonName: 'api', hosts: ['127.0.0.1'], ...(notAfter && { notAfter }) };
  return { ...signer.issue(own), authority: signer.certificate };
}

const tls = certificateOf();

/** Nothing of the machine is set, and every change has a line. */
const FLAGS = [
  '--conntrack-max-per-core=0',
  '--conntrack-tcp-timeout-established=0',
  '--conntrack-tcp-timeout-close-wait=0',
  '--oom-score-adj=0',
  `--hostname-override=${NODE_NAME}`,
  '-v=2',
];

/** Gives the namespace the node's address, and a way for packets to cluster IPs until they are translated. */
export function setUpNode(): void {
  ip('address', 'replace', `${NODE_IP}/24`, 'dev', 'lo');
  ip('route', 'replace', '10.96.0.0/12', 'dev', 'lo', 'src', NODE_IP);
}

/** Runs `ip`. */
export function ip(...args: readonly string[]): void {
  execFileSync('ip', args);
}

/** One cluster with a node and the Service `shop/web`; everything of it goes with it. */
export class Cluster implements AsyncDisposable {
  readonly server: ApiServer;
  readonly #folder = mkdtempSync(join(tmpdir(), 'switchyard-api-'));
  readonly #proxies: ProxyProcess[] = [];

  private constructor(server: ApiServer) {
    this.server = server;
    this.write('kubeconfig', server.kubeconfig());
  }

  /** Over TLS, with a token. */
  static async start(options: ApiServerOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(await startApiServer({ tls, token: 'secret', ...options }));
    cluster.server.apply(SERVICE_CIDR);
    cluster.server.apply(node());
    cluster.server.apply(service('web'));
    cluster.server.apply(slice('web', ['10.1.0.1', '10.1.0.2']));
    return cluster;
  }

  /** Requests so far that read all objects of a collection, and were granted. */
  get lists(): readonly RequestRecord[] {
    return this.server.requests.filter(
      ({ method, query, status }) => method === 'GET' && status === 200 && isList(query),
    );
  }

  file(name: string): string {
    return join(this.#folder, name);
  }

  write(name: string, content: string | Uint8Array): string {
    const path = this.file(name);
    writeFileSync(path, content);
    return path;
  }

  /** What `nft` says; fails when it does. */
  nft(...args: readonly string[]): string {
    return execFileSync('nft', args, { encoding: 'utf8' });
  }

  /** Starts the proxy with the kubeconfig. Later flags win. */
  proxy(flags: readonly string[] = []): ProxyProcess {
    return this.run([`--kubeconfig=${this.file('kubeconfig')}`, ...FLAGS, ...flags]);
  }

  /** Starts the proxy with nothing but these flags. */
  run(flags: readonly string[], program: readonly string[] = [sourceProgram, 'proxy']) {
    const command = [...program, ...flags];
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
    const proxy = new ProxyProcess(child);
    this.#proxies.push(proxy);
    return proxy;
  }

  /** Runs a command that does not need the API server to its end. */
  command(args: readonly string[], program = sourceProgram): SpawnSyncReturns<string> {
    return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#proxies) {
      proxy.kill('SIGKILL');
      await proxy.ended;
    }
    await this.server[Symbol.asyncDispose]();
    spawnSync('nft', ['flush', 'ruleset']);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** True for what reads all objects: a LIST, or the beginning of a watch-list. */
export function isList(query: URLSearchParams): boolean {
  return query.get('watch') === null || query.has('sendInitialEvents');
}

/** Asks again and again until the answer is this one; the last one otherwise. For what is told to nobody. */
export async function settled<T>(ask: () => Promise<T>, isIt: (answer: T) => boolean): Promise<T> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (isIt(answer) || performance.now() > deadline) return answer;
    await setTimeout(20);
  }
}
