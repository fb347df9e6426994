/** The container image: what `npm run image` builds is whole, the same every time, and runs by itself. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { shop } from '../lab/manifests.ts';
import { ProxyProcess } from './lab/proxy-process.ts';
import { UnpackedImage, build, buildProgram, digestOf } from './lab/unpacked-image.ts';
import { NodeUnderTest } from './proxy/node-under-test.ts';

const tag = packageJson.version;

/** Everything the image may hold; licences aside. */
const expected = [
  /^etc\/(nsswitch\.conf|passwd)$/,
  /^lib\S*\/(ld-linux-\S+\.so\.\d|lib(c|dl|m|pthread|gcc_s|stdc\+\+)\.so\.\d)$/,
  /^usr\/local\/bin\/(node|switchyard|kube-proxy)$/,
  /^usr\/local\/lib\/switchyard\/(switchyard|[\w.-]+-[\w-]{8})\.js$/,
  /^usr\/local\/lib\/switchyard\/package\.json$/,
  /^usr\/local\/lib\/switchyard\/node_modules\/(@koromix\/)?koffi\S*\/\S+\.(cjs|js|json|node)$/,
  /^usr\/share\/licenses\/\S+$/,
];

function isInstalled(command: string): boolean {
  return spawnSync(command, ['--version']).status === 0;
}

const noRoot = process.getuid?.() === 0 ? false : 'needs root, for namespaces and chroot';
const noUmoci = isInstalled('umoci') ? false : 'needs umoci';
const noSetpriv = noRoot || (isInstalled('setpriv') ? false : 'needs setpriv (util-linux)');

describe('npm run image', () => {
  let built: UnpackedImage;

  before(() => {
    built = new UnpackedImage();
  });
  after(() => built[Symbol.dispose]());

  it('says name, size and digest', () => {
    assert.match(built.said, new RegExp(`^localhost/switchyard:${tag} for \\w+, \\d+ MB, in `));
  });

  it('refuses an option that it does not have, and builds nothing', () => {
    const out = join(built.folder, 'refused');
    const { status, stderr } = spawnSync(process.execPath, [buildProgram, '--out', out, '--push'], {
      encoding: 'utf8',
    });
    assert.equal(status, 2);
    assert.match(stderr, /^image: .*'--push'.*--tar FILE\n$/);
    assert.ok(!existsSync(out));
  });

  it('builds the same image from the same files', () => {
    assert.equal(digestOf(build('--out', join(built.folder, 'again'))), digestOf(built.said));
  });

  it('holds what is needed and nothing else: no shell, no package manager', () => {
    const paths = built.paths();
    const unexpected = paths.filter((path) => !expected.some((pattern) => pattern.test(path)));
    assert.deepEqual(unexpected, []);
    for (const owner of ['switchyard', 'node', 'koffi']) {
      assert.ok(
        paths.some((path) => path.startsWith(`usr/share/licenses/${owner}/`)),
        owner,
      );
    }
  });

  it('is the same as an archive, as container runtimes import it', () => {
    const { archive, folder, image } = built;
    const extracted = join(folder, 'extracted');
    mkdirSync(extracted);
    execFileSync('tar', ['-xf', archive, '-C', extracted]);
    execFileSync('diff', ['--recursive', extracted, image]);
  });

  it('is a valid image, which umoci unpacks to the same files', { skip: noUmoci || noRoot }, () => {
    const { folder, image, rootfs } = built;
    const bundle = join(folder, 'bundle');
    execFileSync('umoci', ['unpack', '--image', `${image}:${tag}`, bundle]);
    const options = [
      '--recursive',
      '--no-dereference',
      '--exclude=proc',
      '--exclude=dev',
      '--exclude=hosts',
    ];
    execFileSync('diff', [...options, join(bundle, 'rootfs'), rootfs]);
  });

  it('runs by both of its names', { skip: noRoot }, () => {
    for (const name of ['switchyard', 'kube-proxy']) {
      assert.match(built.run(`/usr/local/bin/${name}`, '--version'), /\d+\.\d+\.\d+/);
    }
  });

  it('talks to the kernel', { skip: noRoot }, () => {
    const output = built.run('/usr/local/bin/switchyard', 'cleanup');
    const modes = ['nftables', 'ipvs'];
    const lines = modes.map((mode) => `There were no ${mode} rules of switchyard.\n`);
    assert.ok(output.startsWith(`${lines.join('')}Not looked at:\n  Rules of iptables: `), output);
  });

  it('finds the API server in the hosts file of the node', { skip: noRoot }, () => {
    const lookUp = "require('dns').lookup('control-plane.example', (e, a) => console.log(e ?? a))";
    assert.equal(built.run('/usr/local/bin/node', '-e', lookUp), '192.0.2.7\n');
  });

  it('programs the kernel with no right but NET_ADMIN', { skip: noSetpriv }, async (t) => {
    using node = new NodeUnderTest();
    node.write('cart.yaml', shop('cart', '10.96.0.1'));
    const start = (rights: string): ProxyProcess => {
      const limited = ['setpriv', `--bounding-set=${rights}`, '--no-new-privs'];
      const program = ['node', 'switchyard'].map((name) =>
        join(built.rootfs, 'usr/local/bin', name),
      );
      const args = [
        ...limited,
        ...program,
        'proxy',
        '--proxy-mode',
        'nftables',
        '--manifests',
        node.folder,
      ];
      return new ProxyProcess(
        spawn('ip', ['netns', 'exec', node.namespace, ...args], {
          stdio: ['ignore', 'ignore', 'pipe'],
        }),
      );
    };
    const proxy = start('-all,+net_admin');
    t.after(() => proxy.kill('SIGKILL'));
    await proxy.logged(/ agent\] "Serving" /);
    assert.match(node.nft('list', 'map', 'ip', 'switchyard', 'service-ips'), /10\.96\.0\.1/);
    proxy.kill('SIGTERM');
    assert.equal((await proxy.ended).code, 0);
    assert.notEqual((await start('-all').ended).code, 0, 'the check can fail');
  });
});
