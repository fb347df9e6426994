import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route, RouteChange } from '../../../../src/core/route.ts';
import type { TableBatch } from '../../../../src/kernel/iptables/iptables.ts';
import type { BaseOptions } from '../../../../src/planes/iptables/base.ts';
import { FamilyRules } from '../../../../src/planes/iptables/family-rules.ts';
import { type FoundTable, readListing } from '../../../../src/planes/iptables/found.ts';
import { TABLES, type Table } from '../../../../src/planes/iptables/schema.ts';
import { type Writes, batchesOf } from '../../../../src/planes/iptables/writes.ts';
import { endpoints, frontend, route } from '../../core/routes.ts';

const BASE: BaseOptions = {
  family: 'IPv4',
  mark: 0x4000,
  localhostNodePorts: true,
  dropInvalid: true,
  settings: {
    families: ['IPv4'],
    masqueradeAll: false,
    countedPorts: 0,
    serviceCidrs: [],
    localTraffic: {},
  },
};

const NOTHING = new Map<string, string[]>();
const FOREIGN = ['-P PREROUTING ACCEPT', '-N KUBE-SERVICES', '-A PREROUTING -j KUBE-SERVICES'];

/** A kernel of text: tables by name, chains by name. Refuses what iptables would. */
class Kernel {
  readonly #chains = new Map<Table, Map<string, string[]>>(
    TABLES.map((table) => [
      table,
      new Map(
        ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].map((name) => [name, []]),
      ),
    ]),
  );

  async write(writes: Writes, largest = Number.POSITIVE_INFINITY): Promise<readonly TableBatch[]> {
    const batches: TableBatch[] = [];
    for await (const { batch } of batchesOf(writes, largest)) batches.push(batch);
    for (const { table, lines } of batches) {
      const chains = this.#chains.get(table === 'nat' ? 'nat' : 'filter') ?? NOTHING;
      for (const line of lines) this.#writeLine(chains, line);
    }
    return batches;
  }

  tamper(table: Table, line: string): void {
    this.#writeLine(this.#chains.get(table) ?? NOTHING, line);
  }

  found(): ReadonlyMap<Table, FoundTable> {
    return new Map(TABLES.map((table) => [table, readListing([...FOREIGN, ...this.#list(table)])]));
  }

  *#list(table: Table): Iterable<string> {
    const chains = this.#chains.get(table) ?? NOTHING;
    for (const name of chains.keys()) if (name.startsWith('SWY-')) yield `-N ${name}`;
    for (const [name, rules] of chains) for (const rule of rules) yield `-A ${name} ${rule}`;
  }

  #writeLine(chains: Map<string, string[]>, line: string): void {
    const [, command = '', name = '', rest = ''] = /^(:|-\S )(\S+) ?(.*)$/.exec(line) ?? [];
    if (command === ':') {
      chains.set(name, []);
      return;
    }
    const rules = chains.get(name);
    assert.ok(rules !== undefined, `${line}: there is no such chain`);
    const target = / -[jg] (SWY-\S+)$/.exec(` ${rest}`)?.[1];
    assert.ok(target === undefined || chains.has(target), `${line}: there is no such target`);
    if (command === '-A ') rules.push(rest);
    else if (command === '-I ') rules.unshift(rest.replace(/^1 /, ''));
    else if (command === '-D ') assert.ok(rules.splice(rules.indexOf(rest) >>> 0, 1).length === 1);
    else if (command === '-F ') rules.splice(0);
    else {
      assert.equal(rules.length, 0, `${line}: it is not empty`);
      const users = [...chains].filter(([, all]) => all.some((rule) => rule.endsWith(` ${name}`)));
      assert.deepEqual(users, [], `${line}: something leads there`);
      chains.delete(name);
    }
  }
}

function service(index: number, ...texts: readonly string[]): Route {
  return route({
    key: `shop/s${index}:http/TCP/IPv4`,
    service: `shop/s${index}`,
    label: `shop/s${index}:http`,
    frontends: [frontend('clusterIP', `10.96.${index >> 8}.${index & 255}`)],
    internal: texts.length === 0 ? { kind: 'reject' } : endpoints(...texts),
  });
}

function set(before: Route | undefined, after: Route): RouteChange {
  return { key: after.key, before, after };
}

const services = Array.from({ length: 300 }, (_, index) =>
  service(index, '10.244.1.1', `*10.244.2.${index % 250}`),
);

async function loaded(largest?: number) {
  const rules = await FamilyRules.of(BASE, services);
  const kernel = new Kernel();
  await kernel.write(rules.compare(kernel.found()).writes, largest);
  return { rules, kernel };
}

/** Tables and chains, without hashes. */
async function chainsIn(writes: Writes): Promise<readonly string[]> {
  const chains = [];
  for (const table of TABLES) {
    for await (const { name } of writes.chains(table)) chains.push(`${table} ${name.slice(0, 8)}`);
  }
  return chains;
}

/** What is other than it should be. */
async function driftOf(rules: FamilyRules, kernel: Kernel): Promise<readonly string[]> {
  const { writes, drift } = rules.compare(kernel.found());
  const batches = batchesOf(writes, Number.POSITIVE_INFINITY)[Symbol.asyncIterator]();
  while ((await batches.next()).done !== true);
  return drift;
}

test('what was written is found, and nothing is left to write, in one batch and in many', async () => {
  for (const largest of [Number.POSITIVE_INFINITY, 40]) {
    const { rules, kernel } = await loaded(largest);
    const { writes } = rules.compare(kernel.found());
    assert.deepEqual(await driftOf(rules, kernel), []);
    assert.deepEqual(await kernel.write(writes, largest), []);
  }
});

test('the rules that lead to ours come with the last batch of a table', async () => {
  const rules = await FamilyRules.of(BASE, services);
  const kernel = new Kernel();
  const batches = await kernel.write(rules.compare(kernel.found()).writes, 40);
  const jumping = batches.filter(({ lines }) => lines.some((line) => line.startsWith('-I ')));
  assert.ok(batches.length > 10);
  assert.equal(jumping.length, 2);
  for (const batch of jumping) {
    assert.equal(
      batch,
      batches.findLast(({ table }) => table === batch.table),
    );
  }
});

test('a change of an endpoint writes the chain of its Service and nothing else', async () => {
  const { rules, kernel } = await loaded();
  const writes = rules.change([
    set(services[7], service(7, '10.244.1.1', '*10.244.2.7', '10.244.3.3')),
  ]);
  assert.deepEqual(await chainsIn(writes), ['nat SWY-SVC-']);
  assert.deepEqual([...writes.gone('nat'), ...writes.gone('filter')], []);
  await kernel.write(writes);
  assert.deepEqual(await driftOf(rules, kernel), []);
});

test('a Service more or less writes a few chains, whatever the number of Services', async () => {
  const { rules, kernel } = await loaded();
  const fresh = service(1000, '*10.244.9.9');
  const added = rules.change([set(undefined, fresh)]);
  const count = (await chainsIn(added)).length;
  assert.ok(count <= 8, `${count} chains`);
  await kernel.write(added);
  assert.deepEqual(await driftOf(rules, kernel), []);
  const removed = rules.change([{ key: fresh.key, before: fresh, after: undefined }]);
  assert.ok((await chainsIn(removed)).length <= 8);
  await kernel.write(removed);
  assert.deepEqual(await driftOf(rules, kernel), []);
});

test('a cluster IP that two Service ports have is refused until both are gone', async () => {
  const kernel = new Kernel();
  const [one] = services;
  assert.ok(one);
  const other = { ...one, key: 'shop/s0:dns/UDP/IPv4', protocol: 'UDP' } as const;
  const rules = await FamilyRules.of(BASE, [one, other]);
  await kernel.write(rules.compare(kernel.found()).writes);
  const refusing = (): number =>
    kernel
      .found()
      .get('filter')
      ?.chains.get('SWY-CLUSTER-IPS')
      ?.filter((rule) => rule.startsWith('-d 10.96.0.0/32 ')).length ?? 0;
  assert.equal(refusing(), 1);
  await kernel.write(rules.change([{ key: one.key, before: one, after: undefined }]));
  assert.equal(refusing(), 1);
  await kernel.write(rules.change([{ key: other.key, before: other, after: undefined }]));
  assert.equal(refusing(), 0);
});

test('a frontend may move from one Service to another in one call', async () => {
  const { rules, kernel } = await loaded();
  const [one, other] = services;
  assert.ok(one && other);
  const swapped: readonly RouteChange[] = [
    set(one, { ...one, frontends: other.frontends }),
    set(other, { ...other, frontends: one.frontends }),
  ];
  await kernel.write(rules.change(swapped));
  assert.deepEqual(await driftOf(rules, kernel), []);
});

test('what others changed is named and put right, and their rules are left alone', async () => {
  const { rules, kernel } = await loaded();
  kernel.tamper('nat', '-F PREROUTING');
  kernel.tamper('nat', '-A OUTPUT -m comment --comment "switchyard: Services" -j SWY-SERVICES');
  kernel.tamper('filter', '-I SWY-FORWARD 1 -j DROP');
  kernel.tamper('nat', ':SWY-SVC-OLD - [0:0]');
  kernel.tamper('nat', '-A INPUT -j THEIRS');
  kernel.tamper('nat', ':SWY-IPVS - [0:0]');
  const { writes, drift } = rules.compare(kernel.found());
  await kernel.write(writes);
  assert.deepEqual(drift.toSorted(), [
    'IPv4 filter chain SWY-FORWARD: -j DROP was not ours',
    'IPv4 nat chain OUTPUT: -m comment --comment "switchyard: Services" -j SWY-SERVICES was not ours',
    'IPv4 nat chain PREROUTING: -m comment --comment "switchyard: Services" -j SWY-SERVICES was missing',
    'IPv4 nat chain SWY-SVC-OLD: was not ours',
  ]);
  assert.deepEqual(await driftOf(rules, kernel), []);
});

test('a chain that the tool only spells in another way is written once, and not for ever', async () => {
  const { rules, kernel } = await loaded();
  const respell = (): void => {
    kernel.tamper('filter', '-F SWY-REJECT');
    kernel.tamper('filter', '-A SWY-REJECT -p 6 -j REJECT');
    kernel.tamper('filter', '-A SWY-REJECT -j REJECT --reject-with 3');
  };
  respell();
  const { writes, rewritten } = rules.compare(kernel.found());
  await kernel.write(writes);
  respell();
  await rules.learn(kernel.found(), rewritten);
  assert.deepEqual(await driftOf(rules, kernel), []);
  kernel.tamper('filter', '-F SWY-REJECT');
  assert.notDeepEqual(await driftOf(rules, kernel), []);
});

/** Rewrites a chain, lets others write before what came of it is read, and finds out what is seen of that afterwards. */
async function driftAfterRewriting(...foreign: readonly string[]): Promise<readonly string[]> {
  const { rules, kernel } = await loaded();
  kernel.tamper('filter', '-F SWY-REJECT');
  const { writes, rewritten } = rules.compare(kernel.found());
  await kernel.write(writes);
  for (const line of foreign) kernel.tamper('filter', line);
  await rules.learn(kernel.found(), rewritten);
  return driftOf(rules, kernel);
}

test('what others do to a chain that was just written is no spelling of it', async () => {
  const tcp = '-A SWY-REJECT -p tcp -j REJECT --reject-with tcp-reset';
  const rest = '-A SWY-REJECT -j REJECT --reject-with icmp-port-unreachable';
  const cases = [
    ['-F SWY-REJECT'],
    ['-F SWY-REJECT', tcp],
    ['-F SWY-REJECT', tcp, rest, rest],
    ['-F SWY-REJECT', '-A SWY-REJECT -j ACCEPT', rest],
    ['-F SWY-REJECT', tcp, '-A SWY-REJECT -m comment --comment "-j REJECT"'],
    ['-F SWY-REJECT', tcp, '-A SWY-REJECT -j REJECTED'],
  ];
  for (const foreign of cases) {
    const drift = await driftAfterRewriting(...foreign);
    assert.ok(drift.length > 0, foreign.join(', '));
  }
  assert.deepEqual(await driftAfterRewriting('-F SWY-REJECT', tcp, rest), []);
});

test('what others do to a chain that was not written is no spelling of it, whatever it looks like', async () => {
  const emptied = await driftAfterRewriting('-F SWY-FORWARD');
  assert.equal(emptied.length, 1);
  assert.match(emptied[0] ?? '', /^IPv4 filter chain SWY-FORWARD: .* was missing$/);
  const kept = [
    '-F SWY-FORWARD',
    '-A SWY-FORWARD -s 192.0.2.1/32 -j DROP',
    '-A SWY-FORWARD -j ACCEPT',
    '-A SWY-FORWARD -j ACCEPT',
  ];
  assert.equal((await driftAfterRewriting(...kept)).length, 1);
});
