/**
 * What is in the image: Node.js, the libraries it needs, koffi and the bundle. No shell, no package
 * manager, no other program: nftables mode calls none. The other modes call iptables, which is a layer by itself.
 */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { iptablesLayer } from './iptables.ts';
import { debianCopyrights, librariesOf } from './libraries.ts';
import { BIN, LICENSES, copy, inline, link, read } from './members.ts';
import type { TarFiles } from './tar.ts';

/** Where the pieces come from. */
export interface Sources {
  /** Folder of the repository, with `dist` built. */
  readonly root: string;
  /** The Node.js binary to ship. */
  readonly node: string;
  /** `process.arch` of that binary. */
  readonly arch: string;
  readonly version: string;
  /** Folders to take iptables from; without them there is none in the image. */
  readonly iptables?: readonly string[] | undefined;
}

const PROGRAM = 'usr/local/lib/switchyard';
const MODULES = `${PROGRAM}/node_modules`;

/** What `require('koffi')` reads of the package; the rest of it is sources and documentation. */
const KOFFI_FILES = [
  'package.json',
  'index.cjs',
  'src/koffi/index.cjs',
  'src/koffi/src/static.cjs',
] as const;

/** Files whose text is ours. Node.js asks the first for the home folder, glibc the second where names are looked up. */
const SYSTEM_FILES = {
  'etc/passwd': 'root:x:0:0:root:/root:/sbin/nologin\n',
  'etc/nsswitch.conf': 'hosts: files dns\n',
} as const;

/**
 * The layers, lowest first: what a release of Switchyard shares with the one before, then the bundle.
 * @throws ImageError SY_IMAGE_INCOMPLETE: something is not built or not installed.
 */
export function collectLayers(sources: Sources): readonly TarFiles[] {
  const runtime = runtimeLayer(sources);
  const { iptables } = sources;
  return [
    runtime,
    ...(iptables === undefined ? [] : [iptablesLayer(runtime, iptables)]),
    programLayer(sources),
  ];
}

function runtimeLayer({ root, node, arch }: Sources): TarFiles {
  const koffi = packageFolder(root, 'koffi');
  const binding = `@koromix/koffi-linux-${arch}`;
  const bindingFolder = packageFolder(root, binding);
  const native = `linux_${arch}/koffi.node`;
  const libraries = librariesOf([node, join(bindingFolder, native)]);
  return new Map([
    ...Object.entries(SYSTEM_FILES).map(([path, content]) => inline(path, content)),
    copy(`${BIN}/node`, node, true),
    ...libraries.map((path) => copy(path.slice(1), path, true)),
    ...KOFFI_FILES.map((file) => copy(`${MODULES}/koffi/${file}`, join(koffi, file))),
    ...['package.json', 'index.js', native].map((file) =>
      copy(`${MODULES}/${binding}/${file}`, join(bindingFolder, file)),
    ),
    copy(`${LICENSES}/node/LICENSE`, join(dirname(node), '../LICENSE')),
    copy(`${LICENSES}/koffi/LICENSE.txt`, join(koffi, 'LICENSE.txt')),
    ...[...debianCopyrights(libraries)].map(([name, file]) =>
      copy(`${LICENSES}/${name}/copyright`, file),
    ),
  ]);
}

function programLayer({ root, version }: Sources): TarFiles {
  const folder = join(root, 'dist/bin');
  const scripts = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith('.js') && name !== 'switchyard.js')
    : [];
  // There is no `env` to find Node.js with.
  const bundle = text(join(folder, 'switchyard.js')).replace(/^#!.*/, `#!/${BIN}/node`);
  return new Map([
    inline(`${PROGRAM}/switchyard.js`, bundle, true),
    ...scripts.map((name) => copy(`${PROGRAM}/${name}`, join(folder, name))),
    inline(
      `${PROGRAM}/package.json`,
      `${JSON.stringify({ name: 'switchyard', version, type: 'module' })}\n`,
    ),
    // By the second name it takes kube-proxy's command line.
    link(`${BIN}/switchyard`, '../lib/switchyard/switchyard.js'),
    link(`${BIN}/kube-proxy`, '../lib/switchyard/switchyard.js'),
    copy(`${LICENSES}/switchyard/LICENSE`, join(root, 'LICENSE')),
    copy(
      `${LICENSES}/switchyard/THIRD_PARTY_NOTICES.md`,
      join(root, 'dist/THIRD_PARTY_NOTICES.md'),
    ),
  ]);
}

function packageFolder(root: string, name: string): string {
  return join(root, 'node_modules', name);
}

function text(file: string): string {
  return read(file).toString();
}
