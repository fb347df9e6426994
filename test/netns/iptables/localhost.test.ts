/** Node ports on 127.0.0.1, which only iptables mode serves, with real connections. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Lab, labReason } from '../../lab/lab.ts';
import { clientAddress, clusterCidr, nodeSecondAddress, serverPorts } from '../../lab/topology.ts';
import { service, slice } from '../conformance/objects.ts';
import { place } from '../conformance/place.ts';
import { planeNamed } from '../conformance/planes.ts';
import { World } from '../conformance/world.ts';

const flags = {
  'proxy-mode': 'iptables',
  'cluster-cidr': `${clusterCidr.IPv4},${clusterCidr.IPv6}`,
};

for (const name of ['iptables-nft', 'iptables-legacy']) {
  describe(name, { skip: labReason() ?? false }, () => {
    let lab: Lab;
    let world: World;
    before(async () => {
      lab = await Lab.open();
      world = await World.open(lab, planeNamed(name));
      await world.setUp({ flags });
    });
    after(async () => {
      await world.close();
      await lab.close();
    });

    void test('a node port answers on 127.0.0.1 and on every address, under both policies', async () => {
      const at = place('IPv4', 1);
      for (const external of ['Cluster', 'Local'] as const) {
        await world.change({
          set: [service(at, { nodePort: at.nodePort(), external }), slice(at, ['pod-a', 'pod-c'])],
        });
        await world.expect(
          ['127.0.0.1', '10.1.0.1', '192.0.2.1'].map((address) => ({
            from: 'node',
            to: [address, at.nodePort()],
            reaches: ['pod-a', 'pod-c'],
            seenAs: 'node',
          })),
        );
      }
      await world.change({ set: [slice(at, [])] });
      await world.expect([{ from: 'node', to: ['127.0.0.1', at.nodePort()], fails: 'refused' }]);
      assert.deepEqual((await world.verify()).drift, []);
    });

    void test('packets from elsewhere to 127.0.0.1 are dropped, though they are routed now', async () => {
      const setting = world.shell('node', 'cat /proc/sys/net/ipv4/conf/all/route_localnet');
      assert.equal(setting.trim(), '1');
      // A neighbour whose own loopback addresses do not get in the way sends to those of the node.
      world.shell(
        'client',
        `ip address del 127.0.0.1/8 dev lo
        ip route add 127.0.0.0/8 via ${nodeSecondAddress.IPv4} src ${clientAddress.IPv4}
        echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet`,
      );
      // Nobody listens there: what gets in is refused.
      const [port = 0] = serverPorts;
      await world.expect([
        { from: 'node', over: 'TCP', to: ['127.0.0.1', port], fails: 'refused' },
        { from: 'client', over: 'TCP', to: ['127.0.0.1', port], fails: 'timeout' },
      ]);
      const counted = world.shell('node', `${name} -vnxL SWY-LOCALNET`);
      assert.match(counted, /^ +[1-9]\d* +\d+ DROP /m, counted);
    });

    void test('IPv6 has no such node ports', async () => {
      const at = place('IPv6', 2);
      await world.change({
        set: [
          service(at, { name: 'six', nodePort: at.nodePort() }),
          slice(at, ['pod-a'], { service: 'six', name: 'six-1' }),
        ],
      });
      await world.expect([{ from: 'node', to: ['::1', at.nodePort()], fails: 'refused' }]);
    });
  });
}
