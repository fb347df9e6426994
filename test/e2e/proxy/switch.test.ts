import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { shop } from '../../lab/manifests.ts';
import { NodeUnderTest, missing } from './node-under-test.ts';

const options = missing === undefined ? {} : { skip: missing };
const programmed = /\] "Programmed" /;
/** What the kernel that this runs on has no IPVS for. */
const hasIpvs = existsSync('/proc/net/ip_vs');

/** Flags of the proxy, or of the command, with a state of their own. */
function folders(node: NodeUnderTest): readonly string[] {
  return [
    `--status-socket=${node.file('run/status.sock')}`,
    `--state-folder=${node.file('state')}`,
  ];
}

test('without an agent it says how to start one', options, () => {
  using node = new NodeUnderTest();
  const { status, stderr } = node.run(['switch', '--to', 'ipvs', ...folders(node)]);
  assert.equal(status, 1);
  assert.match(stderr, /SY_NO_AGENT.*switchyard proxy/);
});

test('a command line that cannot be meant ends with 2', options, () => {
  using node = new NodeUnderTest();
  for (const args of [
    ['--to', 'userspace'],
    ['--to', 'ipvs', '--undo'],
    ['--to', 'ipvs', '--drain-limit', 'soon'],
    ['--to', 'ipvs', '--drain-limit', '-1s'],
  ]) {
    const { status, stderr } = node.run(['switch', ...args, ...folders(node)]);
    assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
  }
});

test(
  'it tells how it stands, and changes nothing where nothing is to be changed',
  options,
  async () => {
    using node = new NodeUnderTest();
    node.write('web.yaml', shop('web', '10.96.0.1'));
    const proxy = node.proxy(folders(node));
    await proxy.logged(programmed);
    const rules = node.nft('list', 'ruleset');
    const state = node.run(['switch', ...folders(node)]);
    assert.deepEqual([state.status, state.stdout], [0, 'The nftables plane is in charge.\n']);
    const same = node.run(['switch', '--to', 'nftables', '-o', 'json', ...folders(node)]);
    assert.deepEqual([same.status, JSON.parse(same.stdout)], [0, {}], same.stderr);
    const undo = node.run(['switch', '--undo', ...folders(node)]);
    assert.equal(undo.status, 1);
    assert.match(undo.stderr, /SY_SWITCH_REFUSED.*no switch that could be undone/);
    assert.equal(node.nft('list', 'ruleset'), rules);
    assert.equal(existsSync(node.file('state')), false);
  },
);

test('what this kernel cannot do is refused, and the agent goes on', options, async (t) => {
  if (hasIpvs) {
    t.skip('this kernel has IPVS');
    return;
  }
  using node = new NodeUnderTest();
  node.write('web.yaml', shop('web', '10.96.0.1'));
  const proxy = node.proxy(folders(node));
  await proxy.logged(programmed);
  for (const extra of [[], ['--dry-run']]) {
    const { status, stdout, stderr } = node.run([
      'switch',
      '--to',
      'ipvs',
      ...extra,
      ...folders(node),
    ]);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /SY_SWITCH_REFUSED.*The ipvs mode cannot work here/);
  }
  node.write('web.yaml', shop('web', '10.96.0.1', 81));
  await proxy.logged(programmed);
});

test(
  'a journal that cannot be read is reported, and the configured mode counts',
  options,
  async () => {
    using node = new NodeUnderTest();
    mkdirSync(node.file('state'));
    node.write('state/switch.json', '{"from"');
    node.write('web.yaml', shop('web', '10.96.0.1'));
    const proxy = node.proxy(folders(node));
    assert.match(
      await proxy.told(/"A switch of the mode cannot be gone on with"/),
      /SY_SWITCH_JOURNAL.*switch\.json/,
    );
    await proxy.logged(programmed);
  },
);
