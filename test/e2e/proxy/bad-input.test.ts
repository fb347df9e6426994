import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceYaml, shop, sliceYaml } from '../../lab/manifests.ts';
import { NodeUnderTest, missing } from './node-under-test.ts';

const options = missing === undefined ? {} : { skip: missing };
const programmed = /\] "Programmed" /;

/** Content of `web.yaml` that cannot be used, and what the log says about it. */
const broken: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
  [
    'tabs',
    'apiVersion: v1\nkind: Service\nmetadata:\n\tname: web\n',
    /web\.yaml:4" problem=".*[Tt]ab/,
  ],
  [
    'a duplicate key',
    `${serviceYaml({ name: 'web' })}kind: Service\n`,
    /web\.yaml:11" problem="the key kind is there twice/,
  ],
  [
    'a text for a number',
    shop('web', '10.96.0.1').replace('port: 80', 'port: http'),
    /web\.yaml:10" field="spec\.ports\[0\]\.port" object="Service shop\/web" problem=".*http/,
  ],
  [
    'a list for an object',
    shop('web', '10.96.0.1').replace(/spec:\n[^]*?---/, 'spec: []\n---'),
    /web\.yaml:6" field="spec" object="Service shop\/web"/,
  ],
  [
    'a cluster IP that is none',
    shop('web', '10.96.0.001'),
    /web\.yaml:7" field="spec\.clusterIP" object="Service shop\/web"/,
  ],
  [
    'no kind',
    'apiVersion: v1\nmetadata: {name: web}\n',
    /web\.yaml:1" field="kind" problem="is missing/,
  ],
  [
    'no name',
    'apiVersion: v1\nkind: Service\nmetadata: {}\n',
    /web\.yaml:3" field="metadata\.name"/,
  ],
  ['a bomb of aliases', `a: &a [1]\n${bomb()}`, /web\.yaml:1" problem="aliases: /],
  ['an alias of nothing', 'kind: Service\na: *b\n', /web\.yaml:2" problem="\*b stands for nothing/],
  [
    'bytes that are no text',
    Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0, 1, 2),
    /web\.yaml:1" problem="not a text/,
  ],
  [
    'another character set',
    Buffer.from('kind: caf\xe9\n', 'latin1'),
    /web\.yaml:1" problem="not UTF-8/,
  ],
];

function bomb(): string {
  let text = '';
  for (let level = 1; level < 9; level++) {
    const name = String.fromCharCode(96 + level);
    const next = String.fromCharCode(97 + level);
    text += `${next}: &${next} [${Array.from({ length: 9 }, () => `*${name}`).join(', ')}]\n`;
  }
  return text;
}

test(
  'a broken document is told once, its last good state stays, others go on',
  options,
  async (t) => {
    using node = new NodeUnderTest();
    const good = shop('web', '10.96.0.1');
    node.write('web.yaml', good);
    node.write('api.yaml', shop('api', '10.96.0.2', 1000));
    const proxy = node.proxy();
    await proxy.logged(programmed);
    let port = 1000;
    for (const [name, content, complaint] of broken) {
      await t.test(name, async () => {
        node.replace('web.yaml', content);
        const line = await proxy.logged(complaint);
        assert.match(line, /^W.* manifests\] .* in_force="the last good state"/);
        port++;
        node.write('api.yaml', shop('api', '10.96.0.2', port));
        await proxy.logged(programmed);
        const rules = node.nft('list', 'ruleset');
        assert.ok(rules.includes('10.96.0.1 . tcp . 80 '), 'the last good state is in the kernel');
        assert.ok(rules.includes(`10.96.0.2 . tcp . ${port} `));
        // Written again as it is, the same text is no news.
        node.replace('web.yaml', content);
        port++;
        node.write('api.yaml', shop('api', '10.96.0.2', port));
        await proxy.logged(programmed);
        assert.equal(proxy.count(complaint), 1);
        node.replace('web.yaml', good);
      });
    }
  },
);

test('an empty file takes its objects away', options, async () => {
  using node = new NodeUnderTest();
  node.write('web.yaml', shop('web', '10.96.0.1'));
  const proxy = node.proxy();
  await proxy.logged(programmed);
  node.write('web.yaml', '');
  await proxy.logged(programmed);
  assert.ok(!node.nft('list', 'ruleset').includes('10.96.0.1'));
});

test('what is broken from the start is served as far as it goes', options, async () => {
  using node = new NodeUnderTest();
  const text = serviceYaml({ name: 'web' }).replace(
    '  - name: http',
    '  - name: x\n    port: no\n  - name: http',
  );
  node.write(
    'web.yaml',
    `${text}---\n${sliceYaml('web', ['127.0.0.1', '10.1.0.1', '::ffff:10.1.0.9'])}`,
  );
  node.write('bad.yaml', 'a: [\n');
  const proxy = node.proxy();
  await proxy.logged(programmed);
  assert.equal(proxy.count(/web\.yaml:\d+" field="spec\.ports\[0\]\.port"/), 1);
  assert.equal(proxy.count(/web\.yaml:\d+" field="endpoints\[0\]/), 1);
  assert.equal(proxy.count(/web\.yaml:\d+" field="endpoints\[2\]/), 1);
  assert.equal(proxy.count(/bad\.yaml:\d+" problem=/), 1);
  const rules = node.nft('list', 'ruleset');
  assert.ok(rules.includes('10.96.0.1 . tcp . 80 '));
  assert.ok(rules.includes('10.1.0.1'));
  assert.ok(!rules.includes('127.0.0.1'));
});

test('a file of 10 MB is read while it is served', options, async (t) => {
  using node = new NodeUnderTest();
  node.write('web.yaml', shop('web', '10.96.0.1'));
  const proxy = node.proxy();
  await proxy.logged(programmed);
  const services = Array.from({ length: 300 }, (_, index) =>
    shop(`s${index}`, `10.97.0.${index % 250}`, 80 + index),
  );
  const padding = `apiVersion: v1\nkind: ConfigMap\ndata:\n  text: |\n${'    padding\n'.repeat(900_000)}`;
  const started = performance.now();
  node.write('large.yaml', [...services, padding].join('---\n'));
  await proxy.logged(/"Programmed" .*and 297 more/);
  t.diagnostic(`10 MB with 300 Services took ${Math.round(performance.now() - started)} ms`);
  node.write('web.yaml', shop('web', '10.96.0.1', 81));
  await proxy.logged(/"Programmed" .*shop\/web/);
  assert.ok(node.nft('list', 'ruleset').includes('10.96.0.1 . tcp . 81 '));
});
