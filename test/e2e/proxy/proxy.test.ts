import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { serviceYaml, shop, sliceYaml } from '../../lab/manifests.ts';
import { builtProgram } from '../lab/proxy-process.ts';
import { frontends } from '../lab/ruleset.ts';
import { NodeUnderTest, missing, nodeAddress } from './node-under-test.ts';

const options = missing === undefined ? {} : { skip: missing };
const programmed = /\] "Programmed" /;

test(
  'what the manifests say is in the kernel, and one line says what is served',
  options,
  async () => {
    using node = new NodeUnderTest();
    node.write('web.yaml', shop('web', '10.96.0.1', 80, 30_080));
    node.write('api.yaml', serviceYaml({ name: 'api', clusterIP: '10.96.0.2', port: 81 }));
    node.write('other.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n');
    const proxy = node.proxy();
    const line = await proxy.logged(/ agent\] "Serving" /);
    for (const part of ['mode="nftables"', 'services=2', 'endpoints=2', 'node="node-1"'])
      assert.ok(line.includes(part), `${part} in ${line}`);
    assert.match(line, new RegExp(`node_ports_on="${nodeAddress.replaceAll('.', '\\.')}"`));
    assert.equal(proxy.count(/Ignored.*other\.yaml.*ConfigMap/), 1);
    assert.deepEqual(frontends(node), ['10.96.0.1:80', '10.96.0.2:81', `${nodeAddress}:30080`]);
    const rules = node.nft('list', 'ruleset');
    assert.match(rules, /shop\/web:http/);
    for (const endpoint of ['10.1.0.1', '10.1.0.2']) assert.ok(rules.includes(endpoint));
  },
);

test(
  'an edit is in the kernel when its line is logged, however the file was written',
  options,
  async (t) => {
    using node = new NodeUnderTest();
    node.write('web.yaml', shop('web', '10.96.0.1', 1000));
    node.write('api.yaml', shop('api', '10.96.0.2'));
    const proxy = node.proxy();
    await proxy.logged(programmed);
    const times: number[] = [];
    for (let port = 1001; port <= 1010; port++) {
      const text = shop('web', '10.96.0.1', port);
      const started = performance.now();
      if (port % 2 === 0) {
        node.write('.web.tmp', text);
        renameSync(node.file('.web.tmp'), node.file('web.yaml'));
      } else node.write('web.yaml', text);
      await proxy.logged(programmed);
      times.push(performance.now() - started);
      assert.deepEqual(frontends(node), [`10.96.0.1:${port}`, '10.96.0.2:80'].toSorted());
    }
    const median = times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;
    t.diagnostic(
      `from the write of a file to the line that it is programmed: ${median.toFixed(1)} ms`,
    );
    rmSync(node.file('web.yaml'));
    await proxy.logged(programmed);
    assert.deepEqual(frontends(node), ['10.96.0.2:80']);
  },
);

test('an endpoint that comes or goes is one small batch', options, async () => {
  using node = new NodeUnderTest();
  node.write('web.yaml', shop('web', '10.96.0.1'));
  node.write('slice.yaml', sliceYaml('extra', []));
  for (let index = 0; index < 50; index++)
    node.write(`s${index}.yaml`, shop(`s${index}`, `10.96.1.${index}`));
  const proxy = node.proxy();
  await proxy.logged(programmed);
  node.write('web.yaml', `${serviceYaml({ name: 'web' })}---\n${sliceYaml('web', ['10.1.0.1'])}`);
  const line = await proxy.logged(programmed);
  assert.match(line, /how="apply" services="shop\/web" routes=1 /);
  const [, operations] = /operations=(\d+)/.exec(line) ?? [];
  assert.ok(Number(operations) <= 10, line);
});

test(
  'SIGTERM ends the proxy at once and the rules stay, until they are cleaned up',
  options,
  async () => {
    using node = new NodeUnderTest();
    node.nft('add', 'table', 'ip', 'neighbour');
    node.nft('add', 'chain', 'ip', 'neighbour', 'input');
    node.write('web.yaml', shop('web', '10.96.0.1'));
    const proxy = node.proxy();
    await proxy.logged(programmed);
    const neighbour = node.nft('list', 'table', 'ip', 'neighbour');
    const asked = performance.now();
    proxy.kill('SIGTERM');
    assert.deepEqual(await proxy.ended, { code: 0, signal: null });
    const took = performance.now() - asked;
    assert.ok(took < 1000, `it took ${took} ms`);
    assert.equal(proxy.count(/Stopped/), 1);
    assert.deepEqual(frontends(node), ['10.96.0.1:80']);

    const cleaned = node.run(['cleanup']);
    assert.equal(cleaned.status, 0, cleaned.stderr);
    assert.match(cleaned.stdout, /^Removed /);
    assert.equal(node.nft('list', 'ruleset'), neighbour);
    const again = node.run(['cleanup']);
    assert.equal(again.status, 0);
    assert.match(again.stdout, /^There were no /);
  },
);

test(
  'after a crash the next proxy adopts what is there, and removes what is stale',
  options,
  async () => {
    using node = new NodeUnderTest();
    node.write('web.yaml', shop('web', '10.96.0.1'));
    node.write('old.yaml', shop('old', '10.96.0.2'));
    const first = node.proxy();
    await first.logged(programmed);
    first.kill('SIGKILL');
    await first.ended;
    const second = node.proxy();
    assert.match(await second.logged(programmed), /how="open" .* operations=0 /);
    second.kill('SIGKILL');
    await second.ended;
    rmSync(node.file('old.yaml'));
    const third = node.proxy();
    await third.logged(programmed);
    assert.deepEqual(frontends(node), ['10.96.0.1:80']);
  },
);

test(
  'a table that somebody deletes comes back, without a change and with one',
  options,
  async () => {
    using node = new NodeUnderTest();
    node.nft('add', 'table', 'ip', 'neighbour');
    node.write('web.yaml', shop('web', '10.96.0.1'));
    const proxy = node.proxy();
    await proxy.logged(programmed);
    const before = node.nft('list', 'ruleset');
    node.nft('delete', 'table', 'ip', 'switchyard');
    await proxy.logged(/"Somebody else changed our rules; repaired".*table was missing/);
    assert.equal(node.nft('list', 'ruleset').length, before.length);
    node.nft('delete', 'table', 'ip', 'switchyard');
    node.write('web.yaml', shop('web', '10.96.0.1', 81));
    await proxy.logged(programmed);
    assert.deepEqual(frontends(node), ['10.96.0.1:81']);
    node.nft('list', 'table', 'ip', 'neighbour');
  },
);

test('node ports follow the addresses of the node', options, async () => {
  using node = new NodeUnderTest();
  node.write('web.yaml', shop('web', '10.96.0.1', 80, 30_080));
  const proxy = node.proxy(['--nodeport-addresses', '192.0.2.0/24']);
  await proxy.logged(programmed);
  node.ip('addr', 'add', '192.0.2.9/24', 'dev', 'lo');
  await proxy.logged(programmed);
  assert.deepEqual(frontends(node), ['10.96.0.1:80', '192.0.2.1:30080', '192.0.2.9:30080']);
  node.ip('addr', 'del', '192.0.2.1/24', 'dev', 'lo');
  await proxy.logged(/"Programmed" /);
  assert.ok(!frontends(node).includes('192.0.2.1:30080'));
});

test('a ConfigMap volume, whose files all change by one rename, is followed', options, async () => {
  using node = new NodeUnderTest();
  const version = (port: number): void => {
    mkdirSync(node.file(`..v${port}`));
    node.write(join(`..v${port}`, 'web.yaml'), shop('web', '10.96.0.1', port));
    node.write(join(`..v${port}`, 'api.yaml'), shop('api', '10.96.0.2', port));
    symlinkSync(`..v${port}`, node.file('..data_tmp'));
    renameSync(node.file('..data_tmp'), node.file('..data'));
  };
  version(80);
  for (const name of ['web', 'api']) symlinkSync(`..data/${name}.yaml`, node.file(`${name}.yaml`));
  const proxy = node.proxy();
  await proxy.logged(programmed);
  version(81);
  await proxy.logged(programmed);
  while (frontends(node).some((frontend) => frontend.endsWith(':80')))
    await proxy.logged(programmed);
  assert.deepEqual(frontends(node), ['10.96.0.1:81', '10.96.0.2:81']);
});

test('without the right to change rules both commands refuse, in one line', options, () => {
  using node = new NodeUnderTest();
  const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
  for (const args of [['proxy', '--manifests', '/', '--hostname-override', 'n'], ['cleanup']]) {
    const { status, stderr, stdout } = node.run(args, undefined, nobody);
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^switchyard: SY_\w+: [^\n]*CAP_NET_ADMIN[^\n]*\n$/);
    assert.equal(stdout, '');
  }
});

test('manifests that are not there are an error, and nothing is touched', options, () => {
  using node = new NodeUnderTest();
  const { status, stderr } = node.run([
    'proxy',
    '--manifests',
    node.file('nowhere'),
    '--hostname-override',
    'n',
  ]);
  assert.equal(status, 1);
  assert.match(stderr, /^switchyard: SY_MANIFESTS_MISSING: [^\n]*nowhere[^\n]*\n$/m);
  assert.equal(node.nft('list', 'ruleset'), '');
});

const unbuilt = existsSync(builtProgram) ? options : { skip: 'not built: npm run build' };

test('the bundled program serves and cleans up too', unbuilt, async () => {
  using node = new NodeUnderTest();
  node.write('web.yaml', shop('web', '10.96.0.1'));
  const proxy = node.proxy([], builtProgram);
  await proxy.logged(programmed);
  assert.deepEqual(frontends(node), ['10.96.0.1:80']);
  proxy.kill('SIGTERM');
  assert.deepEqual(await proxy.ended, { code: 0, signal: null });
  assert.equal(node.run(['cleanup'], builtProgram).status, 0);
  assert.equal(node.nft('list', 'ruleset'), '');
  assert.match(node.run(['--version'], builtProgram).stdout, /^\d+\.\d+\.\d+\n$/);
});
