/** The container image with iptables: whole, the same every time, and enough for iptables mode in a pod. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, afterEach, describe, it } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { serviceYaml, sliceYaml } from '../lab/manifests.ts';
import { ProxyProcess } from './lab/proxy-process.ts';
import { type ContainerOptions, UnpackedImage, build, digestOf } from './lab/unpacked-image.ts';
import { NodeUnderTest, nodeAddress } from './proxy/node-under-test.ts';

const skip =
  process.getuid?.() !== 0
    ? 'needs root, for namespaces and chroot'
    : ['iptables-nft', 'iptables-legacy', 'setpriv'].every(
          (name) => spawnSync(name, ['--version']).status === 0,
        )
      ? false
      : 'needs iptables in both variants, and setpriv (util-linux)';

/** What deploy/with-iptables gives to the container that serves. */
const RIGHTS = '-all,+net_admin,+net_raw';
const LOCK = '/run/xtables.lock';

const LISTEN = `require('node:net').createServer((s) => s.end('served'))
  .listen(8080, '${nodeAddress}', () => process.stdout.write('listening'))`;
const CONNECT = `const [port, host] = process.argv.slice(1);
  require('node:net').connect(Number(port), host).on('data', (data) => process.stdout.write(data))`;

describe('npm run image -- --with-iptables', { skip }, () => {
  let built: UnpackedImage;

  before(() => {
    built = new UnpackedImage('--with-iptables');
  });
  after(() => built[Symbol.dispose]());

  it('has a tag of its own, so that nodes fetch it', () => {
    assert.match(built.said, new RegExp(`^localhost/switchyard:${packageJson.version}-iptables `));
  });

  it('builds the same image from the same files', () => {
    const again = build('--out', join(built.folder, 'again'), '--with-iptables');
    assert.equal(digestOf(again), digestOf(built.said));
  });

  it('adds one layer to the image without, and changes no other', () => {
    using without = new UnpackedImage();
    const [runtime, iptables, program, ...others] = built.layers();
    assert.deepEqual(without.layers(), [runtime, program]);
    assert.ok(iptables !== undefined);
    assert.deepEqual(others, []);
    const had = new Set(without.paths());
    const added = built.paths().filter((path) => !had.has(path));
    assert.equal(built.paths().length - had.size, added.length, 'no file twice');
    const unexpected = added.filter(
      (path) =>
        !/^usr\/local\/bin\/(xtables-(nft|legacy)-multi|ip6?tables(-nft|-legacy)?(-save|-restore)?)$/.test(
          path,
        ) &&
        !/\/xtables\/lib(xt|ipt|ip6t)_\w+\.so$/.test(path) &&
        !/^(usr\/)?lib\S*\/lib(xtables|ip[46]tc|mnl|nftnl|nfnetlink|netfilter_conntrack)\.so\.\d+$/.test(
          path,
        ) &&
        !/^usr\/share\/(licenses\/\S+\/copyright|common-licenses\/\S+)$/.test(path),
    );
    assert.deepEqual(unexpected, []);
    for (const path of ['licenses/iptables/copyright', 'common-licenses/GPL-2']) {
      assert.ok(added.includes(`usr/share/${path}`), path);
    }
  });

  it('has every program by its name, of the right variant', () => {
    for (const family of ['iptables', 'ip6tables']) {
      for (const ending of ['', '-save', '-restore']) {
        for (const [name, variant] of [
          [family, 'nf_tables'],
          [`${family}-nft`, 'nf_tables'],
          [`${family}-legacy`, 'legacy'],
        ] as const) {
          const said = built.run(`/usr/local/bin/${name}${ending}`, '--version');
          assert.match(said, new RegExp(`v1\\.\\d+\\.\\d+ \\(${variant}\\)`), name + ending);
        }
      }
    }
  });

  describe('in a pod', () => {
    let node: NodeUnderTest;
    let server: ChildProcess;
    let started: ProxyProcess[];

    beforeEach(async () => {
      started = [];
      node = new NodeUnderTest();
      node.ip('route', 'add', '10.96.0.0/16', 'dev', 'lo');
      node.write(
        'cart.yaml',
        `${serviceYaml({ name: 'cart', nodePort: 30_080 })}---\n${sliceYaml('cart', [nodeAddress])}`,
      );
      mkdirSync(node.file('run'));
      node.write('run/xtables.lock', '');
      server = inside('-e', LISTEN);
      await once(server.stdout ?? assert.fail(), 'data');
    });
    afterEach(async () => {
      for (const proxy of started) {
        proxy.kill('SIGKILL');
        await proxy.ended;
      }
      server.kill('SIGKILL');
      node[Symbol.dispose]();
    });

    /** Node.js of this machine in the namespace. */
    function inside(...args: readonly string[]): ChildProcess {
      return spawn('ip', ['netns', 'exec', node.namespace, process.execPath, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    }

    function ask(address: string, port: number): string {
      const args = [process.execPath, '-e', CONNECT, String(port), address];
      return execFileSync('ip', ['netns', 'exec', node.namespace, ...args], {
        encoding: 'utf8',
        timeout: 10_000,
      });
    }

    function iptables(variant: string, ...args: readonly string[]): string {
      const command = [`iptables-${variant}`, ...args];
      return execFileSync('ip', ['netns', 'exec', node.namespace, ...command], {
        encoding: 'utf8',
        env: { ...process.env, XTABLES_LOCKFILE: node.file('run/xtables.lock') },
      });
    }

    function start(
      options: Pick<ContainerOptions, 'privileged' | 'rights'> & { readonly lock?: boolean },
      ...flags: readonly string[]
    ): ProxyProcess {
      const { lock = true, ...others } = options;
      if (!lock) rmSync(join(built.rootfs, LOCK), { force: true });
      const mounts = {
        '/manifests': node.folder,
        '/run/switchyard': node.file('run'),
        ...(lock && { [LOCK]: node.file('run/xtables.lock') }),
      };
      const program = ['/usr/local/bin/switchyard', 'proxy', '--proxy-mode', 'iptables'];
      const command = [...program, '--manifests', '/manifests', ...flags];
      const proxy = new ProxyProcess(
        built.start(node.namespace, { ...others, mounts }, ...command),
      );
      started.push(proxy);
      return proxy;
    }

    async function setSysctls(): Promise<void> {
      const init = start({ privileged: true, lock: false }, '--init-only');
      assert.equal((await init.ended).code, 0, init.lines.join('\n'));
    }

    for (const variant of ['nft', 'legacy']) {
      it(`serves by iptables-${variant}, which the node uses, with the rights of the manifest`, async () => {
        iptables(variant, '-t', 'filter', '-A', 'INPUT', '-s', '198.51.100.1', '-j', 'DROP');
        await setSysctls();
        const proxy = start({ privileged: false, rights: RIGHTS });
        await proxy.logged(/ agent\] "Serving" /);
        assert.equal(proxy.count(/^E/), 0, proxy.lines.join('\n'));
        assert.match(iptables(variant, '-t', 'nat', '-S'), /^-A SWY-SVC-\S+ .*-j DNAT/m);
        assert.equal(ask('10.96.0.1', 80), 'served');
        assert.equal(ask(nodeAddress, 30_080), 'served');
        assert.equal(ask('127.0.0.1', 30_080), 'served', 'by the sysctl of the init container');
      });
    }

    it('says which sysctl is missing where no privileged container came first, and goes on with it', async () => {
      const proxy = start({ privileged: false, rights: RIGHTS });
      await proxy.logged(/route_localnet.*\/proc\/sys is mounted read-only/);
      await setSysctls();
      await proxy.logged(/ agent\] "Serving" /);
      assert.equal(ask('10.96.0.1', 80), 'served');
    });

    it('says that the lock of the tables is missing where legacy needs it', async () => {
      iptables('legacy', '-t', 'filter', '-A', 'INPUT', '-s', '198.51.100.1', '-j', 'DROP');
      await setSysctls();
      const proxy = start({ privileged: false, rights: RIGHTS, lock: false });
      await proxy.logged(/^E.*\/run\/xtables\.lock/);
    });
  });
});
