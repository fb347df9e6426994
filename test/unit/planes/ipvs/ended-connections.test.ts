import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpvsConnection } from '../../../../src/kernel/ipvs/connections.ts';
import { EndedConnections } from '../../../../src/planes/ipvs/ended-connections.ts';
import { ip } from '../../core/build.ts';

const web = { protocol: 'TCP', address: ip('10.96.0.1'), port: 80 } as const;
const marked = { mark: 7, family: 'IPv4' } as const;
const pod = { address: ip('10.0.0.1'), port: 8080, inactiveConnections: 0 };
const otherPod = { ...pod, address: ip('10.0.0.2') };

function connection(fields: Partial<IpvsConnection> = {}): IpvsConnection {
  return {
    protocol: 'TCP',
    client: ip('192.0.2.1'),
    clientPort: 40_000,
    virtual: web.address,
    virtualPort: web.port,
    real: pod.address,
    realPort: pod.port,
    state: 'ESTABLISHED',
    isTemplate: false,
    expiresSeconds: 100,
    engine: '',
    ...fields,
  };
}

/** A table, and how often it was read. */
class Table {
  connections: readonly IpvsConnection[] = [];
  readings = 0;
  read = 0;
  drains = 0;
  now = 0;
  /** How long a reading takes. */
  costMs = 0;
  readonly ended = new EndedConnections(() => this.#lines(), { now: () => this.now });

  async *#lines(): AsyncGenerator<IpvsConnection> {
    this.readings++;
    for (const each of this.connections) {
      this.read++;
      yield each;
    }
    this.now += this.costMs;
  }

  /** Of another drain each time: asks, looks, and asks again. */
  async hasEnded(...connections: readonly Partial<IpvsConnection>[]): Promise<boolean> {
    return this.haveEnded(0, ...connections);
  }

  /** The same where IPVS counts so many. */
  async haveEnded(
    inactiveConnections: number,
    ...connections: readonly Partial<IpvsConnection>[]
  ): Promise<boolean> {
    this.connections = connections.map(connection);
    const until = ++this.drains;
    const real = { ...pod, inactiveConnections };
    this.ended.have(web, real, until);
    await this.ended.look();
    return this.ended.have(web, real, until);
  }
}

test('connections that are over do not count, those that may go on do', async () => {
  const table = new Table();
  assert.equal(await table.hasEnded(), true);
  assert.equal(await table.hasEnded({ state: 'TIME_WAIT', expiresSeconds: 118 }), true);
  assert.equal(await table.hasEnded({ state: 'CLOSE', expiresSeconds: 9 }), true);
  // The last packet has only just passed.
  assert.equal(await table.hasEnded({ state: 'TIME_WAIT', expiresSeconds: 119 }), false);
  for (const state of ['ESTABLISHED', 'FIN_WAIT', 'CLOSE_WAIT', 'SYN_RECV', 'UDP']) {
    assert.equal(await table.hasEnded({ state: 'CLOSE' }, { state }), false, state);
  }
  assert.equal(await table.hasEnded({ state: 'NONE', isTemplate: true }), true);
});

test('all that IPVS counts must have been seen, each once: a reading may lack some, and have others twice', async () => {
  const table = new Table();
  const [one, two] = [{ state: 'CLOSE' }, { state: 'CLOSE', clientPort: 40_001 }];
  assert.equal(await table.haveEnded(2, one, two), true);
  assert.equal(await table.haveEnded(2, one), false);
  assert.equal(await table.haveEnded(2, one, one), false);
  assert.equal(await table.haveEnded(2, one, { ...two, real: otherPod.address }), false);
  assert.equal(await table.haveEnded(1, one, two), true, 'more than there were when it was asked');
});

test('connections of others do not count', async () => {
  const table = new Table();
  assert.equal(await table.hasEnded({ real: otherPod.address }), true);
  assert.equal(await table.hasEnded({ realPort: 8081 }), true);
  assert.equal(await table.hasEnded({ virtual: ip('10.96.0.2') }), true);
  assert.equal(await table.hasEnded({ virtualPort: 81 }), true);
  assert.equal(await table.hasEnded({ protocol: 'SCTP' }), true);
});

test('the connections of a mark have any address', async () => {
  const table = new Table();
  table.connections = [connection({ virtual: ip('198.51.100.1') })];
  table.ended.have(marked, pod, 10);
  table.ended.have(marked, otherPod, 10);
  await table.ended.look();
  assert.equal(table.ended.have(marked, pod, 10), false);
  assert.equal(table.ended.have(marked, otherPod, 10), true);
});

test('connections of a mark and of frontends to the same endpoint count together', async () => {
  const table = new Table();
  const ended = { state: 'CLOSE' };
  const ask = async (viaMark: number, viaFrontend: number): Promise<readonly boolean[]> => {
    const until = ++table.drains;
    const both = () => [
      table.ended.have(marked, { ...pod, inactiveConnections: viaMark }, until),
      table.ended.have(web, { ...pod, inactiveConnections: viaFrontend }, until),
    ];
    both();
    await table.ended.look();
    return both();
  };
  table.connections = [1, 2, 3].map((clientPort) => connection({ ...ended, clientPort }));
  assert.deepEqual(await ask(2, 1), [true, true]);
  // Three of the mark are seen, and one of the frontend, which may be half closed, is not.
  assert.deepEqual(await ask(3, 1), [false, false]);
  table.connections = [...table.connections, connection({ clientPort: 4 })];
  assert.deepEqual(await ask(3, 1), [false, false]);
});

test('nothing is read unless somebody asked, and no more than is needed', async () => {
  const table = new Table();
  await table.ended.look();
  assert.equal(table.readings, 0);
  assert.equal(await table.hasEnded({}, {}, {}), false);
  assert.equal(table.read, 1, 'the first one says it');
});

test('an answer is for the drain that it was asked for', async () => {
  const table = new Table();
  assert.equal(await table.hasEnded(), true);
  assert.equal(table.ended.have(web, pod, 2), false);
});

test('a table that is too large, or cannot be read, says nothing', async () => {
  const table = new Table();
  const many = Array.from({ length: 50_001 }, () => ({ real: otherPod.address }));
  assert.equal(await table.hasEnded(...many), false);
  assert.equal(await table.hasEnded(...many.slice(1)), true);
  const broken = new EndedConnections(
    () => {
      throw new Error('no IPVS');
    },
    { now: () => 0 },
  );
  broken.have(web, pod, 10);
  await broken.look();
  assert.equal(broken.have(web, pod, 10), false);
});

test('looks that take long are far between', async () => {
  const table = new Table();
  table.costMs = 100;
  await table.hasEnded();
  table.now += 1999;
  await table.hasEnded();
  assert.equal(table.readings, 1);
  table.now += 1;
  await table.hasEnded();
  assert.equal(table.readings, 2);
});
