/** `switchyard switch` takes the place of a stopped kube-proxy, and goes back, without a failed connection. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Lab, labReason } from '../../lab/lab.ts';
import { planesIn } from './planes.ts';
import { LEFT, RecordedNode, WAYS, serveRecorded } from './recorded-node.ts';
import { succeeded } from './scenes.ts';
import { Traffic } from './traffic.ts';

/** The file that a take-over names. */
function bundleIn(stdout: string): string {
  const [, path = ''] = /^Kept them in (\S+): /m.exec(stdout) ?? [];
  assert.match(path, /\/undo-[^/]+\.json$/, stdout);
  return path;
}

/** Makes a bundle say that less was done. */
function setPhase(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8');
  assert.ok(text.includes(`"phase":"${from}"`));
  writeFileSync(path, text.replace(`"phase":"${from}"`, `"phase":"${to}"`));
}

describe('switchyard switch takes over from kube-proxy', { skip: labReason() }, () => {
  let lab: Lab;

  before(async () => {
    lab = await Lab.open();
    await serveRecorded(lab);
  });
  after(async () => {
    await lab.close();
  });

  for (const [name, tools] of Object.entries(LEFT)) {
    test(`${name}: no connection fails there and back, and what others have stays`, async (t) => {
      await using node = new RecordedNode(lab, tools);
      const full = node.rules();
      const foreign = full.filter((line) => !/KUBE-|kube-proxy/.test(line));
      assert.ok(full.join('').length > foreign.join('').length + 5000);
      assert.equal(foreign.filter((line) => /eth[89]|TEAM/.test(line)).length, 12);
      const traffic = await Traffic.start(lab, WAYS);
      traffic.step('start');
      await node.start('nftables');

      const dry = await node.switch('--to', 'nftables', '--dry-run');
      succeeded(dry);
      assert.match(dry.stdout, /Would be removed:/);
      assert.deepEqual(node.rules(), full);
      traffic.step('take over');
      const there = await node.switch('--to', 'nftables');
      succeeded(there);
      assert.deepEqual(node.rules(), foreign);
      assert.equal(await traffic.isAlive(), true, 'after the take-over');
      bundleIn(there.stdout);

      const dryUndo = await node.switch('--undo', '--dry-run');
      succeeded(dryUndo);
      assert.match(dryUndo.stdout, /^Would put back .*: \d\d+ objects$/m);
      assert.deepEqual(node.rules(), foreign, 'a dry run puts nothing back');
      traffic.step('undo');
      const back = await node.switch('--undo');
      succeeded(back);
      assert.match(back.stdout, /^What remains to be done:\n {2}start kube-proxy/m);
      assert.deepEqual(node.rules(), full);
      assert.equal(await traffic.isAlive(), true, 'after the way back');
      assert.deepEqual(planesIn(node), ['nftables']);

      traffic.step('clear');
      await node.clear();
      assert.deepEqual(planesIn(node), []);
      assert.deepEqual(node.rules(), full);
      assert.equal(await traffic.isAlive(), true, 'by the rules of kube-proxy alone');
      t.diagnostic(`${await traffic.end()} connections`);
    });
  }

  test('--undo changes the mode back too, when the same command had changed it', async () => {
    await using node = new RecordedNode(lab, LEFT['iptables mode, iptables-nft']);
    const full = node.rules();
    const traffic = await Traffic.start(lab, WAYS);
    await node.start('nftables');
    succeeded(await node.switch('--to', 'iptables-nft'));
    assert.deepEqual(planesIn(node), ['iptables-nft']);
    const { stdout, stderr } = await node.switch('--undo', '-o', 'json');
    assert.equal(stderr, '');
    assert.match(stdout, /"step": "done",\s*"from": "iptables-nft",\s*"to": "nftables"/);
    assert.match(stdout, /"putBack": \{\s*"objects": \[\s*\{/);
    assert.deepEqual(planesIn(node), ['nftables']);
    assert.deepEqual(node.rules(), full);
    assert.equal(await traffic.isAlive(), true);
    await traffic.end();
  });

  test('--undo undoes a later change of the mode first, and a take-over once', async () => {
    await using node = new RecordedNode(lab, LEFT['nftables mode']);
    const full = node.rules();
    await node.start('nftables');
    succeeded(await node.switch('--to', 'nftables'));
    const without = node.rules();
    succeeded(await node.switch('--to', 'iptables-legacy'));
    succeeded(await node.switch('--undo'));
    assert.deepEqual(planesIn(node), ['nftables']);
    assert.deepEqual(node.rules(), without, 'kube-proxy is not back yet');
    succeeded(await node.switch('--undo'));
    assert.deepEqual(node.rules(), full);
    succeeded(await node.switch('--undo'));
    assert.deepEqual(planesIn(node), ['iptables-legacy'], 'nothing is left but the mode');
    assert.deepEqual(node.rules(), full);
  });

  test('what was interrupted goes on, there and back, and nothing is doubled', async () => {
    await using node = new RecordedNode(lab, LEFT['iptables mode, iptables-nft']);
    const full = node.rules();
    await node.start('nftables');
    const bundle = bundleIn((await node.switch('--to', 'nftables')).stdout);
    // As if the take-over had ended before the last table.
    setPhase(bundle, 'removed', 'removing');
    node.shell('iptables-nft -t mangle -N KUBE-PROXY-CANARY');
    assert.equal(bundleIn((await node.switch('--to', 'nftables')).stdout), bundle);
    succeeded(await node.switch('--undo'));
    assert.deepEqual(node.rules(), full);
    // As if the way back had ended before the last table.
    setPhase(bundle, 'undone', 'restoring');
    node.shell('iptables-nft -t mangle -X KUBE-PROXY-CANARY');
    assert.match((await node.switch('--undo')).stdout, /: 1 object\n/);
    assert.deepEqual(node.rules(), full);
    // As if the take-over had ended when only what led new connections there was gone.
    setPhase(bundle, 'undone', 'removing');
    node.shell(`{
        echo '*nat'
        iptables-nft-save -t nat | sed -nE '/^-A (PREROUTING|OUTPUT) .*KUBE-/s/^-A/-D/p'
        echo COMMIT
      } | iptables-nft-restore --noflush`);
    assert.notDeepEqual(node.rules(), full);
    assert.equal(bundleIn((await node.switch('--to', 'nftables')).stdout), bundle);
    succeeded(await node.switch('--undo'));
    assert.deepEqual(node.rules(), full);
  });

  test('what kube-proxy wrote after an interrupted take-over is what comes back, and once', async () => {
    await using node = new RecordedNode(lab, LEFT['iptables mode, iptables-nft']);
    await node.start('nftables');
    const bundle = bundleIn((await node.switch('--to', 'nftables')).stdout);
    setPhase(bundle, 'removed', 'removing');
    // The same chain, with something else in it.
    const chain = 'iptables-nft -t mangle -N KUBE-PROXY-CANARY';
    node.shell(`${chain}; iptables-nft -t mangle -A KUBE-PROXY-CANARY -j RETURN`);
    const again = node.rules();
    assert.notEqual(bundleIn((await node.switch('--to', 'nftables')).stdout), bundle);
    assert.notDeepEqual(node.rules(), again);
    succeeded(await node.switch('--undo'));
    assert.deepEqual(node.rules(), again);
    const { stderr } = await node.switch('--undo');
    assert.match(stderr, /SY_SWITCH_REFUSED.*no switch that could be undone/);
    assert.deepEqual(node.rules(), again);
  });

  test('where nothing can be kept, the mode is not changed either', async () => {
    await using node = new RecordedNode(lab, LEFT['nftables mode']);
    await node.start('nftables');
    const bundle = bundleIn((await node.switch('--to', 'nftables')).stdout);
    succeeded(await node.switch('--undo'));
    const full = node.rules();
    writeFileSync(bundle, '{"version":1}');
    for (const flags of [['--dry-run'], []]) {
      const { code, stderr } = await node.switch('--to', 'iptables-nft', ...flags);
      assert.equal(code, 1);
      assert.match(stderr, /SY_UNDO_BUNDLE.*undo-.*not what this version writes/);
    }
    assert.deepEqual(planesIn(node), ['nftables']);
    assert.deepEqual(node.rules(), full);
  });

  test('--undo puts back nothing that is out of date, or that a running kube-proxy writes', async () => {
    await using node = new RecordedNode(lab, LEFT['nftables mode']);
    const proxy = await node.start('nftables');
    succeeded(await node.switch('--to', 'nftables'));
    const expected = node.rules();
    node.writeSlices((text) => !text.includes('10.180.0.2'));
    await proxy.told(/\] "Programmed" /);
    for (const flags of [[], ['--dry-run']]) {
      const { code, stderr } = await node.switch('--undo', ...flags);
      assert.equal(code, 1);
      assert.match(stderr, /SY_UNDO_STALE.*10\.180\.0\.2:8080.*Start kube-proxy instead/);
    }
    const end = await node.pretendKubeProxy();
    const outcome = await node.switch('--undo');
    succeeded(outcome);
    assert.match(
      outcome.stdout,
      /^kube-proxy runs again, as process \d+ .*nothing is put back\.$/m,
    );
    await end();
    assert.deepEqual(node.rules(), expected);
    const { stderr } = await node.switch('--undo');
    assert.match(stderr, /SY_SWITCH_REFUSED.*no switch that could be undone/);
  });
});
