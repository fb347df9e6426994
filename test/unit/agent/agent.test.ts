import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runAgent } from '../../../src/agent/agent.ts';
import { SYSTEM_CLOCK } from '../../../src/agent/clock.ts';
import type { AddressSource, InterfaceAddresses } from '../../../src/agent/machine.ts';
import { AgentError } from '../../../src/agent/errors.ts';
import { Log } from '../../../src/agent/log.ts';
import { ManifestError } from '../../../src/manifests/errors.ts';
import { configOf } from '../../lab/agent-config.ts';
import { FakePlane, address } from './fakes.ts';

/** Addresses that a test sets. */
class FakeAddresses implements AddressSource {
  addresses: InterfaceAddresses = [{ address: address('192.0.2.1') }];
  isClosed = false;
  #wake = (): void => undefined;

  set(...texts: readonly string[]): void {
    this.addresses = texts.map((text) => ({ address: address(text) }));
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<InterfaceAddresses, void, undefined> {
    while (!this.isClosed) {
      yield this.addresses;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.#wake();
    return Promise.resolve();
  }
}

const PAGES = {
  configz: () => '{}',
  flags: () => ({}),
  status: () => ({
    component: 'kube-proxy',
    startedAt: 0,
    uptimeSeconds: 0,
    runtime: 'Node.js',
    version: '0.0.0',
    emulates: '1.36',
  }),
  setVerbosity: () => undefined,
};

const EPOCH = (): Date => new Date(0);

/** Nothing of connection tracking is to be set. */
const QUIET = {
  v: '2',
  'conntrack-max-per-core': '0',
  'conntrack-tcp-timeout-established': '0',
  'conntrack-tcp-timeout-close-wait': '0',
};

/** An agent over a folder of its own. */
class Bench implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'switchyard-agent-'));
  readonly plane = new FakePlane();
  readonly addresses = new FakeAddresses();
  readonly lines: string[] = [];
  readonly #stop = new AbortController();
  #wake = (): void => undefined;

  [Symbol.dispose](): void {
    this.#stop.abort();
    rmSync(this.folder, { recursive: true, force: true });
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  async run(flags: Readonly<Record<string, string>> = {}): Promise<void> {
    const config = {
      ...configOf({ ...QUIET, manifests: this.folder, ...flags }),
      healthAddress: undefined,
      metricsAddress: undefined,
    };
    const write = (line: string): void => {
      this.lines.push(line);
      this.#wake();
    };
    const { verbosity } = config.logging;
    const log = new Log({ format: 'text', verbosity, vmodule: [], write, time: EPOCH, pid: 1 });
    const { plane, addresses } = this;
    await runAgent(
      config,
      PAGES,
      {
        plane,
        inspect: async () => plane.inspect(),
        readIpvs: undefined,
        addresses,
        deleteFlows: async () => Promise.resolve(0),
        families: ['IPv4'],
        sysctls: { read: () => '0', write: () => assert.fail('a sysctl was written') },
        setOomScore: () => undefined,
        cpus: 1,
        env: {},
        clock: SYSTEM_CLOCK,
        wallTime: () => 0,
        random: () => 0,
        log: log.part('main'),
      },
      this.#stop.signal,
    );
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Waits until a line matches, among all so far. */
  async logged(pattern: RegExp, times = 1): Promise<string> {
    for (;;) {
      const found = this.lines.filter((line) => pattern.test(line));
      if (found.length >= times) return found.at(-1) ?? '';
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Frontends in the kernel. */
  frontends(): readonly string[] {
    return [...this.plane.kernel.values()]
      .flatMap(({ frontends }) => frontends.map((one) => `${one.address}:${one.port}`))
      .toSorted();
  }
}

const WEB = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  clusterIP: 10.96.0.1
  ports: [{port: 80, nodePort: 30080}]
`;

function nodeYaml(ip: string): string {
  return `apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDRs: [10.1.0.0/24]}
status: {addresses: [{type: InternalIP, address: ${ip}}]}
`;
}

test('an agent programs what is there, says so in one line, and leaves it when it is stopped', async () => {
  using bench = new Bench();
  bench.write('web.yaml', WEB);
  const running = bench.run();
  const line = await bench.logged(/ agent\] "Serving" /);
  assert.match(line, /services=1 endpoints=0 routes=1 node_ports_on="192\.0\.2\.1"/);
  assert.deepEqual(bench.frontends(), ['10.96.0.1:80', '192.0.2.1:30080']);
  bench.stop();
  await running;
  assert.equal(bench.addresses.isClosed, true);
  assert.deepEqual(bench.frontends(), ['10.96.0.1:80', '192.0.2.1:30080']);
  const calls = bench.plane.calls.length;
  bench.write('web.yaml', WEB.replace('port: 80', 'port: 81'));
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(bench.plane.calls.length, calls);
});

test('an agent that is stopped before it began ends', async () => {
  using bench = new Bench();
  bench.stop();
  await bench.run();
});

test('the addresses of interfaces and the Node object are followed', async () => {
  using bench = new Bench();
  bench.write('web.yaml', WEB);
  const running = bench.run({ 'detect-local-mode': 'NodeCIDR' });
  await bench.logged(/"Programmed"/);
  assert.match(await bench.logged(/^W/), /no podCIDRs/);
  bench.addresses.set('192.0.2.1', '198.51.100.1');
  bench.write('node.yaml', nodeYaml('198.51.100.1'));
  await bench.logged(/"Programmed" how="open"/, 2);
  assert.deepEqual(bench.frontends(), ['10.96.0.1:80', '198.51.100.1:30080']);
  assert.equal(bench.plane.settings?.localTraffic.IPv4?.kind, 'cidr');
  bench.write('other.yaml', nodeYaml('203.0.113.1').replace('n1', 'n2'));
  bench.write(
    'web2.yaml',
    WEB.replace('web', 'web2').replace('10.96.0.1', '10.96.0.2').replace('30080', '30081'),
  );
  await bench.logged(/"Programmed" how="apply".*web2/);
  assert.ok(bench.frontends().includes('198.51.100.1:30081'));
  bench.stop();
  await running;
});

test('a failing plane is told once, and that it works again', async () => {
  using bench = new Bench();
  bench.write('web.yaml', WEB);
  let left = 3;
  bench.plane.fault = () => {
    if (left-- > 0) throw new AgentError('SY_PLANE_UNUSABLE', 'not now.');
  };
  const running = bench.run();
  await bench.logged(/"Programming works again"/);
  const failures = bench.lines.filter((line) => line.startsWith('E'));
  assert.equal(failures.length, 1);
  assert.match(failures[0] ?? '', /err="SY_PLANE_UNUSABLE: not now\." retry_ms=50/);
  bench.stop();
  await running;
});

test('manifests that are not there end the agent with nothing done', async () => {
  using bench = new Bench();
  await assert.rejects(bench.run({ manifests: join(bench.folder, 'nowhere') }), ManifestError);
  assert.deepEqual(bench.plane.calls, []);
});

test('a flood of problems is cut short', async () => {
  using bench = new Bench();
  const bad = Array.from({ length: 100 }, (_, index) =>
    WEB.replace('web', `w${index}`).replace('port: 80', 'port: x'),
  );
  bench.write('bad.yaml', bad.join('---\n'));
  const running = bench.run();
  await bench.logged(/"Serving"/);
  assert.equal(bench.lines.filter((line) => line.includes('"Problem in a manifest"')).length, 20);
  assert.equal(
    bench.lines.filter((line) => line.includes('"More problems are not listed"')).length,
    1,
  );
  bench.stop();
  await running;
});
