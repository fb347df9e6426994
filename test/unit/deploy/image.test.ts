/** The archive and the layout of the container image, and where its libraries come from. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { iptablesLayer } from '../../../tools/image/iptables.ts';
import { type Image, type Layout, layOut, packLayout } from '../../../tools/image/layout.ts';
import { parseLdd } from '../../../tools/image/libraries.ts';
import { type TarContent, packTar } from '../../../tools/image/tar.ts';
import { parseOci } from './oci.ts';

function file(content: string, executable = false): TarContent {
  return { type: 'file', content: Buffer.from(content), executable };
}

interface Member {
  readonly path: string;
  readonly type: string;
  readonly mode: string;
  readonly size: number;
}

/** The members of an archive, read independently of what wrote it; checks every header's sum. */
function members(archive: Buffer): readonly Member[] {
  const found: Member[] = [];
  let offset = 0;
  while (archive[offset] !== 0) {
    const block = archive.subarray(offset, offset + 512);
    const text = (from: number, to: number): string =>
      block.toString('utf8', from, to).replace(/\0.*$/, '');
    const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
    assert.equal(Number.parseInt(text(148, 156), 8), sum);
    assert.equal(block.toString('latin1', 257, 265), 'ustar\x0000');
    const size = Number.parseInt(text(124, 136), 8);
    found.push({ path: text(0, 100), type: text(156, 157), mode: text(100, 108), size });
    offset += 512 * (1 + Math.ceil(size / 512));
  }
  assert.deepEqual(archive.subarray(offset), Buffer.alloc(1024));
  return found;
}

describe('an archive', () => {
  it('holds files, links and the folders above them, sorted, with rights', () => {
    const archive = packTar(
      new Map<string, TarContent>([
        ['usr/bin/tool', file('#!', true)],
        ['etc/name', file('x'.repeat(513))],
        ['usr/bin/alias', { type: 'symlink', target: 'tool' }],
      ]),
    );
    assert.deepEqual(members(archive), [
      { path: 'etc/', type: '5', mode: '0000755', size: 0 },
      { path: 'etc/name', type: '0', mode: '0000644', size: 513 },
      { path: 'usr/', type: '5', mode: '0000755', size: 0 },
      { path: 'usr/bin/', type: '5', mode: '0000755', size: 0 },
      { path: 'usr/bin/alias', type: '2', mode: '0000777', size: 0 },
      { path: 'usr/bin/tool', type: '0', mode: '0000755', size: 2 },
    ]);
  });

  it('is the same in whatever order files were added', () => {
    const entries: readonly (readonly [string, TarContent])[] = [
      ['b', file('1')],
      ['a/c', file('2')],
    ];
    assert.deepEqual(packTar(new Map(entries)), packTar(new Map(entries.toReversed())));
  });

  it('refuses a path that its header cannot hold, instead of cutting it', () => {
    const path = 'x'.repeat(101);
    assert.throws(() => packTar(new Map([[path, file('')]])), { code: 'SY_IMAGE_PATH' });
    packTar(new Map([[path.slice(1), file('')]]));
  });
});

function fileOf({ files }: Layout, path: string): Buffer {
  return files.get(path) ?? assert.fail(path);
}

function sha256(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function blob(layout: Layout, digest: string): Buffer {
  const content = fileOf(layout, `blobs/${digest.replace(':', '/')}`);
  assert.equal(sha256(content), digest);
  return content;
}

describe('an image layout', () => {
  const image: Image = {
    name: 'localhost/thing',
    tag: '1.2.3',
    config: { architecture: 'amd64', entrypoint: ['/a'], environment: ['A=b'], labels: { l: 'v' } },
    layers: [new Map([['a', file('below')]]), new Map([['a', file('above')]])],
  };

  it('leads from its index to a manifest, a configuration and the layers, each by digest and size', () => {
    const layout = layOut(image);
    const [descriptor] = parseOci('index', fileOf(layout, 'index.json')).manifests;
    assert.equal(descriptor.digest, layout.digest);
    assert.equal(descriptor.annotations['io.containerd.image.name'], 'localhost/thing:1.2.3');
    const manifest = parseOci('manifest', blob(layout, descriptor.digest));
    for (const { digest, size } of [manifest.config, ...manifest.layers]) {
      assert.equal(blob(layout, digest).length, size);
    }
    const config = parseOci('config', blob(layout, manifest.config.digest));
    assert.deepEqual(config.config, {
      Env: ['A=b'],
      Entrypoint: ['/a'],
      WorkingDir: '/',
      Labels: { l: 'v' },
    });
    assert.equal(config.architecture, 'amd64');
    const archives = manifest.layers.map(({ digest }) => gunzipSync(blob(layout, digest)));
    assert.deepEqual(archives, image.layers.map(packTar));
    assert.deepEqual(config.rootfs.diff_ids, archives.map(sha256));
    assert.equal(layout.files.size, 2 + 4, 'nothing that is not referred to');
  });

  it('has another digest when a file changes, and only then', () => {
    const { digest } = layOut(image);
    assert.equal(layOut({ ...image }).digest, digest);
    const layers = [new Map([['a', file('other')]]), ...image.layers.slice(1)];
    assert.notEqual(layOut({ ...image, layers }).digest, digest);
  });

  it('becomes one archive of the same files', () => {
    const layout = layOut(image);
    const packed = members(packLayout(layout)).filter(({ type }) => type === '0');
    assert.deepEqual(
      new Map(packed.map(({ path, size }) => [path, size])),
      new Map([...layout.files].map(([path, { length }]) => [path, length])),
    );
  });
});

describe('the libraries of a program', () => {
  const output = `\tlinux-vdso.so.1 (0x00007ffd6a5f0000)
\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f3d21e5e000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f3d21f56000)
`;

  it('are those with a path, the dynamic linker among them', () => {
    const expected = ['/lib/x86_64-linux-gnu/libm.so.6', '/lib64/ld-linux-x86-64.so.2'];
    assert.deepEqual(parseLdd('node', output), expected);
  });

  it('that are not installed stop the build, by name', () => {
    assert.throws(() => parseLdd('node', '\tlibatomic.so.1 => not found\n'), {
      code: 'SY_IMAGE_INCOMPLETE',
      message: /node needs libatomic\.so\.1/,
    });
  });
});

describe('the layer of iptables', () => {
  it('needs iptables on this machine, and says so', () => {
    assert.throws(() => iptablesLayer(new Map(), ['/nowhere']), {
      code: 'SY_IMAGE_INCOMPLETE',
      message: /cannot find xtables-nft-multi in \/nowhere: .*apt-get install iptables/,
    });
  });
});
