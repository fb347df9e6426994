/** What the ipvs plane needs of a kernel, and that the guest's has it: proved with the tools of the field. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Family } from '../../src/core/ip.ts';
import type { LineProcess } from '../lab/line-process.ts';
import { Lab } from '../lab/lab.ts';
import { clientAddress, servers, type PerFamily } from '../lab/topology.ts';
import { skipOutsideUml } from '../lab/uml/inside.ts';
import type { SctpCalls } from './sctp-calls.ts';

const vip: PerFamily = { IPv4: '10.96.0.1', IPv6: 'fd00:96::1' };
const vipPort = 80;
const podPort = 8080;
const pods = ['pod-a', 'pod-b'] as const;
const families = ['IPv4', 'IPv6'] as const;
const protocols = ['TCP', 'UDP', 'SCTP'] as const;
const patienceMs = 10_000;

const ipvsadmFlag = { TCP: '-t', UDP: '-u', SCTP: '--sctp-service' } as const;
const schedulers = 'rr wrr lc wlc lblc lblcr sh dh sed nq fo ovf mh'.split(' ');

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Lines of `ipvsadm -R`: a virtual server with both pods behind it, as `ipvsadm -Sn` prints them. */
function virtualServer(
  protocol: (typeof protocols)[number],
  family: Family,
  scheduler: string,
  port = vipPort,
): readonly string[] {
  const service = `${ipvsadmFlag[protocol]} ${endpoint(vip[family], port)}`;
  const realServers = pods.map((pod, index) => {
    const server = endpoint(servers[pod].address[family], podPort);
    return `-a ${service} -r ${server} -m -w ${index + 1}`;
  });
  return [`-A ${service} -s ${scheduler}`, ...realServers];
}

/** Lines of a tool's output, sorted: tools list in the order of hash tables. */
function sortedLines(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .toSorted();
}

describe('the kernel under user-mode Linux', { skip: skipOutsideUml }, () => {
  let lab: Lab;
  const sctp = new Map<string, LineProcess<SctpCalls>>();

  const node = (command: string, args = '', input = ''): string =>
    lab.run('node', command, args === '' ? [] : args.split(' '), input);
  const write = (lines: readonly string[]): string =>
    node('ipvsadm', '-R', `${lines.join('\n')}\n`);
  const sctpOn = (host: 'client' | (typeof pods)[number]): LineProcess<SctpCalls> => {
    const known = sctp.get(host);
    if (known !== undefined) return known;
    const file = new URL('sctp-main.ts', import.meta.url);
    const started = lab.start<SctpCalls>(host, `SCTP on ${host}`, file, []);
    sctp.set(host, started);
    return started;
  };

  before(async () => {
    lab = await Lab.open();
    node('ip', '-batch -', 'link add kube-ipvs0 type dummy\nlink set kube-ipvs0 up\n');
  });
  afterEach(() => {
    node('ipvsadm', '-C');
    node('conntrack', '-F');
  });
  after(async () => {
    await Promise.all([...sctp.values()].map((child) => child.kill()));
    await lab.close();
  });

  test('IPVS has every scheduler but twos', () => {
    const lines = schedulers.map((name, index) => `-A -t 10.96.1.1:${index + 1} -s ${name}`);
    write(lines);
    assert.deepEqual(sortedLines(node('ipvsadm', '-Sn')), lines.toSorted());
    assert.throws(() => node('ipvsadm', '-A -t 10.96.1.1:99 -s twos'), /Scheduler .* not found/);
  });

  test('ipvsadm reads back what it wrote: families, protocols, flags, persistence, weights', () => {
    const lines = families.flatMap((family) => [
      ...protocols.flatMap((protocol) => virtualServer(protocol, family, 'wrr')),
      ...virtualServer('TCP', family, 'mh -p 10800 -b mh-fallback,mh-port', 443),
    ]);
    write(lines);
    assert.deepEqual(sortedLines(node('ipvsadm', '-Sn')), lines.toSorted());
  });

  test('ipset reads back what it wrote, of the types that kube-proxy uses', () => {
    const lines = [
      'create t-ip hash:ip family inet',
      'add t-ip 10.96.0.1',
      'create t-ip-port hash:ip,port family inet',
      'add t-ip-port 10.96.0.1,tcp:80',
      'add t-ip-port 10.96.0.1,sctp:80',
      'create t-ip-port-ip hash:ip,port,ip family inet6',
      'add t-ip-port-ip fd00:244:1::10,tcp:8080,fd00:244:1::10',
      'create t-ip-port-net hash:ip,port,net family inet',
      'add t-ip-port-net 10.96.0.1,udp:53,192.0.2.0/24',
      'create t-port bitmap:port range 0-65535',
      'add t-port 30080',
    ];
    node('ipset', 'restore', `${lines.join('\n')}\n`);
    const saved = sortedLines(node('ipset', 'save'));
    node('ipset', 'destroy');
    assert.equal(saved.length, lines.length);
    for (const line of lines) {
      assert.ok(
        saved.some((found) => found.startsWith(line)),
        `${line}\n${saved.join('\n')}`,
      );
    }
    assert.equal(node('ipset', 'save'), '');
  });

  test('iptables takes rules over sets, and forgets them', () => {
    const rule =
      '-A POSTROUTING -m set --match-set t-hairpin dst,dst,src -j MASQUERADE --random-fully';
    node('ipset', 'create t-hairpin hash:ip,port,ip');
    node('iptables-restore', '--noflush', `*nat\n${rule}\nCOMMIT\n`);
    assert.ok(node('iptables', '-t nat -S').includes(rule));
    assert.throws(() => node('ipset', 'destroy t-hairpin'), /in use/);
    node('iptables', `-t nat ${rule.replace('-A', '-D')}`);
    node('ipset', 'destroy t-hairpin');
    assert.ok(!node('iptables', '-t nat -S').includes('t-hairpin'));
  });

  for (const family of families) {
    describe(`a virtual server in ${family}, between namespaces`, () => {
      const range = family === 'IPv4' ? '32' : '128';
      const ipFamily = family === 'IPv4' ? '-4' : '-6';

      before(async () => {
        // A local route makes the address the node's, as an address on the link would.
        node('ip', `${ipFamily} route add local ${vip[family]}/${range} dev kube-ipvs0`);
        for (const pod of pods) {
          const address = servers[pod].address[family];
          await sctpOn(pod).call('listen', { server: pod, address, port: podPort });
        }
      });
      after(() => {
        node('ip', `${ipFamily} route del local ${vip[family]}/${range} dev kube-ipvs0`);
      });

      /** Who answers and whom it saw, or the error, of one connection from the client. */
      const connect = async (protocol: (typeof protocols)[number]): Promise<string> => {
        const params = { address: vip[family], port: vipPort, timeoutMs: patienceMs };
        if (protocol === 'SCTP') {
          const answer = await sctpOn('client').call('ask', params);
          return 'error' in answer ? answer.error : `${answer.server} saw ${answer.peer}`;
        }
        const [result] = await lab.host('client').probe(protocol, params);
        if (result === undefined) throw new Error('no result');
        return result.ok ? `${result.server} saw ${result.peer}` : result.error;
      };

      for (const protocol of protocols) {
        test(`${protocol} reaches both real servers in turn, with the client's address`, async () => {
          const refusal = await connect(protocol);
          assert.match(refusal, /refused/i, 'nothing answers before there is a virtual server');
          write(virtualServer(protocol, family, 'rr'));
          const seen = [];
          for (let count = 0; count < 4; count++) seen.push(await connect(protocol));
          assert.deepEqual(
            seen.toSorted(),
            ['pod-a', 'pod-a', 'pod-b', 'pod-b'].map(
              (pod) => `${pod} saw ${clientAddress[family]}`,
            ),
          );
          const entries = node('ipvsadm', '-Lcn')
            .split('\n')
            .filter(
              (line) => line.includes(protocol) && line.includes(endpoint(vip[family], vipPort)),
            );
          assert.equal(entries.length, 4);
        });
      }
    });
  }

  test('connections through IPVS are tracked where net.ipv4.vs.conntrack is 1', async () => {
    const tracked = async (setting: '0' | '1'): Promise<string> => {
      node('sysctl', `-qw net.ipv4.vs.conntrack=${setting}`);
      write(virtualServer('TCP', 'IPv4', 'wrr'));
      const kept = await lab.host('client').open(vip.IPv4, vipPort);
      const entries = node('conntrack', '-L');
      await kept.close();
      node('ipvsadm', '-C');
      return entries;
    };
    node('ip', `route add local ${vip.IPv4}/32 dev kube-ipvs0`);
    // A namespace tracks nothing until somebody asks for it, as this rule does.
    const rule = 'FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT';
    node('iptables', `-A ${rule}`);
    const translated = /dst=10\.96\.0\.1 .* dport=80 src=10\.244\.1\.1[01] .* sport=8080 /;
    assert.doesNotMatch(await tracked('0'), translated);
    assert.match(await tracked('1'), translated);
    node('iptables', `-D ${rule}`);
    node('ip', `route del local ${vip.IPv4}/32 dev kube-ipvs0`);
  });
});
