/** `switchyard ipvs …` against ipvsadm on the same kernel. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { ServersDocument } from '../../src/tools/inspect/ipvs/documents.ts';
import { shell } from '../netns/kernel/helpers.ts';
import { run } from '../unit/cli/run.ts';
import { withIpvs } from './kernel/helpers.ts';

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const patienceMs = 30_000;

/** Fifty virtual servers, with what ipvsadm shows in its own way. */
function setUp(): readonly string[] {
  const lines: string[] = [];
  const add = (service: string, scheduling: string, ...reals: readonly string[]): void => {
    lines.push(`-A ${service} -s ${scheduling}`);
    for (const real of reals) lines.push(`-a ${service} -r ${real}`);
  };
  add('-t 10.96.0.1:80', 'rr', '10.128.0.1:8080 -m', '10.128.0.2:8080 -m -w 0');
  add('-u 10.96.0.2:53', 'rr -p 10800', '10.128.0.1:5353 -m');
  add('-t [fd96::1]:80', 'wrr', '[fd01::2]:8080 -m -w 5', '[fd01::1]:8080 -m -w 65535');
  add('-u [fd96::2]:53', 'rr', '[fd01::1]:5353 -m');
  add('--sctp-service 10.96.0.1:9', 'wlc', '10.128.0.1:9 -m -x 100 -y 50', '10.128.0.9:9 -i');
  add('--sctp-service [fd96::1]:9', 'lc', '[fd01:2:3:4:5:6:7:8]:9 -m');
  add('-t 10.96.0.3:443', 'mh -b mh-port,mh-fallback', '10.128.0.3:443 -g', '10.128.0.4:443 -i');
  add('-u 10.96.0.3:443', 'mh -b mh-port -o', '10.128.0.3:443 -m');
  add(
    '-t 10.96.0.4:443',
    'sh -b sh-fallback',
    '192.168.0.1:1 -m',
    '10.0.0.1:1 -m',
    '127.0.0.1:1 -m',
  );
  add('-t 10.96.0.5:443', 'sh -b sh-port -p 60 -M 255.255.240.0', '10.128.0.3:443 -m');
  add('-u 10.96.0.6:443', 'lc -b flag-1,flag-3 -p 60 -o', '10.128.0.3:443 -m');
  add('-t 10.96.0.7:0', 'dh -p 10', '10.128.0.3:0 -m', '10.128.0.4:0 -m');
  add('-u 10.96.0.8:5060', 'rr -p 60 --pe sip', '10.128.0.3:5060 -m');
  add('-t [fd96::5]:443', 'sed -p 60 -M 64', '[fd01::1]:443 -m');
  add('-t [8000::1]:443', 'nq', '[fd01::1]:443 -m', '[1::1]:443 -m', '[7fff::1]:443 -m');
  add('-t 255.255.255.254:65535', 'rr', '192.168.255.254:65535 -m -w 65535');
  add('-f 7', 'wrr -p 60', '10.128.0.5:0 -m');
  add('-f 7 -6', 'wrr', '[fd01::5]:0 -m');
  add('-f 2147483648', 'rr');
  add('-f 4294967295', 'rr', '10.128.0.5:80 -g');
  // Of the kind that nodes have: what ipvsadm's order of them is depends on how it sorts.
  const nodes = [
    '192.168.1.10',
    '10.0.0.10',
    '127.0.0.1',
    '172.18.0.1',
    '100.64.0.1',
    '203.0.113.9',
  ];
  for (const port of [30080, 30443, 30001, 31999, 32000]) {
    for (const node of nodes) {
      add(`-${port % 2 === 0 ? 't' : 'u'} ${node}:${port}`, 'rr', '10.128.0.1:8080 -m');
    }
  }
  return lines;
}

withIpvs(import.meta.filename, () => {
  let server: Server;
  const held: Socket[] = [];

  before(async () => {
    for (const address of ['10.96.0.1/32', '10.96.0.2/32', '10.128.0.1/32']) {
      shell(`ip addr add ${address} dev lo`);
    }
    for (const address of ['fd96::1/128', 'fd96::2/128', 'fd01::1/128']) {
      shell(`ip addr add ${address} dev lo nodad`);
    }
    const lines = setUp();
    assert.equal(lines.filter((line) => line.startsWith('-A')).length, 50);
    shell('ipvsadm -R', `${lines.join('\n')}\n`);
    shell(
      'ipset restore',
      [
        'create swy-ipvs4-frontends hash:ip,port family inet comment',
        'add swy-ipvs4-frontends 10.96.0.1,tcp:80 comment "shop/web:http"',
        'add swy-ipvs4-frontends 10.96.0.1,sctp:9 comment "shop/web:sctp"',
        'add swy-ipvs4-frontends 10.96.0.2,udp:53 comment "kube-system/dns"',
        'create swy-ipvs6-frontends hash:ip,port family inet6 comment',
        'add swy-ipvs6-frontends fd96::1,tcp:80 comment "shop/web:http"',
        'create swy-ipvs6-inside hash:ip,port family inet6 skbinfo',
        'add swy-ipvs6-inside fd96::1,tcp:80 skbmark 0x7',
        'create OTHER hash:ip,port family inet comment',
        'add OTHER 10.96.0.3,tcp:443 comment "not/ours"',
        '',
      ].join('\n'),
    );
    server = createServer((socket) => socket.resume().on('error', () => socket.destroy()));
    server.listen(8080, '::');
    await once(server, 'listening');
    for (const host of ['10.96.0.1', '10.96.0.1', 'fd96::1']) {
      const socket = connect(80, host);
      await once(socket, 'connect');
      socket.write('x'.repeat(1000));
      held.push(socket);
    }
    for (const host of ['10.96.0.2', 'fd96::2']) {
      shell(`bash -c 'echo hello >/dev/udp/${host}/53'`);
    }
    // The kernel brings counters up to date every two seconds, and tells nobody.
    await until(() => / 10\.96\.0\.1:80 +2 +\d/.test(shell('ipvsadm -Ln --stats')));
  });
  after(async () => {
    for (const socket of held) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    shell('ipvsadm -C; ipset destroy');
  });

  for (const [args, ipvsadm] of [
    ['list', '-Ln'],
    ['stats', '-Ln --stats'],
    ['stats --exact', '-Ln --stats --exact'],
    ['rate', '-Ln --rate'],
    ['rate --exact', '-Ln --rate --exact'],
    ['list -t 10.96.0.1:80', '-Ln -t 10.96.0.1:80'],
    ['list -t [fd96::1]:80', '-Ln -t [fd96::1]:80'],
    ['list --sctp-service 10.96.0.1:9', '-Ln --sctp-service 10.96.0.1:9'],
    ['stats -u 10.96.0.2:53', '-Ln -u 10.96.0.2:53 --stats'],
    ['timeouts', '-L --timeout'],
  ] as const) {
    test(`${args} is ipvsadm ${ipvsadm}, line by line`, async () => {
      const [mine, its] = await atRest(
        () => ipvs(...args.split(' ')),
        () => shell(`ipvsadm ${ipvsadm}`),
      );
      assert.equal(mine, its);
      assert.ok(mine.length > 10);
    });
  }

  test('connections is ipvsadm -Lcn, but for the order and the time that passes', async () => {
    const started = performance.now();
    const mine = connectionsOf(await ipvs('connections'));
    const its = connectionsOf(shell('ipvsadm -Lcn'));
    // Each cuts off the part of a second.
    const most = (performance.now() - started) / 1000 + 1;
    assert.deepEqual([...mine.keys()].toSorted(), [...its.keys()].toSorted());
    // A header of two lines, three TCP connections, two UDP flows and a template.
    assert.equal(mine.size, 2 + 3 + 2 + 1);
    for (const [line, seconds] of mine) {
      const passed = seconds - (its.get(line) ?? Infinity);
      assert.ok(passed >= 0 && passed <= most, `${line}: ${passed} s`);
    }
  });

  test('what moves is told: connections held open, bytes that came in', async () => {
    const [list] = await atRest(
      () => ipvs('list', '-t', '10.96.0.1:80'),
      () => shell('ipvsadm -Ln'),
    );
    assert.match(list, /-> 10\.128\.0\.1:8080 +Masq +1 +2 +0 +\n/);
    assert.match(list, /-> 10\.128\.0\.2:8080 +Masq +0 +0 +0 +\n/);
    const stats = await ipvs('stats', '-t', '10.96.0.1:80');
    const [, connections, , , bytes] =
      /10\.128\.0\.1:8080 +(\d+) +(\d+) +(\d+) +(\d+)/.exec(stats) ?? [];
    assert.equal(connections, '2');
    assert.ok(Number(bytes) > 2000, stats);
  });

  describe('Names of Services', () => {
    test('stand behind virtual servers, from the comments of our sets alone', async () => {
      const lines = (await ipvs('list', '--services')).split('\n');
      assert.equal(lines[1], 'Prot LocalAddress:Port Scheduler Flags  Service');
      assert.ok(lines.includes('TCP  10.96.0.1:80 rr  shop/web:http'));
      assert.ok(lines.includes('UDP  10.96.0.2:53 rr persistent 10800  kube-system/dns'));
      assert.ok(lines.includes('TCP  [fd96::1]:80 wrr  shop/web:http'));
      assert.ok(lines.includes('TCP  10.96.0.3:443 mh (mh-fallback,mh-port)  -'));
      assert.ok(lines.includes('FWM  7 IPv6 wrr  shop/web:http'));
      assert.ok(lines.includes('FWM  7 wrr persistent 60  -'));
    });

    test('choose virtual servers and connections', async () => {
      assert.deepEqual(virtualLines(await ipvs('list', '--service', 'shop/web')), [
        'TCP  10.96.0.1:80 rr',
        'SCTP 10.96.0.1:9 wlc',
        'TCP  [fd96::1]:80 wrr',
        'FWM  7 IPv6 wrr',
      ]);
      assert.deepEqual(virtualLines(await ipvs('list', '--service', 'shop/web:sctp')), [
        'SCTP 10.96.0.1:9 wlc',
      ]);
      assert.deepEqual(virtualLines(await ipvs('list', '--service', 'not/ours')), []);
      const dns = await ipvs('connections', '--service', 'kube-system/dns', '--services');
      assert.match(dns, /source +virtual +destination +service\n/);
      assert.deepEqual(
        dns.match(/^UDP .*$/gm)?.map((line) => line.split(/ +/)[6]),
        ['kube-system/dns', 'kube-system/dns'],
      );
      assert.equal((await ipvs('connections', '-t', '[fd96::1]:80')).split('\n').length, 2 + 1 + 1);
    });
  });

  test('JSON and YAML have everything, in the same shape', async () => {
    const chosen = ['list', '--service', 'shop/web:http', '-o'] as const;
    // Rates fall for a while after the last packet.
    const [yaml, text] = await atRest(
      () => ipvs(...chosen, 'yaml'),
      () => ipvs(...chosen, 'json'),
    );
    const { virtualServers, connectionTableSize } = JSON.parse(text) as ServersDocument;
    assert.equal(connectionTableSize, 4096);
    const [web, web6, inside, more] = virtualServers;
    assert.ok(web !== undefined && 'protocol' in web);
    assert.deepEqual(
      [web.protocol, web.address, web.port, web.service, web.scheduler],
      ['TCP', '10.96.0.1', 80, 'shop/web:http', 'rr'],
    );
    assert.equal(web.realServers[1]?.weight, 0);
    assert.equal(web6?.service, 'shop/web:http');
    assert.ok(inside !== undefined && 'mark' in inside);
    assert.equal(inside.mark, 7);
    assert.equal(more, undefined);
    assert.deepEqual(parse(yaml), JSON.parse(text));
    const connections = JSON.parse(await ipvs('connections', '-o', 'json')) as readonly unknown[];
    assert.equal(connections.length, 3 + 2 + 1);
    const flows = parse(await ipvs('connections', '-o', 'yaml')) as readonly unknown[];
    assert.equal(flows.length, connections.length);
    assert.deepEqual(JSON.parse(await ipvs('timeouts', '-o', 'json')), {
      tcp: 900,
      tcpFin: 120,
      udp: 300,
    });
  });

  test('a virtual server that is not there is said so, with exit code 1', async () => {
    const { code, stdout, stderr } = await run('ipvs', 'stats', '-t', '10.96.99.1:80');
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^switchyard: SY_NO_SUCH_SERVER: [^\n]*TCP 10\.96\.99\.1:80[^\n]*\n$/);
  });

  test('--watch shows it again and again, and ends with Ctrl-C', { timeout: 60_000 }, async () => {
    const child = spawn(process.execPath, [program, 'ipvs', 'timeouts', '--watch']);
    let [stdout, stderr] = ['', ''];
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (stdout.split('Timeout').length > 3) child.kill('SIGINT');
    });
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(stderr, '');
    assert.equal(code, 0);
    const line = 'Timeout (tcp tcpfin udp): 900 120 300\n';
    assert.ok(stdout.startsWith(`${line}\n${line}\n${line}`), stdout);
  });

  test('a reader that has seen enough ends it without a word', () => {
    const command = `'${process.execPath}' '${program}' ipvs timeouts --watch | head -n 1`;
    const { status, stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
      encoding: 'utf8',
      timeout: patienceMs,
    });
    assert.equal(stderr, '');
    assert.equal(status, 0);
    assert.equal(stdout.split('\n').length, 2);
  });
});

/** The output of a `switchyard ipvs …` that does its job. */
async function ipvs(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run('ipvs', ...args);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  return stdout;
}

/** Of a list, without the real servers. */
function virtualLines(list: string): readonly string[] {
  return list.split('\n').filter((line) => /^(?:TCP|UDP|SCTP|FWM) /.test(line));
}

/** Both outputs at a moment when the second one did not change around the first. */
async function atRest(
  mine: () => Promise<string>,
  its: () => string | Promise<string>,
): Promise<readonly [string, string]> {
  const found: (readonly [string, string])[] = [];
  await until(async () => {
    const atFirst = await its();
    const text = await mine();
    if ((await its()) !== atFirst) return false;
    found.push([text, atFirst]);
    return true;
  });
  return found[0] ?? ['', 'never at rest'];
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!(await isSo())) {
    assert.ok(Date.now() < deadline, 'not in time');
    await setTimeout(100);
  }
}

/** Lines of a connection table without the time to their end, and that in seconds (0 of the header). */
function connectionsOf(text: string): ReadonlyMap<string, number> {
  const lines = text.trimEnd().split('\n');
  return new Map(
    lines.map((line) => {
      const [, minutes = '0', seconds = '0'] = / (\d{2,}):(\d{2}) /.exec(line) ?? [];
      return [line.replace(/ \d{2,}:\d{2} /, ' '), Number(minutes) * 60 + Number(seconds)];
    }),
  );
}
