/** `switchyard switch` to and from ipvs mode: established connections stay with IPVS until they end. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Lab } from '../lab/lab.ts';
import { servers } from '../lab/topology.ts';
import { skipOutsideUml } from '../lab/uml/inside.ts';
import { recorded } from '../netns/cleanup/recorded.ts';
import { place } from '../netns/conformance/place.ts';
import { planesIn } from '../netns/switch/planes.ts';
import {
  CIDR_FLAGS,
  drainTo,
  serve,
  startNode,
  startTraffic,
  succeeded,
  switchAlong,
  until,
} from '../netns/switch/scenes.ts';
import type { SwitchNode } from '../netns/switch/switch-node.ts';
import { Traffic, type Way } from '../netns/switch/traffic.ts';

/** What kube-proxy's ipvs mode leaves, and one Service of it that the lab's pods serve. */
function loadKubeProxy(node: SwitchNode): void {
  node.shell('sysctl -qw net.ipv4.vs.conntrack=1; ipset restore', recorded('ipvs-ipset.txt'));
  for (const tool of ['iptables', 'ip6tables']) {
    node.shell(`${tool}-legacy-restore --noflush`, recorded(`ipvs-${tool}.txt`));
  }
  node.shell(`
    ip link add kube-ipvs0 type dummy
    ip addr add ${address}/32 dev kube-ipvs0
    ipset add KUBE-CLUSTER-IP ${address},tcp:${port}
    ipset add KUBE-IPVS-IPS ${address}
    ipvsadm -A -t ${address}:${port} -s rr
    ipvsadm -a -t ${address}:${port} -r ${servers['pod-a'].address.IPv4}:8080 -m
    ipvsadm -a -t ${address}:${port} -r ${servers['pod-c'].address.IPv4}:8080 -m`);
}

/** All of it, without what the kernel chooses. */
function kubeProxyIn(node: SwitchNode): string {
  return node.shell(`
    for tool in iptables ip6tables; do
      $tool-legacy-save | grep -E '^\\*|KUBE-' | sed 's/ \\[[0-9:]*\\]$//'
    done
    ipset save | sed 's/ bucketsize.*//' | sort
    ipvsadm -Sn
    ip -br addr show dev kube-ipvs0`);
}

const { address, port } = { address: place('IPv4', 1).clusterIP(), port: 80 };

/** A node with what kube-proxy's ipvs mode left, and manifests of the same Service. */
async function kubeProxyNode(lab: Lab): Promise<SwitchNode> {
  const node = await startNode(lab, 'iptables-legacy', []);
  node.proxy.kill('SIGKILL');
  await node.clear();
  loadKubeProxy(node);
  return node;
}

describe('switchyard switch, with ipvs mode', { skip: skipOutsideUml }, () => {
  let lab: Lab;

  before(async () => {
    lab = await Lab.open();
  });
  after(async () => {
    await lab.close();
  });

  for (const flags of [[], CIDR_FLAGS]) {
    const how = flags.length === 0 ? 'no traffic counts as local' : 'pods are known';
    test(`from iptables-legacy to ipvs and back, where ${how}`, async (t) => {
      await using node = await startNode(lab, 'iptables-legacy', flags);
      const flow = { address, port, sourcePort: 20_001, timeoutMs: 5000 };
      const ask = async (): Promise<boolean | undefined> => {
        const [answer] = await lab.host('client').probe('UDP', flow);
        return answer?.ok;
      };
      assert.equal(await ask(), true);
      const there = await switchAlong(lab, node, ['ipvs']);
      assert.equal(await ask(), true, 'a UDP flow of before');
      const back = await drainTo(lab, node, 'iptables-legacy');
      assert.equal(await ask(), true, 'a UDP flow of before');
      t.diagnostic(`${there + back} connections over two switches`);
    });
  }

  test('where nothing is forwarded that nobody accepts, connections of before go on', async () => {
    await using node = await startNode(lab, 'iptables-legacy', []);
    const connection = await lab.host('client').open(address, port);
    succeeded(await node.switch('--to', 'ipvs'));
    node.shell('iptables-legacy -P FORWARD DROP');
    try {
      assert.equal(await connection.echoes('of before'), true);
    } finally {
      node.shell('iptables-legacy -P FORWARD ACCEPT');
    }
    await connection.close();
  });

  test('killed while connections drain, it goes on; --undo gives them back', async () => {
    await using node = await startNode(lab, 'ipvs', []);
    const traffic = await startTraffic(lab);
    const asked = node.switch('--to', 'iptables-legacy');
    await node.proxy.told(/step="draining".*connections=1?\d /);
    const next = await node.restart('SIGKILL', 'ipvs');
    assert.equal((await asked).code, 1);
    await next.told(/step="draining".*connections=1?\d /);
    assert.deepEqual(planesIn(node), ['iptables-legacy', 'ipvs']);
    assert.equal(await traffic.isAlive(), true);
    succeeded(await node.switch('--undo'));
    assert.deepEqual(planesIn(node), ['ipvs']);
    assert.equal(await traffic.isAlive(), true);
    await traffic.end();
  });

  test("connections through kube-proxy's virtual servers end before these go; --undo puts all of it back", async () => {
    await using node = await kubeProxyNode(lab);
    const full = kubeProxyIn(node);
    const ways: readonly Way[] = [
      ['client', address, port],
      ['pod-a', address, port],
      ['node', address, port],
    ];
    const traffic = await Traffic.start(lab, ways);
    await node.start('iptables');
    const asked = node.switch('--to', 'iptables-legacy');
    await until(() => /^TCP +10\.96\.1\.1:80 /m.test(node.shell('ipvsadm -Ln')));
    await until(() => !node.shell('iptables-legacy-save').includes('KUBE-SERVICES'));
    assert.equal(await traffic.isAlive(), true);
    assert.match(node.shell('ipvsadm -Ln'), /^TCP +10\.96\.1\.1:80 /m);
    await traffic.end();
    const outcome = await asked;
    succeeded(outcome);
    assert.match(outcome.stdout, /^\d+ connections still need kube-proxy's virtual servers$/m);
    assert.equal(node.shell('ipvsadm -Sn; ipset list -n | grep -v SWY || true'), '');
    assert.deepEqual(planesIn(node), ['iptables-legacy']);

    const more = await Traffic.start(lab, ways);
    succeeded(await node.switch('--undo'));
    assert.equal(kubeProxyIn(node), full);
    assert.equal(await more.isAlive(), true, 'beside the agent');
    await node.clear();
    assert.equal(kubeProxyIn(node), full);
    assert.equal(await more.isAlive(), true, 'by kube-proxy alone');
    await more.end();
    succeeded(await node.switchyard('cleanup', '--owner', 'kube-proxy'));
    assert.equal(node.shell('ipvsadm -Sn; ipset list -n'), '');
  });

  test('kube-proxy that runs again while connections drain keeps its virtual servers', async () => {
    await using node = await kubeProxyNode(lab);
    node.shell('ipvsadm --set 900 3 300');
    const connection = await lab.host('client').open(address, port);
    await node.start('iptables');
    const asked = node.switch('--to', 'iptables-legacy');
    await until(() => !node.shell('iptables-legacy-save').includes('KUBE-SERVICES'));
    const kept = node.shell('ipvsadm -Sn');
    const stop = await node.pretendKubeProxy();
    try {
      await connection.close();
      const { code, stderr } = await asked;
      assert.equal(code, 1);
      assert.match(stderr, /SY_OWNER_RUNNING/);
      assert.equal(node.shell('ipvsadm -Sn'), kept);
    } finally {
      await stop();
    }
    succeeded(await node.switch('--to', 'iptables-legacy'));
    assert.equal(node.shell('ipvsadm -Sn'), '');
  });

  test('connections that last longer than --drain-limit end, and nothing else', async () => {
    await using node = await startNode(lab, 'ipvs', []);
    const connection = await lab.host('client').open(address, port);
    // Without IPVS the kernel takes its next packet for the first one of a connection: it must not find the endpoint again.
    const isA = connection.greeting.server === 'pod-a';
    serve(node, place('IPv4', 1), [isA ? 'pod-c' : 'pod-a']);
    await until(() => / Masq +0 +1 +/.test(node.shell('ipvsadm -Ln')));
    const outcome = await node.switch('--to', 'iptables-legacy', '--drain-limit', '3s');
    succeeded(outcome);
    assert.match(outcome.stdout, /^draining: 1 connections/m);
    assert.deepEqual(planesIn(node), ['iptables-legacy']);
    assert.equal(await connection.echoes('too late'), false);
    const results = await lab
      .host('client')
      .probe('TCP', { address, port, timeoutMs: 5000, count: 4 });
    assert.ok(results.every(({ ok }) => ok));
  });
});
