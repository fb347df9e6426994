/** An image of `npm run image`, and the file system of a container of it. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseOci } from '../../unit/deploy/oci.ts';

const root = join(import.meta.dirname, '../../..');
export const buildProgram = join(root, 'tools/image/main.ts');

/** What a pod gives to a container. */
export interface ContainerOptions {
  readonly privileged: boolean;
  /** The rights of one that is not privileged, as setpriv(1) has them: `-all,+net_admin`. */
  readonly rights?: string;
  /** Files and folders of the node, by where the container has them. */
  readonly mounts: Readonly<Record<string, string>>;
}

/**
 * What a container runtime does: everything is read-only but what is mounted, for those without privileges also
 * /proc/sys. CAP_SYS_CHROOT is there for the test alone.
 */
const START = `set -e
root=$1 privileged=$2 rights=$3; shift 3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev/null "$root/dev/null"
while [ "$1" != -- ]; do mount --bind "$2" "$root$1"; shift 2; done; shift
mount -o remount,bind,ro "$root"
[ "$privileged" = true ] && exec chroot "$root" "$@"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
exec setpriv --bounding-set="$rights,+sys_chroot" --no-new-privs chroot "$root" "$@"`;

/** Builds, and returns what was said. */
export function build(...args: readonly string[]): string {
  return execFileSync(process.execPath, [buildProgram, ...args], { encoding: 'utf8' });
}

/** The digest in what was said. */
export function digestOf(output: string): string {
  return /^sha256:\w+$/m.exec(output)?.[0] ?? assert.fail(output);
}

/** One image; everything of it goes with it. */
export class UnpackedImage implements Disposable {
  /** For more files of the test. */
  readonly folder = mkdtempSync(join(tmpdir(), 'switchyard-image-'));
  readonly image = join(this.folder, 'image');
  readonly archive = join(this.folder, 'image.tar');
  readonly rootfs = join(this.folder, 'rootfs');
  readonly said: string;

  constructor(...options: readonly string[]) {
    this.said = build('--out', this.image, '--tar', this.archive, ...options);
    mkdirSync(this.rootfs);
    for (const digest of this.layers()) {
      execFileSync('tar', ['-xz', '-C', this.rootfs], { input: this.#readBlob(digest) });
    }
    // What a container runtime adds.
    mkdirSync(join(this.rootfs, 'proc'));
    mkdirSync(join(this.rootfs, 'dev'));
    writeFileSync(join(this.rootfs, 'dev/null'), '');
    writeFileSync(join(this.rootfs, 'etc/hosts'), '192.0.2.7 control-plane.example\n');
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }

  /** The digests of the layers, lowest first. */
  layers(): readonly string[] {
    const manifest = parseOci('manifest', this.#readBlob(digestOf(this.said)));
    return manifest.layers.map(({ digest }) => digest);
  }

  /** Paths of the files and links in all layers. */
  paths(): readonly string[] {
    return this.layers().flatMap((digest) =>
      execFileSync('tar', ['-tz'], { input: this.#readBlob(digest), encoding: 'utf8' })
        .split('\n')
        .filter((path) => path !== '' && !path.endsWith('/')),
    );
  }

  /** Runs a program of the image in a network, process and mount namespace, with no file but those of the image. */
  run(...command: readonly string[]): string {
    const namespaces = ['--net', '--mount', '--pid', '--fork', '--mount-proc'];
    const args = [...namespaces, `--root=${this.rootfs}`, '--', ...command];
    const { status, stdout, stderr } = spawnSync('unshare', args, {
      encoding: 'utf8',
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', NODE_OPTIONS: '--max-semi-space-size=4' },
    });
    assert.equal(status, 0, stderr);
    return stdout;
  }

  /** Starts a program of the image in a network namespace as the container of a pod with `hostNetwork`. */
  start(
    namespace: string,
    { privileged, rights = '', mounts }: ContainerOptions,
    ...command: readonly string[]
  ): ChildProcess {
    for (const [inside, outside] of Object.entries(mounts)) {
      const path = join(this.rootfs, inside);
      mkdirSync(dirname(path), { recursive: true });
      if (statSync(outside).isDirectory()) mkdirSync(path, { recursive: true });
      else writeFileSync(path, '');
    }
    const mounted = Object.entries(mounts).flat();
    const options = [this.rootfs, String(privileged), rights, ...mounted, '--'];
    const unshared = ['unshare', '--mount', '--pid', '--fork', '--kill-child'];
    const args = [...unshared, 'sh', '-c', START, 'sh', ...options, ...command];
    return spawn('ip', ['netns', 'exec', namespace, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: `/usr/local/bin:${process.env['PATH'] ?? ''}` },
    });
  }

  #readBlob(digest: string): Buffer {
    return readFileSync(join(this.image, 'blobs', digest.replace(':', '/')));
  }
}
