/** What the plane makes of tables it finds, and what it leaves in the kernel, in a namespace of its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { parseCidr } from '../../../src/core/ip.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { NftBatch } from '../../../src/kernel/nftables/batch.ts';
import { NftSocket } from '../../../src/kernel/nftables/socket.ts';
import { forgetClients } from '../../../src/planes/nftables/affinity.ts';
import { openNftablesPlane } from '../../../src/planes/nftables/plane.ts';
import type { DataPlane } from '../../../src/planes/plane.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { frontend } from '../../unit/core/routes.ts';
import { SETTINGS, chains, nft, route } from './routes.ts';

/** A client in the map of those that are. */
function remembered(client: string): string {
  return `${client} . 10.96.0.0 . tcp . 80 : 10.1.0.0 . 8080`;
}

/** Rules by which new connections come. */
function waysIn(): readonly string[] {
  return nft('list', 'table', 'ip', 'switchyard').match(/^\t\tjump services/gm) ?? [];
}

inNamespace(import.meta.filename, () => {
  let plane: DataPlane;

  beforeEach(() => {
    plane = openNftablesPlane(openKernelIo());
  });
  afterEach(() => {
    plane.close();
    nft('flush', 'ruleset');
  });

  test('the kernel has all that is needed', () => {
    assert.deepEqual(
      plane.probe().filter(({ ok }) => !ok),
      [],
    );
    assert.equal(nft('list', 'ruleset'), '', 'trying leaves nothing behind');
  });

  test('the number of chains does not depend on the number of Services', async () => {
    await plane.open(SETTINGS, [route(0, 3)]);
    const one = chains();
    await plane.apply(
      Array.from({ length: 500 }, (_, index) => route(index + 1, 3)).map((after) => ({
        key: after.key,
        before: undefined,
        after,
      })),
    );
    assert.deepEqual(chains(), one);
  });

  test('a table of another version is replaced in one transaction', async () => {
    nft('add table ip switchyard { comment "switchyard layout 0"; }');
    nft('add chain ip switchyard old { type nat hook prerouting priority -100; }');
    nft('add table ip other');
    nft('add chain ip other mine { type nat hook prerouting priority -90; }');
    const other = nft('list', 'table', 'ip', 'other');

    const report = await plane.open(SETTINGS, [route(0, 2)]);
    assert.equal(report.batches, 1);
    assert.ok(!chains().includes('old'));
    assert.deepEqual((await plane.verify()).drift, []);
    assert.equal(nft('list', 'table', 'ip', 'other'), other);
  });

  test('other settings change rules and leave elements and remembered clients alone', async () => {
    await plane.open(SETTINGS, [route(0, 2, { affinitySeconds: 600 })]);
    nft(
      'add element ip switchyard affinity { 192.0.2.9 . 10.96.0.0 . tcp . 80 timeout 600s : 10.1.0.1 . 8080 }',
    );
    const pods = parseCidr('10.1.0.0/16');
    assert.ok(pods !== undefined);
    const localTraffic = { IPv4: { kind: 'cidr', cidr: pods } } as const;
    await plane.open({ ...SETTINGS, localTraffic }, [route(0, 2, { affinitySeconds: 600 })]);
    const listed = nft('list', 'table', 'ip', 'switchyard');
    assert.match(listed, /ip saddr != 10\.1\.0\.0\/16 .*@cluster-ips masquerade/);
    assert.match(listed, /192\.0\.2\.9 \. 10\.96\.0\.0 \. tcp \. 80 timeout 10m/);
    assert.deepEqual((await plane.verify()).drift, []);
  });

  test('clients remembered at an endpoint that went while nobody was there are forgotten', async () => {
    await plane.open(SETTINGS, [route(0, 2, { affinitySeconds: 600 })]);
    nft(
      'add element ip switchyard affinity { 192.0.2.8 . 10.96.0.0 . tcp . 80 : 10.1.0.0 . 8080, 192.0.2.9 . 10.96.0.0 . tcp . 80 : 10.1.0.1 . 8080 }',
    );
    const next = openNftablesPlane(openKernelIo());
    await next.open(SETTINGS, [route(0, 1, { affinitySeconds: 600 })]);
    next.close();
    const listed = nft('list', 'map', 'ip', 'switchyard', 'affinity');
    assert.match(listed, /192\.0\.2\.8/);
    assert.doesNotMatch(listed, /192\.0\.2\.9/);
  });

  test('clients remembered outside at an endpoint that only insiders may use now are forgotten', async () => {
    const both = route(0, 2, { affinitySeconds: 600 });
    const [first] = both.external.kind === 'endpoints' ? both.external.endpoints : [];
    assert.ok(first !== undefined);
    const frontends = [frontend('nodePort', '10.96.0.0')];
    await plane.open(SETTINGS, [{ ...both, frontends }]);
    nft(
      'add element ip switchyard affinity { 192.0.2.8 . 10.96.0.0 . tcp . 80 : 10.1.0.0 . 8080, 192.0.2.9 . 10.96.0.0 . tcp . 80 : 10.1.0.1 . 8080 }',
    );
    const next = openNftablesPlane(openKernelIo());
    await next.open(SETTINGS, [
      {
        ...both,
        frontends,
        external: { kind: 'endpoints', endpoints: [first] },
        externalFromInside: both.external,
        masqueradeExternal: false,
      },
    ]);
    next.close();
    const listed = nft('list', 'map', 'ip', 'switchyard', 'affinity');
    assert.match(listed, /192\.0\.2\.8/);
    assert.doesNotMatch(listed, /192\.0\.2\.9/);
  });

  test('clients that expire while others are forgotten are in nobody’s way', async () => {
    await plane.open(SETTINGS, [route(0, 1, { affinitySeconds: 600 })]);
    const clients = Array.from({ length: 250 }, (_, index) => remembered(`192.0.2.${index}`));
    nft(`add element ip switchyard affinity { ${clients.join(', ')} }`);
    using stack = new DisposableStack();
    const socket = stack.adopt(NftSocket.open(openKernelIo()), (each) => {
      each.close();
    });
    const batch = new NftBatch();
    let isListed = false;
    const isStale = (): boolean => {
      const listed = isListed ? '' : nft('list', 'map', 'ip', 'switchyard', 'affinity');
      const [first] = /192\.0\.2\.\d+/.exec(listed) ?? [];
      if (first !== undefined) {
        nft(`delete element ip switchyard affinity { ${remembered(first)} }`);
      }
      isListed = true;
      return true;
    };
    forgetClients(socket, 'IPv4', isStale, batch, () => {
      isListed = false;
      try {
        socket.commit(batch);
      } finally {
        batch.reset();
      }
    });
    assert.doesNotMatch(nft('list', 'map', 'ip', 'switchyard', 'affinity'), /192\.0\.2\./);
  });

  test('no connection is taken before all is there, also after a crash in between', async () => {
    const routes = Array.from({ length: 500 }, (_, index) => route(index, 3));
    const seen: (readonly string[])[] = [];
    const watch = async (opening: Promise<unknown>): Promise<void> => {
      const isOpen = opening.then(() => true);
      while (!(await Promise.race([isOpen, setImmediate(false)]))) {
        if (nft('list', 'tables').includes('table ip switchyard')) seen.push(waysIn());
      }
    };
    await watch(plane.open(SETTINGS, routes));
    assert.equal(waysIn().length, 2);
    for (const chain of ['nat-prerouting', 'nat-output']) {
      nft('flush', 'chain', 'ip', 'switchyard', chain);
    }
    nft('flush', 'map', 'ip', 'switchyard', 'service-ips');
    const next = openNftablesPlane(openKernelIo());
    await watch(next.open(SETTINGS, routes));
    next.close();
    assert.equal(waysIn().length, 2);
    assert.ok(seen.length >= 2);
    assert.deepEqual(new Set(seen.flat()), new Set());
    assert.deepEqual((await plane.verify()).drift, []);
  });

  test('the chain for a new number of endpoints is there before anything leads to it', async () => {
    const [two, three, four] = [route(0, 2), route(0, 3), route(0, 4)];
    await plane.open(SETTINGS, [two, route(1, 3)]);
    const known = await plane.apply([{ key: two.key, before: two, after: three }]);
    assert.equal(known.batches, 1);
    const unknown = await plane.apply([{ key: two.key, before: three, after: four }]);
    assert.equal(unknown.batches, 2);
  });

  test('a family that is not wanted any more loses its table', async () => {
    await plane.open(SETTINGS, []);
    await plane.open({ ...SETTINGS, families: ['IPv4'] }, []);
    assert.doesNotMatch(nft('list', 'tables'), /ip6 switchyard/);
    assert.match(nft('list', 'tables'), /ip switchyard/);
  });

  test('timeouts that nobody uses any more go at once, large chains with the next verification', async () => {
    const big = route(0, 100, { affinitySeconds: 77 });
    await plane.open(SETTINGS, [big]);
    assert.ok(chains().includes('pick-100'));
    assert.match(nft('list', 'sets'), /sticky-77s/);
    await plane.apply([{ key: big.key, before: big, after: route(0, 99) }]);
    assert.doesNotMatch(nft('list', 'sets'), /sticky-77s/);
    await plane.verify();
    assert.ok(!chains().includes('pick-100'));
    assert.ok(chains().includes('pick-99'));
    assert.deepEqual((await plane.verify()).drift, []);
  });

  test('a foreign change between two of ours is noticed only where it is in our table', async () => {
    await plane.open(SETTINGS, [route(0, 2)]);
    nft('add table ip other');
    assert.equal(plane.disturbed(), false);
    nft('delete element ip switchyard service-ips { 10.96.0.0 . tcp . 80 }');
    assert.equal(plane.disturbed(), true);
    const { drift } = await plane.verify();
    assert.deepEqual(drift, [
      'ip switchyard: service-ips 10.96.0.0 . TCP . 80 was missing or wrong',
    ]);
    assert.equal(plane.disturbed(), false);
  });

  test('a table that was deleted between two changes is whole after the second', async () => {
    await plane.open(SETTINGS, [route(0, 2), route(1, 2)]);
    nft('delete table ip switchyard');
    await plane.apply([{ key: route(1, 2).key, before: route(1, 2), after: route(1, 3) }]);
    const frontends = await plane.inspect();
    assert.deepEqual(new Set(frontends.map(({ target }) => target.length)), new Set([2, 3]));
    assert.deepEqual((await plane.verify()).drift, []);
  });

  test('the longest names there can be are listed in a form that nft takes back', async () => {
    const label = `${'n'.repeat(63)}/${'s'.repeat(63)}:${'p'.repeat(15)}`;
    await plane.open(SETTINGS, [route(0, 2, { label })]);
    const listed = nft('list', 'ruleset');
    assert.match(listed, /n{63}\/s{60}\.\.\."/);
    nft('flush', 'ruleset');
    execFileSync('nft', ['-f', '-'], { input: listed });
    assert.equal(nft('list', 'ruleset'), listed);
    assert.deepEqual((await plane.verify()).drift, []);
  });

  test('remove takes our tables and nothing else, and says whether there were any', async () => {
    nft('add table ip other');
    const before = nft('list', 'ruleset');
    assert.equal(await plane.remove(), false);
    await plane.open(SETTINGS, [route(0, 2)]);
    assert.equal(await plane.remove(), true);
    assert.equal(nft('list', 'ruleset'), before);
  });

  test('remove takes no new connections first, and leaves the rest to those that are on their way', async () => {
    await plane.open(SETTINGS, [route(0, 2)]);
    const whole = nft('list', 'table', 'ip', 'switchyard');
    const removing = plane.remove();
    const jumps = /^\t\tjump services .*\n/gm;
    assert.equal(whole.match(jumps)?.length, 2);
    assert.equal(nft('list', 'table', 'ip', 'switchyard'), whole.replace(jumps, ''));
    await removing;
    assert.equal(nft('list', 'ruleset'), '');
  });
});
