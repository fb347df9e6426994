/** `switchyard switch` between the data planes of this machine, without a failed or broken connection. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Lab, labReason } from '../../lab/lab.ts';
import { planesIn } from './planes.ts';
import { CIDR_FLAGS, killAt, startNode, startTraffic, succeeded, switchAlong } from './scenes.ts';

describe('switchyard switch', { skip: labReason() }, () => {
  let lab: Lab;

  before(async () => {
    lab = await Lab.open();
  });
  after(async () => {
    await lab.close();
  });

  test('between each two of nftables, iptables-nft and iptables-legacy, in both directions', async (t) => {
    await using node = await startNode(lab, 'nftables', CIDR_FLAGS);
    const probes = await switchAlong(lab, node, [
      'iptables-nft',
      'iptables-legacy',
      'nftables',
      'iptables-legacy',
      'iptables-nft',
      'nftables',
    ]);
    t.diagnostic(`${probes} connections over six switches`);
  });

  for (const step of ['building', 'retiring', 'verifying']) {
    test(`killed while ${step}, it goes on with the next start`, async () => {
      await using node = await startNode(lab, 'nftables', []);
      await killAt(lab, node, { step, to: 'iptables-nft', mode: 'nftables' });
    });
  }

  test('--undo goes back, and the mode that was reached outlasts the agent', async () => {
    await using node = await startNode(lab, 'nftables', []);
    const traffic = await startTraffic(lab);
    succeeded(await node.switch('--to', 'iptables-legacy'));
    await node.restart('SIGTERM', 'nftables');
    assert.deepEqual(planesIn(node), ['iptables-legacy']);
    succeeded(await node.switch('--undo'));
    assert.deepEqual(planesIn(node), ['nftables']);
    assert.equal(await traffic.isAlive(), true);
    await traffic.end();
  });

  test('another mode in the configuration is a switch as well', async () => {
    await using node = await startNode(lab, 'nftables', []);
    const traffic = await startTraffic(lab);
    succeeded(await node.switch('--to', 'iptables-nft'));
    const proxy = await node.restart('SIGTERM', 'iptables');
    assert.deepEqual(planesIn(node), ['iptables-nft']);
    const next = await node.restart('SIGTERM', 'auto');
    await next.told(/"Removed what another plane had left" plane="iptables-nft"/);
    assert.deepEqual(planesIn(node), ['nftables']);
    assert.equal(node.journal(), undefined);
    assert.equal(proxy.count(/"Removed what another plane had left"/), 0);
    assert.equal(await traffic.isAlive(), true);
    await traffic.end();
  });
});
