import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { parseDocument } from 'yaml';
import { Planner } from '../../../src/agent/planner.ts';
import { AgentStatus } from '../../../src/agent/status/agent-status.ts';
import { statusPages } from '../../../src/agent/status/pages.ts';
import type { ProgrammedFrontend } from '../../../src/planes/plane.ts';
import { expectedFrontends } from '../../../src/tools/status/expected.ts';
import { FakeClock, VIEW, service, setService, setSlice, slice } from '../agent/fakes.ts';
import { Folder, ServerUnderTest } from '../agent/status/socket.ts';
import { type Outcome, run } from './run.ts';

/** An agent that has two Services; what the kernel holds of them can be set. */
class AgentUnderTest implements AsyncDisposable {
  readonly #folder = new Folder();
  readonly #planner = new Planner(VIEW, () => undefined);
  readonly #under: ServerUnderTest;
  readonly socket = this.#folder.file('status.sock');
  programmed: readonly ProgrammedFrontend[] = [];
  isServing = true;

  private constructor() {
    const status = new AgentStatus({ version: '1', pid: 7, node: 'n1' }, () => 0);
    this.#under = new ServerUnderTest(
      this.socket,
      statusPages({
        status: () => ({
          ...status.describe('nftables', this.#planner.totals),
          servingSince: this.isServing ? '1970-01-01T00:00:00Z' : undefined,
        }),
        planned: () => this.#planner,
        inspect: async () => this.programmed,
        breathe: async () => {
          await setImmediate();
        },
      }),
    );
  }

  static async start(): Promise<AgentUnderTest> {
    const agent = new AgentUnderTest();
    const planner = agent.#planner;
    planner.accept([
      setService(service('web', '10.96.0.1', { nodePort: 30_080 })),
      setSlice(slice('web', ['10.1.0.1', '10.1.0.2'])),
      setService(service('api', '10.96.0.2')),
    ]);
    await planner.plan(new FakeClock());
    agent.programmed = [...planner.routes()].flatMap((route) =>
      expectedFrontends(route, 'nftables'),
    );
    await agent.#under.server.open();
    return agent;
  }

  async get(...args: readonly string[]): Promise<Outcome> {
    return run('get', ...args, '--status-socket', this.socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#under[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

/** One endpoint is lost. */
const LESS = { target: ['10.1.0.1:8080'] };

/** Cells of a table. */
function cells({ stdout }: Outcome): readonly (readonly string[])[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {3,}/));
}

test('each subject has its table, in order of Services', async () => {
  await using agent = await AgentUnderTest.start();
  const services = await agent.get('services');
  assert.deepEqual({ code: services.code, stderr: services.stderr }, { code: 0, stderr: '' });
  assert.deepEqual(cells(services), [
    ['NAMESPACE', 'NAME', 'TYPE', 'CLUSTER-IP', 'PORTS', 'ENDPOINTS'],
    ['shop', 'api', 'ClusterIP', '10.96.0.2', '80/TCP', '0/0'],
    ['shop', 'web', 'NodePort', '10.96.0.1', '80:30080/TCP', '2/2'],
  ]);
  assert.deepEqual(cells(await agent.get('endpoints')), [
    ['NAMESPACE', 'SERVICE', 'ADDRESS', 'PORTS', 'STATE', 'NODE'],
    ['shop', 'web', '10.1.0.1', '8080/TCP', 'ready', '-'],
    ['shop', 'web', '10.1.0.2', '8080/TCP', 'ready', '-'],
  ]);
  const frontends = [
    ['SERVICE', 'FRONTEND', 'TARGET'],
    ['shop/api', '10.96.0.2:80/TCP', 'reject'],
    ['shop/web', '10.96.0.1:80/TCP', '2 endpoints'],
    ['shop/web', '192.0.2.1:30080/TCP', '2 endpoints'],
  ];
  assert.deepEqual(cells(await agent.get('routes')), frontends);
  assert.deepEqual(cells(await agent.get('programmed')), frontends);
});

test('wide tables have more, and the others do not', async () => {
  await using agent = await AgentUnderTest.start();
  const [titles, , row] = cells(await agent.get('routes', '-o', 'wide'));
  assert.deepEqual(titles?.slice(3), [
    'FROM-THIS-NODE',
    'MASQUERADE',
    'AFFINITY',
    'SOURCES',
    'MODE',
  ]);
  assert.deepEqual(row?.slice(2), [
    '10.1.0.1:8080,10.1.0.2:8080',
    '-',
    'no',
    '-',
    'all',
    'nftables',
  ]);
});

test('a name and a namespace choose Services', async () => {
  await using agent = await AgentUnderTest.start();
  for (const what of ['services', 'routes', 'programmed']) {
    const { stdout } = await agent.get(what, 'api', '-n', 'shop');
    assert.match(stdout, /api/);
    assert.doesNotMatch(stdout, /web/);
    assert.equal(cells(await agent.get(what, '-n', 'elsewhere')).length, 1, what);
  }
});

test('JSON and YAML say the same', async () => {
  await using agent = await AgentUnderTest.start();
  for (const what of ['services', 'endpoints', 'routes', 'programmed', 'drift']) {
    const asJson: unknown = JSON.parse((await agent.get(what, '-o', 'json')).stdout);
    const asYaml: unknown = parseDocument((await agent.get(what, '-o', 'yaml')).stdout).toJS();
    assert.deepEqual(asYaml, asJson, what);
    assert.ok(typeof asJson === 'object' && asJson !== null);
    assert.equal(Array.isArray(asJson), what !== 'drift');
  }
});

test('without drift the exit code is 0, with it 1 and each difference has a line', async () => {
  await using agent = await AgentUnderTest.start();
  const clean = await agent.get('drift');
  assert.equal(clean.code, 0);
  assert.equal(
    clean.stdout,
    'The kernel holds all 3 frontends as they are wanted (nftables mode).\n',
  );
  agent.programmed = agent.programmed
    .filter(({ label }) => label === 'shop/web')
    .map((each) => Object.assign({ ...each }, each.frontend === '10.96.0.1:80' && LESS));
  const found = await agent.get('drift');
  assert.deepEqual({ code: found.code, stderr: found.stderr }, { code: 1, stderr: '' });
  assert.deepEqual(cells(found), [
    ['SERVICE', 'FRONTEND', 'DIFFERENCE'],
    ['shop/api', '10.96.0.2:80/TCP', 'is not in the kernel'],
    ['shop/web', '10.96.0.1:80/TCP', 'lacks endpoint 10.1.0.2:8080'],
  ]);
  const asJson = await agent.get('drift', '-o', 'json');
  assert.equal(asJson.code, 1);
  const { differences } = JSON.parse(asJson.stdout) as { differences: unknown[] };
  assert.equal(differences.length, 2);
  assert.equal((await agent.get('drift', '-n', 'other')).code, 0);
});

test('an agent that has programmed nothing yet has no drift to show', async () => {
  await using agent = await AgentUnderTest.start();
  agent.isServing = false;
  const { code, stdout, stderr } = await agent.get('drift');
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /SY_AGENT_STARTING/);
});

test('without an agent what is wanted cannot be shown, and one line says what to do', async () => {
  using folder = new Folder();
  const socket = folder.file('status.sock');
  for (const what of ['services', 'endpoints', 'routes', 'drift']) {
    const { code, stdout, stderr } = await run('get', what, '--status-socket', socket);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^switchyard: SY_NO_AGENT: [^\n]*switchyard proxy[^\n]*\n$/);
    assert.ok(stderr.includes(socket));
  }
});

test('a wrong command line ends with exit code 2 and says what is wrong', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /missing required argument/],
    [['pods'], /Allowed choices are services, endpoints, routes, programmed, drift/],
    [['services', 'a', 'b'], /too many arguments/],
    [['services', '-o', 'xml'], /Allowed choices are table, wide, json, yaml/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await run('get', ...args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
    assert.equal(stdout, '');
  }
});
