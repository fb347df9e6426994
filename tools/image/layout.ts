/** Writes an image as an OCI image layout (image-spec 1.0): a folder of blobs named by their SHA-256. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type TarContent, type TarFiles, packTar } from './tar.ts';

/** How containers of the image run, and what the image says of itself. */
interface ImageConfig {
  /** As Go names it: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly entrypoint: readonly string[];
  /** `NAME=value`. */
  readonly environment: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** An image by name: what its layers hold, lowest first, and how it runs. */
export interface Image {
  /** Such as `localhost/switchyard`. */
  readonly name: string;
  readonly tag: string;
  readonly config: ImageConfig;
  readonly layers: readonly TarFiles[];
}

/** The files of a layout by their paths in it. */
export interface Layout {
  readonly files: ReadonlyMap<string, Buffer>;
  /** Digest of the manifest, `sha256:…`: the same for the same image. */
  readonly digest: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** The layout of one image. Dates are left out: what is in the image decides its digest, nothing else. */
export function layOut({ name, tag, config, layers }: Image): Layout {
  const files = new Map<string, Buffer>();
  const addBlob = (mediaType: string, content: Buffer): Descriptor => {
    const digest = sha256(content);
    files.set(`blobs/${digest.replace(':', '/')}`, content);
    return { mediaType, digest, size: content.length };
  };
  const archives = layers.map(packTar);
  const { architecture, entrypoint, environment, labels } = config;
  const platform = { architecture, os: 'linux' };
  const manifest = addBlob(
    'application/vnd.oci.image.manifest.v1+json',
    json({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: addBlob(
        'application/vnd.oci.image.config.v1+json',
        json({
          ...platform,
          config: { Env: environment, Entrypoint: entrypoint, WorkingDir: '/', Labels: labels },
          rootfs: { type: 'layers', diff_ids: archives.map(sha256) },
          history: layers.map(() => ({ created_by: 'npm run image' })),
        }),
      ),
      layers: archives.map((archive) =>
        addBlob('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(archive)),
      ),
    }),
  );
  files.set('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  files.set(
    'index.json',
    json({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          ...manifest,
          platform,
          annotations: {
            // containerd names what it imports by the first, skopeo and umoci find it by the second.
            'io.containerd.image.name': `${name}:${tag}`,
            'org.opencontainers.image.ref.name': tag,
          },
        },
      ],
    }),
  );
  return { files, digest: manifest.digest };
}

/** Writes a layout in place of what the folder held. */
export function writeLayout({ files }: Layout, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  for (const [path, content] of files) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

/** The layout as one archive, as `ctr images import` and `podman load` read it. */
export function packLayout({ files }: Layout): Buffer {
  return packTar(
    new Map(
      [...files].map(([path, content]): [string, TarContent] => [
        path,
        { type: 'file', content, executable: false },
      ]),
    ),
  );
}

function sha256(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
