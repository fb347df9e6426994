/** What others do to a node in ipvs mode, and what was there before: the real process finds out by itself. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Family } from '../../src/core/ip.ts';
import type { ProxyProcess } from '../e2e/lab/proxy-process.ts';
import { nodeAddress, servers } from '../lab/topology.ts';
import { skipOutsideUml } from '../lab/uml/inside.ts';
import type { Place } from '../netns/conformance/place.ts';
import { planeNamed } from '../netns/conformance/planes.ts';
import { type IpvsNode, openNodes } from './ipvs-node.ts';
import { assertAlive, failures, frontends, holdEach, places, writeWeb } from './ipvs-web.ts';
import { families, until } from './ipvs-world.ts';

const { foreign } = planeNamed('ipvs');
/** `verifyInterval`, by default. */
const intervalMs = 30_000;
/** What is looked at once a second is repaired before the interval is over, also where a second takes some. */
const promptMs = 15_000;

const onIp = (address: string): string => (address.includes(':') ? `[${address}]` : address);
const iptables = (family: Family): string => (family === 'IPv4' ? 'iptables' : 'ip6tables');

describe('a node in ipvs mode', { skip: skipOutsideUml }, () => {
  const newNode = openNodes();

  describe('is repaired without being told when', () => {
    let node: IpvsNode;
    let proxy: ProxyProcess;
    let started: number;
    const dump = (): string =>
      node.shell(
        `ipvsadm -Sn | sort; ipset save -sorted | sed 's/ bucketsize.*//'; ip -o link | grep -c kube-ipvs0 || true; ip route show table local; ip -6 route show table local | grep -v fe80; iptables -t mangle -S; iptables -t nat -S; iptables -S`,
      );

    before(async () => {
      node = newNode();
      writeWeb(node);
      started = performance.now();
      proxy = await node.start();
    });
    after(() => node[Symbol.asyncDispose]());

    const damages = [
      ['every virtual server is deleted', 'ipvsadm -C', promptMs],
      ['the sets are emptied', 'ipset flush', promptMs],
      ['the link is deleted', 'ip link del kube-ipvs0', promptMs],
      [
        'one real server is deleted',
        'server=$(ipvsadm -Sn | grep -e "^-a" | tail -1); ipvsadm -d $(echo "$server" | cut -d" " -f2-5)',
        intervalMs + promptMs,
      ],
      [
        'a route is deleted and rules are flushed',
        `ip route del table local local ${places[0]?.clusterIP() ?? ''} dev kube-ipvs0; iptables -t mangle -F; iptables -t nat -F`,
        intervalMs + promptMs,
      ],
    ] as const;
    for (const [name, script, limitMs] of damages) {
      test(name, async (t) => {
        const right = dump();
        // It might have repaired the damage before anybody saw it.
        proxy.kill('SIGSTOP');
        node.shell(script);
        const damaged = dump();
        proxy.kill('SIGCONT');
        assert.notEqual(damaged, right);
        const ms = await until('the repair', () => dump() === right, limitMs);
        t.diagnostic(`repaired after ${(ms / 1000).toFixed(1)} s`);
        assert.deepEqual(await failures(node), []);
      });
    }

    test('and is left alone when nothing is wrong', () => {
      const verified = node
        .metrics()
        .find((line) => /^switchyard_verifications_total\{.*clean/.test(line));
      // One that was under way when the damage was done may have found the rest of it.
      const most = damages.length + Math.ceil((performance.now() - started) / intervalMs);
      const clean = Number(verified?.split(' ').at(-1) ?? 0);
      assert.ok(clean <= most, `${clean} comparisons found nothing`);
    });
  });

  test('after a crash and a flush of all sets, what serves node ports is known as ours', async () => {
    await using node = newNode();
    writeWeb(node);
    const first = await node.start();
    const right = node.shell('ipvsadm -Sn | sort');
    const held = await holdEach(node);
    first.kill('SIGKILL');
    await first.ended;
    node.shell('ipset flush');
    const second = await node.start();
    assert.equal(second.count(/not ours/), 0);
    assert.equal(node.shell('ipvsadm -Sn | sort'), right);
    await assertAlive(held);
    assert.deepEqual(await failures(node), []);
    for (const at of places) node.erase(`web-${at.family}`);
    for (const each of held) await each.close();
    await until('removal', () => node.shell('ipvsadm -Sn') === '');
  });

  test('that drops what it forwards (-P FORWARD DROP) serves all the same', async () => {
    await using node = newNode();
    writeWeb(node);
    await node.start();
    try {
      for (const family of families) node.shell(`${iptables(family)} -P FORWARD DROP`);
      assert.deepEqual(await failures(node), []);
      // The policy is in force for everything else.
      const { address } = servers['pod-a'];
      const [direct] = await node.lab
        .host('client')
        .probe('TCP', { address: address.IPv4, port: 8080, timeoutMs: 500 });
      assert.equal(direct?.ok, false);
    } finally {
      for (const family of families) node.shell(`${iptables(family)} -P FORWARD ACCEPT`);
    }
  });

  test('takes over from kube-proxy in ipvs mode without a gap, and is repaired when that is cleaned up', async (t) => {
    await using node = newNode();
    writeWeb(node);
    node.shell(foreign.add('IPv4', ''));
    try {
      const foreignBefore = node.shell(foreign.list('IPv4', ''));
      node.shell('ip link add kube-ipvs0 type dummy; ip link set kube-ipvs0 up');
      for (const at of places) node.shell(kubeProxy(at));
      const held = await holdEach(node);
      const loops = await Promise.all(
        frontends.map(([address, port]) =>
          node.lab.host('client').loop('TCP', { address, port, timeoutMs: 5000, pauseMs: 20 }),
        ),
      );
      const proxy = await node.start();
      await assertAlive(held);
      assert.equal(proxy.count(/not ours/), 0);
      for (const end of loops) {
        const { probes, failures: failed } = await end();
        assert.deepEqual(failed, {}, `of ${probes} probes`);
        assert.ok(probes > 10, `${probes} probes`);
      }
      const stale = places.map((at) => `-A -t ${onIp(at.clusterIP(9))}:80 `);
      const left = (): readonly string[] =>
        stale.filter((line) => node.shell('ipvsadm -Sn').includes(line));
      assert.deepEqual(left(), stale, 'what no Service has is left to kube-proxy');

      // With the last address of a link the kernel takes its routes away.
      for (const at of places) node.shell(kubeProxyCleanup(at));
      const bound = (): boolean =>
        places.every(({ family, clusterIP }) =>
          node
            .shell(`ip ${family === 'IPv6' ? '-6' : ''} route show table local`)
            .includes(`local ${clusterIP()} dev kube-ipvs0 proto static`),
        );
      const ms = await until('the repair', bound, promptMs);
      t.diagnostic(`repaired after ${(ms / 1000).toFixed(1)} s`);
      assert.deepEqual(await failures(node), []);
      await assertAlive(held);
      assert.deepEqual(left(), []);
      assert.equal(node.shell(foreign.list('IPv4', '')), foreignBefore);
      for (const each of held) await each.close();
    } finally {
      node.shell(foreign.remove('IPv4', ''));
    }
  });
});

/** What kube-proxy 1.36 has in ipvs mode for the Service `web`, and for one that is gone. */
function kubeProxy(at: Place): string {
  const { family } = at;
  const set = (name: string): string => (family === 'IPv4' ? `KUBE-${name}` : `KUBE-6-${name}`);
  const inet = family === 'IPv4' ? 'inet' : 'inet6';
  const ipt = iptables(family);
  const names = [
    `${onIp(at.clusterIP())}:80`,
    `${onIp(nodeAddress[family])}:30080`,
    `${onIp(at.clusterIP(9))}:80`,
  ];
  const pods = [servers['pod-a'], servers['pod-c']].map(({ address }) => onIp(address[family]));
  return `
    ipset create ${set('CLUSTER-IP')} hash:ip,port family ${inet}
    ipset create ${set('IPVS-IPS')} hash:ip family ${inet}
    for port in tcp:80 udp:80; do ipset add ${set('CLUSTER-IP')} ${at.clusterIP()},$port; done
    for ip in ${at.clusterIP()} ${at.clusterIP(9)}; do
      ipset add ${set('IPVS-IPS')} $ip
      ip addr add $ip/${family === 'IPv4' ? '32' : '128'} dev kube-ipvs0
    done
    for name in ${names.join(' ')}; do
      for flag in -t -u; do
        ipvsadm -A $flag $name -s rr
        for pod in ${pods.join(' ')}; do ipvsadm -a $flag $name -r $pod:8080 -m -w 1; done
      done
    done
    ${ipt} -t nat -N KUBE-MARK-MASQ
    ${ipt} -t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
    ${ipt} -t nat -N KUBE-NODE-PORT
    ${ipt} -t nat -A KUBE-NODE-PORT -p tcp --dport 30080 -j KUBE-MARK-MASQ
    ${ipt} -t nat -A KUBE-NODE-PORT -p udp --dport 30080 -j KUBE-MARK-MASQ
    ${ipt} -t nat -N KUBE-POSTROUTING
    ${ipt} -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
    ${ipt} -t nat -A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
    ${ipt} -t nat -A KUBE-POSTROUTING -j MASQUERADE --random-fully
    ${ipt} -t nat -N KUBE-SERVICES
    ${ipt} -t nat -A KUBE-SERVICES -m set --match-set ${set('CLUSTER-IP')} dst,dst -j KUBE-MARK-MASQ
    ${ipt} -t nat -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
    ${ipt} -t nat -A KUBE-SERVICES -m set --match-set ${set('CLUSTER-IP')} dst,dst -j ACCEPT
    ${ipt} -t nat -I PREROUTING -j KUBE-SERVICES
    ${ipt} -t nat -I OUTPUT -j KUBE-SERVICES
    ${ipt} -t nat -I POSTROUTING -j KUBE-POSTROUTING
    ${ipt} -N KUBE-IPVS-FILTER
    ${ipt} -A KUBE-IPVS-FILTER -m set --match-set ${set('CLUSTER-IP')} dst,dst -j RETURN
    ${ipt} -A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set ${set('IPVS-IPS')} dst -j REJECT
    ${ipt} -I INPUT -j KUBE-IPVS-FILTER
    sysctl -qw net.ipv4.vs.conntrack=1`;
}

/** Removes it, as `kube-proxy --cleanup` would if it touched its own only. */
function kubeProxyCleanup(at: Place): string {
  const { family } = at;
  const set = (name: string): string => (family === 'IPv4' ? `KUBE-${name}` : `KUBE-6-${name}`);
  const ipt = iptables(family);
  return `
    ${ipt} -t nat -D PREROUTING -j KUBE-SERVICES
    ${ipt} -t nat -D OUTPUT -j KUBE-SERVICES
    ${ipt} -t nat -D POSTROUTING -j KUBE-POSTROUTING
    ${ipt} -D INPUT -j KUBE-IPVS-FILTER
    for chain in SERVICES NODE-PORT POSTROUTING MARK-MASQ; do ${ipt} -t nat -F KUBE-$chain; done
    for chain in SERVICES NODE-PORT POSTROUTING MARK-MASQ; do ${ipt} -t nat -X KUBE-$chain; done
    ${ipt} -F KUBE-IPVS-FILTER
    ${ipt} -X KUBE-IPVS-FILTER
    ipset destroy ${set('CLUSTER-IP')}
    ipset destroy ${set('IPVS-IPS')}
    for flag in -t -u; do ipvsadm -D $flag ${onIp(at.clusterIP(9))}:80; done
    for ip in ${at.clusterIP()} ${at.clusterIP(9)}; do
      ip addr del $ip/${family === 'IPv4' ? '32' : '128'} dev kube-ipvs0
    done`;
}
