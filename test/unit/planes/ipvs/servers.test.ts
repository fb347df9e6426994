/** The way from what is there to what is wanted, carried out on a model of the kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hostPort } from '../../../../src/core/ip.ts';
import { IpvsBatch } from '../../../../src/kernel/ipvs/batch.ts';
import {
  type RealAddress,
  type RealServer,
  type RealServerInfo,
  type Scheduling,
  type VirtualName,
  describeVirtual,
} from '../../../../src/kernel/ipvs/servers.ts';
import { defaultChoice, scheduling } from '../../../../src/planes/ipvs/scheduling.ts';
import {
  type FoundServer,
  type HaveEnded,
  type ServerFate,
  Servers,
  type WantedServer,
} from '../../../../src/planes/ipvs/servers.ts';
import { ip } from '../../core/build.ts';

const rr = scheduling(defaultChoice('rr'), 'IPv4', undefined);
const web = { protocol: 'TCP', address: ip('10.96.0.1'), port: 80 } as const;
const dns = { protocol: 'UDP', address: ip('10.96.0.2'), port: 53 } as const;

interface ModelServer {
  readonly name: VirtualName;
  scheduling: Scheduling;
  readonly reals: Map<string, RealServer>;
}

/** Does what the kernel does, and throws where the kernel refuses. */
class Kernel extends IpvsBatch {
  readonly servers = new Map<string, ModelServer>();
  readonly log: string[] = [];

  override addVirtual(name: VirtualName, how: Scheduling): void {
    assert.ok(!this.servers.has(describeVirtual(name)), 'exists');
    this.servers.set(describeVirtual(name), { name, scheduling: how, reals: new Map() });
    this.log.push(`add ${describeVirtual(name)}`);
  }

  override setVirtual(name: VirtualName, how: Scheduling): void {
    this.#of(name).scheduling = how;
    this.log.push(`set ${describeVirtual(name)}`);
  }

  override deleteVirtual(name: VirtualName): void {
    assert.ok(this.servers.delete(describeVirtual(name)), 'not there');
    this.log.push(`delete ${describeVirtual(name)}`);
  }

  override addReal(name: VirtualName, real: RealServer): void {
    assert.ok(!this.#of(name).reals.has(textOf(real)), 'exists');
    this.#of(name).reals.set(textOf(real), real);
    this.log.push(`add ${textOf(real)}`);
  }

  override setReal(name: VirtualName, real: RealServer): void {
    assert.ok(this.#of(name).reals.has(textOf(real)), 'not there');
    this.#of(name).reals.set(textOf(real), real);
    this.log.push(`set ${textOf(real)} to ${real.weight}`);
  }

  override deleteReal(name: VirtualName, real: RealAddress): void {
    assert.ok(this.#of(name).reals.delete(textOf(real)), 'not there');
    this.log.push(`delete ${textOf(real)}`);
  }

  found(): readonly FoundServer[] {
    return [...this.servers.values()].map(({ name, scheduling: how, reals }) => ({
      name,
      scheduling: how,
      realServers: [...reals.values()],
    }));
  }

  /** Real servers with their weights, by virtual server. */
  show(): Record<string, Record<string, number>> {
    return Object.fromEntries(
      [...this.servers].map(([key, { reals }]) => [
        key,
        Object.fromEntries([...reals].map(([text, { weight }]) => [text, weight])),
      ]),
    );
  }

  #of(name: VirtualName): ModelServer {
    return this.servers.get(describeVirtual(name)) ?? assert.fail('no virtual server');
  }
}

function textOf({ address, port }: RealAddress): string {
  return hostPort(address, port);
}

function pod(last: number, weight = 1): Required<RealServer> {
  return {
    address: ip(`10.0.0.${last}`),
    port: 8080,
    weight,
    forwarding: 'masquerade',
    upperThreshold: 0,
    lowerThreshold: 0,
  };
}

function webAt(last: number) {
  return { ...web, address: ip(`10.96.0.${last}`) };
}

function wanted(
  name: VirtualName,
  reals: readonly RealServer[],
  fields: Partial<WantedServer> = {},
): WantedServer {
  return {
    name,
    scheduling: rr,
    reals,
    serving: 'protocol' in name && name.protocol === 'UDP' ? new Set() : undefined,
    drainMs: 10_000,
    ...fields,
  };
}

function settle(servers: Servers, kernel: Kernel, now = 0): readonly ServerFate[] {
  const sink = { fresh: kernel, first: kernel, last: kernel, note: () => undefined };
  return servers.settle(sink, now, 5000, Infinity);
}

/** As the kernel would list them, with so many connections each. */
function listed(kernel: Kernel, name: VirtualName, connections: number): readonly RealServerInfo[] {
  const stats = {
    connections: 0,
    inPackets: 0,
    outPackets: 0,
    inBytes: 0,
    outBytes: 0,
    connectionRate: 0,
    inPacketRate: 0,
    outPacketRate: 0,
    inByteRate: 0,
    outByteRate: 0,
  };
  const reals = kernel.servers.get(describeVirtual(name))?.reals.values() ?? [];
  return [...reals].map((each) =>
    Object.assign({ ...pod(1) }, each, {
      activeConnections: 0,
      inactiveConnections: connections,
      persistentConnections: 0,
      stats,
    }),
  );
}

/** Nobody knows of connections that have ended. */
const open = (): boolean => false;

/** A virtual server with two real servers, one of which is to go. */
function withOneLess(name: typeof web | typeof dns, fields: Partial<WantedServer> = {}) {
  const servers = new Servers();
  const kernel = new Kernel();
  const key = describeVirtual(name);
  servers.want(key, wanted(name, [pod(1), pod(2)]));
  settle(servers, kernel);
  kernel.log.length = 0;
  servers.want(key, wanted(name, [pod(2), pod(3)], fields));
  settle(servers, kernel);
  return { servers, kernel };
}

test('a real server that goes gets no new connections and is deleted when it has none', () => {
  const { servers, kernel } = withOneLess(web);
  assert.deepEqual(kernel.log, ['add 10.0.0.3:8080', 'set 10.0.0.1:8080 to 0']);
  assert.deepEqual(servers.draining(), [web]);
  servers.tend(web, listed(kernel, web, 1), kernel, 9999, open);
  assert.equal(kernel.log.length, 2, 'it has a connection');
  servers.tend(web, listed(kernel, web, 0), kernel, 9999, open);
  assert.deepEqual(kernel.log.slice(2), ['delete 10.0.0.1:8080']);
  assert.deepEqual(servers.draining(), []);
});

test('a real server goes when all its connections have ended, though they are counted', () => {
  const { servers, kernel } = withOneLess(web);
  const asked: string[] = [];
  const ended: HaveEnded = (name, real, until) => {
    asked.push(`${describeVirtual(name)} ${textOf(real)} ${until}`);
    return true;
  };
  const active = listed(kernel, web, 1).map((real) =>
    Object.assign({}, real, { activeConnections: 1 }),
  );
  servers.tend(web, active, kernel, 9999, ended);
  assert.deepEqual(asked, [], 'an active one has not ended');
  assert.equal(kernel.log.length, 2);
  servers.tend(web, listed(kernel, web, 1), kernel, 9999, ended);
  assert.deepEqual(asked, ['TCP 10.96.0.1:80 10.0.0.1:8080 10000']);
  assert.deepEqual(kernel.log.slice(2), ['delete 10.0.0.1:8080']);
});

test('connections to a real server that goes do not last longer than they may', () => {
  const { servers, kernel } = withOneLess(web);
  servers.tend(web, listed(kernel, web, 1), kernel, 10_000, open);
  assert.deepEqual(kernel.log.slice(2), ['delete 10.0.0.1:8080']);
});

test('a real server that comes back while it drains gets its weight back', () => {
  const { servers, kernel } = withOneLess(web);
  servers.want(describeVirtual(web), wanted(web, [pod(1, 7), pod(2), pod(3)]));
  settle(servers, kernel);
  assert.deepEqual(kernel.log.slice(2), ['set 10.0.0.1:8080 to 7']);
  servers.tend(web, listed(kernel, web, 0), kernel, 99_999, open);
  assert.equal(kernel.log.length, 3, 'it is wanted');
});

test('UDP flows leave at once, unless their endpoint still serves', () => {
  assert.deepEqual(withOneLess(dns).kernel.log, ['add 10.0.0.3:8080', 'delete 10.0.0.1:8080']);
  const { servers, kernel } = withOneLess(dns, { serving: new Set(['10.0.0.1:8080']) });
  assert.deepEqual(kernel.log, ['add 10.0.0.3:8080', 'set 10.0.0.1:8080 to 0']);
  servers.want(describeVirtual(dns), wanted(dns, [pod(2), pod(3)]));
  settle(servers, kernel);
  assert.deepEqual(kernel.log.slice(2), ['delete 10.0.0.1:8080']);
});

test('a virtual server is there as long as it has real servers', () => {
  const servers = new Servers();
  const kernel = new Kernel();
  const key = describeVirtual(web);
  servers.want(key, wanted(web, []));
  assert.deepEqual(settle(servers, kernel), [{ name: web, state: 'wanted' }]);
  assert.deepEqual(kernel.log, []);
  const last = wanted(web, [pod(1)]);
  servers.want(key, last);
  settle(servers, kernel);
  servers.unwant(key, wanted(web, []));
  assert.deepEqual(settle(servers, kernel), [], 'somebody else wants it');
  servers.unwant(key, last);
  assert.deepEqual(settle(servers, kernel), [{ name: web, state: 'draining' }]);
  assert.deepEqual(servers.tend(web, listed(kernel, web, 0), kernel, 1, open), {
    name: web,
    state: 'gone',
  });
  assert.deepEqual(kernel.show(), {});
  assert.ok(!servers.holds(key));
});

test('what others deleted while it drained is not deleted again', () => {
  const { servers, kernel } = withOneLess(web);
  kernel.servers.get(describeVirtual(web))?.reals.delete('10.0.0.1:8080');
  servers.tend(web, listed(kernel, web, 0), kernel, 0, open);
  assert.equal(kernel.log.length, 2);
  assert.deepEqual(servers.draining(), []);
});

test('everything that is held has its turn, and what others changed is seen', () => {
  const servers = new Servers();
  const kernel = new Kernel();
  for (let last = 1; last <= 10; last++) {
    const name = webAt(last);
    servers.want(describeVirtual(name), wanted(name, [pod(1), pod(2)]));
  }
  settle(servers, kernel);
  const turns = [0, 1, 2].map(() => servers.nextHeld(3, 64).map(describeVirtual));
  assert.deepEqual(
    turns.map(({ length }) => length),
    [4, 4, 4],
  );
  assert.equal(new Set(turns.flat()).size, 10);
  assert.equal(servers.nextHeld(3, 2).length, 2);
  const [found] = kernel.found();
  assert.ok(found !== undefined);
  assert.ok(servers.isIntact(found));
  const [one, other] = found.realServers;
  assert.ok(one !== undefined && other !== undefined);
  for (const realServers of [[], [one], [one, { ...other, weight: 9 }], [one, pod(3)]]) {
    assert.ok(!servers.isIntact({ ...found, realServers }));
  }
  assert.ok(!servers.isIntact({ ...found, scheduling: { ...rr, scheduler: 'sh' } }));
  assert.ok(!servers.isIntact({ ...found, name: dns }));
});

test('what others deleted is made again from the last one listed to the first', async () => {
  const servers = new Servers();
  const kernel = new Kernel();
  const names = [webAt(1), webAt(2), webAt(3)];
  for (const name of names) servers.want(describeVirtual(name), wanted(name, [pod(1), pod(2)]));
  settle(servers, kernel);
  const [one, two, three] = kernel.found();
  assert.ok(one !== undefined && two !== undefined && three !== undefined);
  await servers.adopt([two, three, one]);
  settle(servers, kernel);
  // IPVS lists what was added last first: as before, and so the second time is like the first.
  for (const time of ['once', 'and again']) {
    kernel.log.length = 0;
    kernel.servers.clear();
    await servers.adopt(kernel.found());
    settle(servers, kernel);
    assert.deepEqual(
      kernel.log.filter((line) => line.startsWith('add TCP')),
      ['add TCP 10.96.0.1:80', 'add TCP 10.96.0.3:80', 'add TCP 10.96.0.2:80'],
      time,
    );
  }
});

test('what is settled in parts comes to the same', () => {
  const servers = new Servers();
  const kernel = new Kernel();
  const sink = { fresh: kernel, first: kernel, last: kernel, note: () => undefined };
  servers.want(describeVirtual(web), wanted(web, [pod(1)]));
  servers.want(describeVirtual(dns), wanted(dns, [pod(2)]));
  servers.settle(sink, 0, 5000, 1);
  assert.ok(!servers.isSettled);
  assert.equal(kernel.servers.size, 1);
  servers.settle(sink, 0, 5000, 1);
  assert.ok(servers.isSettled);
  assert.equal(kernel.servers.size, 2);
});

test('random changes one by one come to what a fresh start comes to', async () => {
  const names = [web, dns, { mark: 7, family: 'IPv4' }] as const;
  const change = fc.record({
    index: fc.nat({ max: 2 }),
    reals: fc.option(fc.uniqueArray(fc.nat({ max: 6 }), { maxLength: 5 }), { nil: undefined }),
    weight: fc.integer({ min: 1, max: 3 }),
    persistent: fc.boolean(),
    restart: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 40 }), async (changes) => {
      const kernel = new Kernel();
      let servers = new Servers();
      const wants = new Map<string, WantedServer>();
      for (const { index, reals, weight, persistent, restart } of changes) {
        const name = names[index] ?? web;
        const key = describeVirtual(name);
        const before = wants.get(key);
        if (reals === undefined) {
          if (before !== undefined) servers.unwant(key, before);
          wants.delete(key);
        } else {
          const next = wanted(
            name,
            reals.map((last) => pod(last + 1, weight)),
            { scheduling: scheduling(defaultChoice('rr'), 'IPv4', persistent ? 60 : undefined) },
          );
          servers.want(key, next);
          wants.set(key, next);
        }
        settle(servers, kernel);
        if (restart) {
          servers = new Servers();
          for (const [each, server] of wants) servers.want(each, server);
          await servers.adopt(kernel.found());
          settle(servers, kernel);
        }
      }
      for (const name of servers.draining()) {
        servers.tend(name, listed(kernel, name, 0), kernel, 0, open);
      }
      assert.deepEqual(servers.draining(), []);
      const fresh = new Kernel();
      const start = new Servers();
      for (const [key, server] of wants) start.want(key, server);
      settle(start, fresh);
      assert.deepEqual(kernel.show(), fresh.show());
      for (const [key, server] of fresh.servers) {
        assert.deepEqual(kernel.servers.get(key)?.scheduling, server.scheduling);
      }
    }),
  );
});
