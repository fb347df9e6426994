/** `switchyard proxy --proxy-mode ipvs`, the real process: what it programs, how it ends, what it leaves. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ProxyProcess } from '../e2e/lab/proxy-process.ts';
import { skipOutsideUml } from '../lab/uml/inside.ts';
import { type KubeObject, service, slice } from '../netns/conformance/objects.ts';
import { type Place, place } from '../netns/conformance/place.ts';
import { planeNamed } from '../netns/conformance/planes.ts';
import { type IpvsNode, openNodes } from './ipvs-node.ts';
import { assertAlive, failures, frontends, holdEach, places, writeWeb } from './ipvs-web.ts';
import { annotated, until } from './ipvs-world.ts';

const { dump, foreign } = planeNamed('ipvs');
const SCHEDULERS = ['rr', 'wlc', 'mh', 'sh', 'lblc'] as const;

function numberedPlace(number: number): Place {
  return place(number % 2 === 0 ? 'IPv4' : 'IPv6', 1);
}

/** The virtual server on the cluster IP of a number, as ipvsadm writes it. */
function virtualName(at: Place, number: number): string {
  const address = at.clusterIP(number);
  return at.family === 'IPv6' ? `[${address}]:80` : `${address}:80`;
}

/** The Service of a number and its slice, of every sort in turn. */
function numbered(number: number): readonly KubeObject[] {
  const at = numberedPlace(number);
  const name = `s-${number}`;
  const object = service(at, {
    name,
    clusterIP: at.clusterIP(number),
    ...(number % 5 === 0 && { nodePort: 30_000 + number }),
    ...(number % 7 === 0 && { externalIPs: [at.externalIP(number)] }),
    ...(number % 9 === 0 && { affinitySeconds: 600 }),
    ...(number % 11 === 0 && { nodePort: 31_000 + number, external: 'Local' }),
  });
  const endpoints = (['pod-a', 'pod-b', 'pod-c', 'pod-d'] as const).slice(number % 4);
  const scheduler = SCHEDULERS[number % SCHEDULERS.length] ?? 'rr';
  return [
    annotated(object, { 'ipvs-scheduler': scheduler }),
    slice(at, endpoints, { service: name }),
  ];
}

describe('switchyard proxy --proxy-mode ipvs', { skip: skipOutsideUml }, () => {
  const newNode = openNodes();

  describe('with fifty Services', () => {
    let node: IpvsNode;
    let proxy: ProxyProcess;

    before(async () => {
      node = newNode();
      for (let number = 0; number < 50; number++) node.write(`s-${number}`, numbered(number));
      proxy = await node.start();
      const client = node.lab.host('client');
      for (const [index, at] of places.entries()) {
        const address = at.clusterIP(index);
        await client.open(address, 80);
        await client.probe('UDP', { address, port: 80, timeoutMs: 5000, count: 3 });
      }
      // The kernel adds up every two seconds, and tells nobody.
      await until('the counts of both families', () => {
        const lines = node.shell('ipvsadm -Ln --stats').split('\n');
        return lines.filter((line) => /^(?:TCP|UDP) .*:80 +[13] /.test(line)).length === 4;
      });
    });
    after(() => node[Symbol.asyncDispose]());

    test('the log names the mode as kube-proxy does, and kube-ipvs0 has the addresses', async () => {
      assert.match(await proxy.told(/Using .* Proxier/), /"Using ipvs Proxier"/);
      assert.match(await proxy.told(/ agent\] "Serving" /), /mode="ipvs".* services=50 /);
      assert.match(node.shell('ip -d link show kube-ipvs0'), /UP[\s\S]* dummy /);
      const routes = node.shell('ip route show table local; ip -6 route show table local');
      const bound = routes.split('\n').filter((line) => / dev kube-ipvs0 proto static /.test(line));
      for (const [index, at] of places.entries()) {
        assert.ok(bound.some((line) => line.startsWith(`local ${at.clusterIP(index)} `)));
      }
      // Cluster IPs of fifty Services, and the external IPs of every seventh.
      assert.equal(bound.length, 50 + 8, bound.join('\n'));
    });

    for (const [args, flags, least] of [
      ['list', '-Ln', 300],
      ['stats', '-Ln --stats', 300],
      ['rate', '-Ln --rate', 300],
      ['timeouts', '-L --timeout', 1],
    ] as const) {
      test(`switchyard ipvs ${args} is ipvsadm ${flags}, line by line`, async () => {
        let [mine, its] = ['', ''];
        await until('a moment when nothing moves', async () => {
          its = node.shell(`ipvsadm ${flags}`);
          mine = await node.switchyard('ipvs', args);
          return node.shell(`ipvsadm ${flags}`) === its;
        });
        assert.equal(mine, its);
        assert.ok(mine.split('\n').length > least, mine);
      });
    }

    test('switchyard ipvs connections is ipvsadm -Lcn, but for the order and the time that passes', async () => {
      const its = connectionLines(node.shell('ipvsadm -Lcn'));
      assert.deepEqual(connectionLines(await node.switchyard('ipvs', 'connections')), its);
      // A header of two lines, and for each family a connection and three flows.
      assert.ok(its.length >= 2 + 2 * 4, its.join('\n'));
    });

    test('every virtual server has the name of its Service', async () => {
      const list = await node.switchyard('ipvs', 'list', '--services');
      const servers = list.split('\n').filter((line) => /^(?:TCP|UDP|FWM) /.test(line));
      assert.ok(servers.length >= 100, `${servers.length} virtual servers`);
      for (const line of servers) assert.match(line, / {2}shop\/s-\d+:(?:tcp|udp)$/);
      for (const [number, at] of places.entries()) {
        const found = servers.filter((line) => line.startsWith(`TCP  ${virtualName(at, number)} `));
        assert.equal(found.length, 1);
        assert.ok(found[0]?.endsWith(` shop/s-${number}:tcp`), found[0]);
      }
    });

    test('the metrics count by Service, and know the size of the connection table', () => {
      const metrics = node.metrics().filter((line) => line.startsWith('ipvs_'));
      const valueOf = (name: string, number: number, port: string): number => {
        const labels = `namespace="shop",name="s-${number}",port="${port}",protocol="${port.toUpperCase()}"`;
        const server = `virtual_server="${virtualName(numberedPlace(number), number)}"`;
        const line = metrics.find((each) => each.startsWith(`${name}{${labels},${server}`));
        assert.ok(line !== undefined, `${name} ${labels} ${server} in\n${metrics.join('\n')}`);
        return Number(line.split(' ').at(-1));
      };
      for (const number of places.keys()) {
        assert.equal(valueOf('ipvs_connections_active', number, 'tcp'), 1);
        assert.equal(valueOf('ipvs_connections_total', number, 'tcp'), 1);
        assert.equal(valueOf('ipvs_connections_total', number, 'udp'), 3);
        assert.equal(valueOf('ipvs_incoming_packets_total', number, 'udp'), 3);
        assert.ok(valueOf('ipvs_outgoing_bytes_total', number, 'tcp') > 50);
        assert.equal(valueOf('ipvs_real_server_weight', number, 'tcp'), 1);
        // Nobody asked this one for anything.
        assert.equal(valueOf('ipvs_connections_total', number + 2, 'tcp'), 0);
      }
      assert.ok(metrics.includes('ipvs_connection_table_size 4096'));
    });
  });

  test('kill -9, changes meanwhile, start: connections live, new ones are served, nothing stale is left', async () => {
    await using node = newNode();
    writeWeb(node);
    const going = [4, 7];
    for (const number of going) node.write(`s-${number}`, numbered(number));
    const proxy = await node.start();
    /** Addresses of the Services that go, as far as the kernel knows them. */
    const left = (): readonly string[] => {
      const text = node.shell(
        'ipvsadm -Sn; ipset save; ip route show table local; ip -6 route show table local',
      );
      const words = new Set(text.split(/[\s,[\]]+|:80\b/));
      return going
        .flatMap((number) => {
          const at = numberedPlace(number);
          return [at.clusterIP(number), at.externalIP(number)];
        })
        .filter((address) => words.has(address));
    };
    // Number 7 has an external IP, number 4 has none.
    assert.equal(left().length, 3);
    const held = await holdEach(node);
    const client = node.lab.host('client');
    const loops = await Promise.all(
      frontends.map(([address, port]) =>
        client.loop('TCP', { address, port, timeoutMs: 5000, pauseMs: 20 }),
      ),
    );
    proxy.kill('SIGKILL');
    await proxy.ended;
    for (const number of going) node.erase(`s-${number}`);
    await assertAlive(held);
    await node.start();
    await assertAlive(held);
    for (const end of loops) {
      const { probes, failures: failed } = await end();
      assert.deepEqual(failed, {}, `of ${probes} probes`);
      assert.ok(probes > 10, `${probes} probes`);
    }
    // What has no connection goes when the proxy looks after what drains, once a second.
    await until('removal of what went', () => left().length === 0);
    assert.deepEqual(await failures(node), []);
  });

  test('SIGTERM: it ends with 0, and everything goes on', async () => {
    await using node = newNode();
    writeWeb(node);
    const proxy = await node.start();
    const held = await holdEach(node);
    const programmed = node.shell(dump);
    proxy.kill('SIGTERM');
    assert.deepEqual(await proxy.ended, { code: 0, signal: null });
    assert.equal(node.shell(dump), programmed);
    await assertAlive(held);
    assert.deepEqual(await failures(node), []);
  });

  test('cleanup removes everything of ours and nothing else', async () => {
    await using node = newNode();
    node.shell(foreign.add('IPv4', ''));
    try {
      const untouched = withoutEmptyTables(node.shell(dump));
      writeWeb(node);
      for (let number = 0; number < 12; number++) node.write(`s-${number}`, numbered(number));
      const proxy = await node.start();
      assert.deepEqual(await failures(node), []);
      const removed = difference(withoutEmptyTables(node.shell(dump)), untouched);
      assert.ok(removed.length > 100, removed.join('\n'));
      proxy.kill('SIGTERM');
      await proxy.ended;
      assert.match(await node.switchyard('cleanup'), /Removed all ipvs rules of switchyard\./);
      assert.deepEqual(withoutEmptyTables(node.shell(dump)), untouched);
      assert.match(await node.switchyard('cleanup'), /There were no ipvs rules of switchyard\./);
    } finally {
      node.shell(foreign.remove('IPv4', ''));
    }
  });
});

/** Lines of a connection table, sorted, without the time to the end of each. */
function connectionLines(text: string): readonly string[] {
  const lines = text.trimEnd().split('\n');
  return lines.map((line) => line.replace(/ \d+:\d{2} /, ' ')).toSorted();
}

/** Of a dump, what is there; not which tables iptables has loaded, with the chains that the kernel makes. */
function withoutEmptyTables(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '' && !/^(?:\*|COMMIT|:[A-Z]+ )/.test(line));
}

function difference(lines: readonly string[], without: readonly string[]): readonly string[] {
  return lines.filter((line) => !without.includes(line));
}
