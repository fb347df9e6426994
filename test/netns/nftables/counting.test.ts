/** What the plane counts, which Service ports it counts, and what becomes of counters it finds. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';
import type { PlaneSettings } from '../../../src/core/node.ts';
import type { Route } from '../../../src/core/route.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { openNftablesPlane } from '../../../src/planes/nftables/plane.ts';
import type { DataPlane } from '../../../src/planes/plane.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { SETTINGS, address, chains, nft, route } from './routes.ts';

const COUNTED: PlaneSettings = { ...SETTINGS, countedPorts: 2 };

/** Service number `index` over UDP. Its endpoint is an address of this host, where nobody listens. */
const udp = (index: number, more: Partial<Route> = {}): Route =>
  route(index, 1, { protocol: 'UDP', key: `shop/s${index}:http/UDP/IPv4`, ...more });

const sortedLines = (text: string): readonly string[] => text.split('\n').toSorted();

const isCountChain = (name: string): boolean => name.startsWith('count');

inNamespace(import.meta.filename, () => {
  let plane: DataPlane;
  let client: Socket;

  // Endpoint 10.1.0.0 is on this host, and packets to the cluster IPs find their way out.
  execFileSync('ip', ['-batch', '-'], {
    input: 'addr add 10.1.0.0/32 dev lo\nroute add 10.96.0.0/16 dev lo src 10.1.0.0\n',
  });

  beforeEach(async () => {
    plane = openNftablesPlane(openKernelIo());
    client = createSocket('udp4');
    client.on('error', () => {
      // Nobody listens at the endpoint.
    });
    client.bind();
    await once(client, 'listening');
  });
  afterEach(() => {
    client.close();
    plane.close();
    nft('flush', 'ruleset');
  });

  /** Sends datagrams of 100 bytes; they have passed all rules when this settles. */
  const send = async (to: string, count: number): Promise<void> => {
    const packets = Array.from(
      { length: count },
      () =>
        new Promise<void>((resolve, reject) => {
          client.send(Buffer.alloc(72), 80, to, (error) => {
            if (error === null) resolve();
            else reject(error);
          });
        }),
    );
    await Promise.all(packets);
  };
  const packetsIn = async (): Promise<Readonly<Record<string, number>>> =>
    Object.fromEntries((await plane.counters()).map((each) => [each.name, each.packetsIn]));
  const countedNames = async (): Promise<readonly string[]> =>
    (await plane.counters()).map(({ name }) => name).toSorted();

  test('with nothing to count there are no rules that see every packet, no counters, nothing to read', async () => {
    await plane.open(SETTINGS, [udp(0)]);
    assert.deepEqual(chains().filter(isCountChain), []);
    assert.doesNotMatch(nft('list', 'ruleset'), /type filter|counter \S+ \{/);
    assert.deepEqual(await plane.counters(), []);
  });

  test('a counter says whose it is and what came through', async () => {
    await plane.open(COUNTED, [udp(0)]);
    await send('10.96.0.0', 3);
    const [counters, ...others] = await plane.counters();
    assert.deepEqual(others, []);
    assert.deepEqual(counters, {
      namespace: 'shop',
      name: 's0',
      port: 'http',
      protocol: 'UDP',
      family: 'IPv4',
      connections: 1,
      packetsIn: 3,
      packetsOut: 0,
      bytesIn: 300,
      bytesOut: 0,
    });
  });

  test('a port without a name has counters, too', async () => {
    await plane.open(COUNTED, [udp(0, { key: 'shop/s0:/UDP/IPv4' })]);
    await send('10.96.0.0', 1);
    const [counters] = await plane.counters();
    assert.equal(counters?.name, 's0');
    assert.equal(counters.port, '');
    assert.equal(counters.packetsIn, 1);
  });

  test('the first ports get the places, and keep them', async () => {
    await plane.open(COUNTED, [udp(0), udp(1), udp(2)]);
    assert.deepEqual(await countedNames(), ['s0', 's1']);
    await send('10.96.0.1', 2);
    await send('10.96.0.2', 5);
    await plane.apply([{ key: udp(3).key, before: undefined, after: udp(3) }]);
    assert.deepEqual(await packetsIn(), { s0: 0, s1: 2 });

    const report = await plane.apply([{ key: udp(0).key, before: udp(0), after: undefined }]);
    assert.deepEqual(await packetsIn(), { s1: 2, s2: 0 }, 'the one that waits longest is next');
    await send('10.96.0.2', 1);
    assert.deepEqual(await packetsIn(), { s1: 2, s2: 1 });
    assert.ok(report.operations <= 20, `${report.operations} operations for one place`);
    assert.deepEqual((await plane.verify()).drift, []);
  });

  test('both families of a Service port share a place', async () => {
    const six = udp(0, {
      key: 'shop/s0:http/UDP/IPv6',
      family: 'IPv6',
      frontends: [{ kind: 'clusterIP', address: address('fd00:96::1'), port: 80 }],
      internal: { kind: 'reject' },
    });
    await plane.open(COUNTED, [udp(0), udp(1), udp(2), six]);
    const found = (await plane.counters()).map(({ name, family }) => `${name} ${family}`);
    assert.deepEqual(found.toSorted(), ['s0 IPv4', 's0 IPv6', 's1 IPv4']);
    await plane.apply([{ key: udp(0).key, before: udp(0), after: undefined }]);
    assert.deepEqual(await countedNames(), ['s0', 's1'], 'one family keeps the place');
    await plane.apply([{ key: six.key, before: six, after: undefined }]);
    assert.deepEqual(await countedNames(), ['s1', 's2']);
  });

  test('a frontend that comes or goes takes nothing from what was counted', async () => {
    const [first] = udp(0).frontends;
    assert.ok(first !== undefined);
    const second = { kind: 'externalIP', address: address('10.96.9.9'), port: 80 } as const;
    const both = udp(0, { frontends: [first, second] });
    const moved = udp(0, { frontends: [{ ...first, address: address('10.96.8.8') }] });
    await plane.open(COUNTED, [both]);
    await send('10.96.0.0', 2);
    await send('10.96.9.9', 3);
    assert.deepEqual(await packetsIn(), { s0: 5 });
    await plane.apply([{ key: both.key, before: both, after: udp(0) }]);
    assert.deepEqual(await packetsIn(), { s0: 5 });
    await plane.apply([{ key: both.key, before: udp(0), after: moved }]);
    await send('10.96.8.8', 1);
    assert.deepEqual(await packetsIn(), { s0: 6 });
  });

  test('a frontend that moves to another Service counts for that one from then on', async () => {
    await plane.open(COUNTED, [udp(0)]);
    await send('10.96.0.0', 2);
    const heir = udp(1, { frontends: udp(0).frontends });
    const empty = udp(0, {
      frontends: [{ kind: 'clusterIP', address: address('10.96.7.7'), port: 80 }],
    });
    await plane.apply([
      { key: udp(0).key, before: udp(0), after: empty },
      { key: heir.key, before: undefined, after: heir },
    ]);
    // Another port, another flow.
    client.close();
    client = createSocket('udp4').on('error', () => undefined);
    await send('10.96.0.0', 3);
    assert.deepEqual(await packetsIn(), { s0: 2, s1: 3 });
    assert.deepEqual((await plane.verify()).drift, []);
  });

  test('who was counted by an earlier run stays so, with what was counted', async () => {
    await plane.open(COUNTED, [udp(2), udp(1)]);
    await send('10.96.0.2', 4);
    plane.close();
    plane = openNftablesPlane(openKernelIo());
    const report = await plane.open(COUNTED, [udp(0), udp(1), udp(2)]);
    assert.deepEqual(await packetsIn(), { s1: 0, s2: 4 });
    assert.ok(report.operations <= 4, `${report.operations} operations for one new Service`);
    assert.equal((await plane.open(COUNTED, [udp(0), udp(1), udp(2)])).operations, 0);
  });

  test('counting switched on and off changes rules and counters, and leaves the rest alone', async () => {
    const sticky = udp(0, { affinitySeconds: 600 });
    await plane.open(SETTINGS, [sticky]);
    const off = nft('list', 'ruleset').replaceAll(/ expires \S+/g, '');
    nft(
      'add element ip switchyard affinity { 192.0.2.9 . 10.96.0.0 . udp . 80 timeout 600s : 10.1.0.0 . 8080 }',
    );
    await plane.open(COUNTED, [sticky]);
    assert.equal(chains().filter(isCountChain).length, 5);
    assert.match(nft('list', 'ruleset'), /192\.0\.2\.9 \. 10\.96\.0\.0 \. udp \. 80/);
    assert.deepEqual((await plane.verify()).drift, []);
    await plane.open({ ...COUNTED, countedPorts: 7 }, [sticky]);
    assert.deepEqual(await countedNames(), ['s0']);

    await plane.open(SETTINGS, [sticky]);
    assert.match(nft('list', 'ruleset'), /192\.0\.2\.9/);
    nft('flush', 'map', 'ip', 'switchyard', 'affinity');
    assert.deepEqual(sortedLines(nft('list', 'ruleset')), sortedLines(off));
    assert.deepEqual(await plane.counters(), []);
  });

  test('fewer places take counters away, more places give some', async () => {
    const routes = [udp(0), udp(1), udp(2)];
    await plane.open(COUNTED, routes);
    await send('10.96.0.0', 1);
    await plane.open({ ...COUNTED, countedPorts: 1 }, routes);
    assert.deepEqual(await packetsIn(), { s0: 1 });
    await plane.open({ ...COUNTED, countedPorts: 3 }, routes);
    assert.deepEqual(await packetsIn(), { s0: 1, s1: 0, s2: 0 });
  });

  test('values are no drift; what others took, added or changed is', async () => {
    await plane.open(COUNTED, [udp(0), udp(1)]);
    await send('10.96.0.0', 2);
    assert.deepEqual((await plane.verify()).drift, []);
    nft('delete element ip switchyard counters-in { 10.96.0.0 . udp . 80 }');
    nft('add counter ip switchyard theirs');
    nft('delete element ip switchyard counters-out { 10.96.0.1 . udp . 80 }');
    nft('add element ip switchyard counters-out { 10.96.0.1 . udp . 80 : "theirs" }');
    assert.equal(plane.disturbed(), true);
    assert.deepEqual((await plane.verify()).drift, [
      'ip switchyard: counters-in 10.96.0.0 . UDP . 80 was missing or wrong',
      'ip switchyard: counters-out 10.96.0.1 . UDP . 80 was not ours or wrong',
      'ip switchyard: counters-out 10.96.0.1 . UDP . 80 was missing or wrong',
      'ip switchyard: counter theirs was not ours',
    ]);
    assert.deepEqual(await packetsIn(), { s0: 2, s1: 0 }, 'what was counted is still there');
    assert.doesNotMatch(nft('list', 'counters'), /theirs/);
  });

  test('nft takes back what it lists, with what was counted', async () => {
    const label = { namespace: 'n'.repeat(63), name: 's'.repeat(63), port: 'p'.repeat(15) };
    const long = udp(1, {
      key: `${label.namespace}/${label.name}:${label.port}/UDP/IPv4`,
      service: `${label.namespace}/${label.name}`,
    });
    const digits = udp(0, { key: 'shop/s0:1-http/UDP/IPv4' });
    await plane.open(COUNTED, [digits, long]);
    await send('10.96.0.0', 2);
    const listed = nft('list', 'ruleset');
    assert.match(listed, /counter in\/udp\/shop\/s0\/1-http \{\s+packets 2 bytes 200/);
    nft('flush', 'ruleset');
    execFileSync('nft', ['-f', '-'], { input: listed });
    assert.equal(nft('list', 'ruleset'), listed);
    assert.deepEqual((await plane.verify()).drift, []);
    assert.deepEqual(await packetsIn(), { s0: 2, [label.name]: 0 });
  });

  test('counters of a table of another version start over with the table', async () => {
    nft('add table ip switchyard { comment "switchyard layout 0"; }');
    nft('add counter ip switchyard in/udp/shop/s1/http');
    const report = await plane.open(COUNTED, [udp(0), udp(1), udp(2)]);
    assert.equal(report.batches, 1);
    assert.deepEqual(await countedNames(), ['s0', 's1']);
    assert.deepEqual((await plane.verify()).drift, []);
  });
});
