/** Ends of the proxy, wanted and not, and a burst of changes: traffic notices nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { inNamespace } from '../../lab/in-namespace.ts';
import { endpoints, frontends } from '../lab/ruleset.ts';
import { Cluster, ip, isList, setUpNode } from './cluster.ts';
import { Caller } from './caller.ts';
import { service, slice } from './objects.ts';

const programmed = /\] "Programmed" /;
const serving = /\] "Serving" /;
const POD = '10.128.0.10';

/** Resident memory of a process, in MB. */
function rss(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

inNamespace(import.meta.filename, () => {
  let pod: Server;
  const sockets = new Set<Socket>();
  before(async () => {
    setUpNode();
    ip('address', 'add', `${POD}/32`, 'dev', 'lo');
    pod = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    pod.listen(8080, POD);
    await once(pod, 'listening');
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    pod.close();
  });

  test('kill -9 while everything changes, and a new start: no call fails, nothing stale is left', async (t) => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    server.apply(slice('web', [POD]));
    const first = cluster.proxy();
    await first.logged(serving);
    using old = await Caller.connect('10.96.0.1', 80);
    await old.echo('before');
    await using calls = Caller.keepCalling('10.96.0.1', 80);

    for (let round = 0; round < 3; round++) {
      const proxy = round === 0 ? first : cluster.proxy();
      if (round > 0) await proxy.logged(serving);
      for (let step = 0; step < 100; step++) {
        server.apply(service(`s${step}`, { clusterIP: `10.97.${round}.${step}` }));
        server.apply(slice(`s${step}`, [`10.2.${round}.${step}`]));
        server.apply(slice('web', step % 2 === 0 ? [POD] : [POD, POD]));
        if (step === 50) await proxy.logged(programmed);
      }
      proxy.kill('SIGKILL');
      await proxy.ended;
    }
    for (let step = 0; step < 90; step++) {
      server.delete('Service', 'shop', `s${step}`);
      server.delete('EndpointSlice', 'shop', `s${step}-1`);
    }
    const last = cluster.proxy();
    await last.logged(serving);
    const expected = Array.from({ length: 10 }, (_, index) => `10.97.2.${90 + index}:80`);
    assert.deepEqual(frontends(cluster), ['10.96.0.1:80', ...expected]);
    assert.deepEqual(endpoints(cluster, '10.97.2.95:80'), ['10.2.2.95:8080']);
    assert.doesNotMatch(cluster.nft('list', 'ruleset'), /10\.97\.[01]\.|10\.2\.[01]\./);
    await old.echo('after');
    const { succeeded, failures } = await calls.stop();
    t.diagnostic(`${succeeded} calls while the proxy was killed three times`);
    assert.deepEqual(failures, []);
    assert.ok(succeeded > 100);
  });

  test('SIGTERM ends it within a second while the API server does not answer, and the rules stay', async () => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    const first = cluster.proxy();
    await first.logged(serving);
    server.faults.add(({ query }) => !isList(query), { kind: 'hang' }, 100);
    for (const watch of server.watches) watch.end();
    await server.nextRequest(({ query }) => !isList(query));
    for (const proxy of [first, undefined]) {
      let victim = proxy;
      if (victim === undefined) {
        server.faults.add(() => true, { kind: 'hang' }, 100);
        const asked = server.nextRequest(() => true);
        victim = cluster.proxy();
        await asked;
      }
      const asked = performance.now();
      victim.kill('SIGTERM');
      assert.deepEqual(await victim.ended, { code: 0, signal: null });
      assert.ok(performance.now() - asked < 1000);
      assert.equal(victim.count(/Stopped; what is programmed stays/), 1);
      assert.equal(victim.count(/^[WE]/), 0);
      assert.deepEqual(frontends(cluster), ['10.96.0.1:80']);
    }
  });

  test('5,000 changes of slices at once are far fewer batches', async (t) => {
    await using cluster = await Cluster.start();
    const { server } = cluster;
    for (let index = 0; index < 50; index++) {
      server.apply(service(`s${index}`, { clusterIP: `10.97.0.${index}` }));
      server.apply(slice(`s${index}`, ['10.2.0.1']));
    }
    const proxy = cluster.proxy();
    await proxy.logged(serving);
    const atFirst = rss(proxy.pid);
    for (let change = 0; change < 5000; change++) {
      server.apply(slice(`s${change % 50}`, [`10.3.${change >> 8}.${change & 255}`]));
    }
    server.apply(slice('web', ['10.4.0.1']));
    while (endpoints(cluster, '10.96.0.1:80')[0] !== '10.4.0.1:8080')
      await proxy.logged(programmed);
    for (let index = 0; index < 50; index++) {
      const change = 4950 + index;
      const expected = [`10.3.${change >> 8}.${change & 255}:8080`];
      assert.deepEqual(endpoints(cluster, `10.97.0.${index}:80`), expected);
    }
    const batches = proxy.count(programmed) - 1;
    t.diagnostic(`${batches} batches; ${atFirst} MB resident before, ${rss(proxy.pid)} MB after`);
    assert.ok(batches < 500, `${batches} batches`);
    assert.equal(cluster.lists.length, 4);
  });
});
