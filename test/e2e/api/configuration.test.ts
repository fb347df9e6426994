/** The configuration file of the proxy: what is wrong with it, what changes in it, and the flags beside it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import packageJson from '../../../package.json' with { type: 'json' };
import { inNamespace } from '../../lab/in-namespace.ts';
import { ask } from '../../unit/agent/http/client.ts';
import { sourceProgram } from '../lab/proxy-process.ts';
import { endpoints, frontends } from '../lab/ruleset.ts';
import { Caller } from './caller.ts';
import { Cluster, ip, setUpNode } from './cluster.ts';
import { NODE_NAME, slice } from './objects.ts';

const programmed = /\] "Programmed" /;
const serving = /\] "Serving" /;
const restarting =
  /^I.* main\] "The configuration has changed; starting again with it\. What is programmed stays"$/;
const POD = '10.128.0.10';
const ESTABLISHED = '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established';

/** A configuration for a cluster, with some fields of its own. */
function configOf(cluster: Cluster, fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: cluster.file('kubeconfig') },
    hostnameOverride: NODE_NAME,
    conntrack: { maxPerCore: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    oomScoreAdj: 0,
    logging: { verbosity: 2 },
    ...fields,
  });
}

/** What the running proxy says is its cluster CIDR. */
async function clusterCidr(): Promise<unknown> {
  const { body } = await ask({ port: 10_249, path: '/configz' });
  const configz = JSON.parse(body) as {
    readonly 'kubeproxy.config.k8s.io': { readonly clusterCIDR: unknown };
  };
  return configz['kubeproxy.config.k8s.io'].clusterCIDR;
}

/** What a file holds, and what the proxy says that cannot use it. */
const unusable: readonly (readonly [string, string | Uint8Array, number, RegExp])[] = [
  ['a wrong type', 'mode: 7', 2, /SY_CONFIG_INVALID: .*mode/],
  ['a value that cannot be', 'mode: userspace', 2, /SY_CONFIG_INVALID: .*mode.*userspace/],
  ['a mode that is not built', 'mode: ipvs', 1, /SY_\w+: .*ipvs/],
  ['a broken document', '[', 2, /SY_CONFIG_INVALID: .*line/],
  [
    'bytes that are no text',
    Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0),
    1,
    /SY_CONFIG_UNREADABLE: .*not text/,
  ],
];

inNamespace(import.meta.filename, () => {
  const pod = net.createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  before(async () => {
    setUpNode();
    ip('address', 'add', `${POD}/32`, 'dev', 'lo');
    pod.listen(8080, POD);
    await once(pod, 'listening');
  });
  after(() => pod.close());

  test('each way to change the file starts again in the same process, and traffic goes on', async (t) => {
    await using cluster = await Cluster.start();
    cluster.server.apply(slice('web', [POD]));
    mkdirSync(cluster.file('volume'));
    const version = (name: string, clusterCIDR: string): void => {
      mkdirSync(cluster.file(`volume/..${name}`));
      cluster.write(`volume/..${name}/config.conf`, configOf(cluster, { clusterCIDR }));
      symlinkSync(`..${name}`, cluster.file('volume/..data_tmp'));
      renameSync(cluster.file('volume/..data_tmp'), cluster.file('volume/..data'));
    };
    version('1', '10.128.0.0/16');
    symlinkSync('..data/config.conf', cluster.file('volume/config.conf'));
    const path = cluster.file('volume/config.conf');
    const proxy = cluster.run([`--config=${path}`]);
    await proxy.logged(serving);
    await using calls = Caller.keepCalling('10.96.0.1', 80);
    const changes: Readonly<Record<string, (clusterCIDR: string) => void>> = {
      'a ConfigMap volume': (clusterCIDR) => version('2', clusterCIDR),
      'a file put in its place': (clusterCIDR) => {
        const next = cluster.write('volume/next', configOf(cluster, { clusterCIDR }));
        renameSync(next, path);
      },
      'a write': (clusterCIDR) =>
        cluster.write('volume/config.conf', configOf(cluster, { clusterCIDR })),
    };
    let octet = 129;
    for (const [name, change] of Object.entries(changes)) {
      await t.test(name, async () => {
        const clusterCIDR = `10.${octet++}.0.0/16`;
        change(clusterCIDR);
        await proxy.logged(restarting);
        await proxy.logged(serving);
        assert.equal(await clusterCidr(), clusterCIDR);
        assert.ok(cluster.nft('list', 'ruleset').includes(`ip saddr != ${clusterCIDR}`));
        assert.equal((await ask({ port: 10_256, path: '/healthz' })).status, 200);
      });
    }
    const { succeeded, failures } = await calls.stop();
    assert.deepEqual(failures, []);
    assert.ok(succeeded > 50);
    assert.equal(proxy.count(restarting), 3);
    assert.equal(proxy.count(/^[WE]/), 0, proxy.lines.join('\n'));
  });

  test('a new file that is wrong is told once, and the old one stays in force', async () => {
    await using cluster = await Cluster.start();
    const path = cluster.write('config', configOf(cluster, { clusterCIDR: '10.128.0.0/16' }));
    const proxy = cluster.run([`--config=${path}`]);
    await proxy.logged(serving);
    const refused =
      /^E.* main\] "The new configuration cannot be used; the one before stays in force"/;
    cluster.write('config', configOf(cluster, { clusterCIDR: 'everything' }));
    assert.match(await proxy.logged(refused), /clusterCIDR.*everything/);
    cluster.server.apply(slice('web', ['10.1.1.1']));
    await proxy.logged(programmed);
    assert.deepEqual(endpoints(cluster, '10.96.0.1:80'), ['10.1.1.1:8080']);
    assert.equal(await clusterCidr(), '10.128.0.0/16');
    cluster.write('config', configOf(cluster, { clusterCIDR: '10.129.0.0/16' }));
    await proxy.logged(restarting);
    await proxy.logged(serving);
    assert.equal(await clusterCidr(), '10.129.0.0/16');
    assert.equal(proxy.count(refused), 1);
    assert.equal(proxy.count(/^[WE]/), 1);
  });

  test('unknown fields are named in one warning, and it runs', async () => {
    await using cluster = await Cluster.start();
    const content = configOf(cluster, { colour: 'red', conntrack: { maxPerCore: 0, most: 1 } });
    const proxy = cluster.run([
      `--config=${cluster.write('config', content)}`,
      '--oom-score-adj=0',
      '-v=2',
    ]);
    const line = await proxy.logged(/^W.*fields that are unknown/);
    assert.match(line, /colour/);
    assert.match(line, /conntrack\.most/);
    await proxy.logged(serving);
    assert.equal(proxy.count(/fields that are unknown/), 1);
    assert.equal(proxy.count(/these flags are ignored: --oom-score-adj\./), 1);
  });

  test('a file that cannot be used ends it with one line, and the rules stay', async (t) => {
    await using cluster = await Cluster.start();
    const first = cluster.proxy();
    await first.logged(serving);
    first.kill('SIGTERM');
    await first.ended;
    const refuse = (path: string, status: number, text: RegExp): void => {
      const ended = cluster.command(['proxy', `--config=${path}`]);
      assert.equal(ended.status, status, ended.stderr);
      assert.match(ended.stderr, text);
      assert.match(ended.stderr, /^[^\n]*\n$/, 'one line');
      assert.equal(ended.stdout, '');
      assert.deepEqual(frontends(cluster), ['10.96.0.1:80']);
    };
    for (const [name, content, status, text] of unusable) {
      await t.test(name, () => {
        const head = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';
        const whole = typeof content === 'string' ? head + content : content;
        refuse(cluster.write('config', whole), status, text);
      });
    }
    await t.test('another kind', () => {
      const other = cluster.write('config', 'apiVersion: v1\nkind: Pod\n');
      refuse(other, 2, /SY_CONFIG_INVALID: .*Pod/);
    });
    await t.test('a file that is not there', () => {
      refuse(cluster.file('nowhere'), 1, /SY_CONFIG_UNREADABLE: .*nowhere/);
    });
  });

  test('as kube-proxy, it does what is asked for once and ends', async () => {
    await using cluster = await Cluster.start();
    const asKubeProxy = cluster.file('kube-proxy');
    symlinkSync(sourceProgram, asKubeProxy);
    const kubeconfig = `--kubeconfig=${cluster.file('kubeconfig')}`;
    const proxy = cluster.run(
      [
        kubeconfig,
        `--hostname_override=${NODE_NAME}`,
        '-v=2',
        '--masquerade_all',
        '--oom-score-adj=0',
      ],
      [asKubeProxy],
    );
    await proxy.logged(serving);
    proxy.kill('SIGTERM');
    assert.deepEqual(await proxy.ended, { code: 0, signal: null });
    const config = cluster.file('written');
    const run = (...flags: readonly string[]) => {
      const ended = cluster.command(flags, asKubeProxy);
      assert.equal(ended.status, 0, ended.stderr);
      return ended;
    };

    run('--write-config-to', config, '--masquerade-all', kubeconfig);
    assert.match(readFileSync(config, 'utf8'), /^kind: KubeProxyConfiguration$/m);
    assert.match(readFileSync(config, 'utf8'), /^ {2}masqueradeAll: true$/m);
    const timeout = '--conntrack-tcp-timeout-established=1h2m3s';
    const node = [kubeconfig, `--hostname-override=${NODE_NAME}`, '--oom-score-adj=0'];
    const init = cluster.run([...node, '--init-only', timeout], [asKubeProxy]);
    assert.deepEqual(await init.ended, { code: 0, signal: null }, init.lines.join('\n'));
    assert.equal(init.count(/Programmed|Serving|Listening/), 0);
    assert.equal(readFileSync(ESTABLISHED, 'utf8').trim(), '3723');
    assert.deepEqual(frontends(cluster), ['10.96.0.1:80']);
    assert.ok(run('--version').stdout.startsWith(`switchyard ${packageJson.version}`));
    assert.match(run('--cleanup').stdout, /^Removed all nftables rules of switchyard\.$/m);
    assert.equal(cluster.nft('list', 'ruleset'), '');
  });
});
