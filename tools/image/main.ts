/**
 * `npm run image`: the container image as an OCI image layout, without Docker or root.
 *
 *     npm run image [-- [--with-iptables] [--out FOLDER] [--tar FILE]]
 *
 * The same files on the same system give the same digest.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import packageJson from '../../package.json' with { type: 'json' };
import { collectLayers } from './contents.ts';
import { ImageError } from './errors.ts';
import { layOut, packLayout, writeLayout } from './layout.ts';

const root = join(import.meta.dirname, '../..');

/** Go's names for the machines that Node.js and koffi come for. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

interface Options {
  readonly out: string;
  readonly tar?: string | undefined;
  readonly 'with-iptables': boolean;
}

function readOptions(): Options {
  try {
    return parseArgs({
      options: {
        out: { type: 'string', default: join(root, 'dist/image') },
        tar: { type: 'string' },
        'with-iptables': { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImageError(
      'SY_IMAGE_USAGE',
      `${reason}; there are --with-iptables, --out FOLDER and --tar FILE`,
    );
  }
}

function build(): void {
  const { out, tar, 'with-iptables': withIptables } = readOptions();
  const { version, description, license } = packageJson;
  const { arch, execPath: node } = process;
  const architecture = ARCHITECTURES[arch];
  if (process.platform !== 'linux' || architecture === undefined) {
    throw new ImageError(
      'SY_IMAGE_INCOMPLETE',
      `the image holds this machine's Node.js; build it on Linux on x86-64 or arm64, not on ${process.platform} ${arch}`,
    );
  }
  const name = 'localhost/switchyard';
  // A tag of its own: the kubelet does not fetch an image again whose tag it has.
  const tag = withIptables ? `${version}-iptables` : version;
  // Programs of root are not in everybody's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const layout = layOut({
    name,
    tag,
    config: {
      architecture,
      entrypoint: ['/usr/local/bin/switchyard'],
      environment: [
        'PATH=/usr/local/bin',
        // A smaller young generation: less memory at no measurable cost of CPU.
        'NODE_OPTIONS=--max-semi-space-size=4',
      ],
      labels: {
        'org.opencontainers.image.title': 'switchyard',
        'org.opencontainers.image.description': description,
        'org.opencontainers.image.licenses': license,
        'org.opencontainers.image.version': version,
      },
    },
    layers: collectLayers({
      root,
      node,
      arch,
      version,
      iptables: withIptables ? folders : undefined,
    }),
  });
  writeLayout(layout, out);
  const written = [out];
  if (tar !== undefined) {
    mkdirSync(dirname(resolve(tar)), { recursive: true });
    writeFileSync(tar, packLayout(layout));
    written.push(tar);
  }
  const size = [...layout.files.values()].reduce((sum, { length }) => sum + length, 0);
  const paths = written.map((path) => relative(process.cwd(), path)).join(' and ');
  process.stdout.write(
    `${name}:${tag} for ${architecture}, ${(size / 1e6).toFixed(0)} MB, in ${paths}\n${layout.digest}\n`,
  );
}

try {
  build();
} catch (error) {
  if (!(error instanceof ImageError)) throw error;
  process.stderr.write(`image: ${error.message}\n`);
  process.exitCode = error.code === 'SY_IMAGE_USAGE' ? 2 : 1;
}
