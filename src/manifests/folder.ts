/** The file-system side of a manifest folder: which files count, and telling when one may have changed. */
import { type BigIntStats, constants, readdirSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ManifestError } from './errors.ts';
import { MAX_FILE_BYTES } from './file.ts';

/** Where manifests are: all files of a folder, or one file of it. */
export interface ManifestPlace {
  readonly folder: string;
  /** The one file to read, if not all. */
  readonly only: string | undefined;
}

/** Bytes of a file, or why there are none. */
export type FileRead =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly stamp: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly reason: string; readonly stamp: string };

/** Looks up the path a user gave. Throws a {@link ManifestError} if nothing is there. */
export function locateManifests(path: string): ManifestPlace {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    if (errorCode(error) === 'ENOENT')
      throw new ManifestError(
        'SY_MANIFESTS_MISSING',
        `There is no file or folder ${path}: name an existing one with --manifests.`,
      );
    throw new ManifestError(
      'SY_MANIFESTS_UNREADABLE',
      `Cannot read ${path} (${errorCode(error)}): check its permissions.`,
    );
  }
  return isFolder
    ? { folder: path, only: undefined }
    : { folder: dirname(path), only: basename(path) };
}

/** True for the files that are read. Hidden files and what editors leave beside a file are not. */
export function isManifest(place: ManifestPlace, name: string): boolean {
  if (place.only !== undefined) return name === place.only;
  return !name.startsWith('.') && /\.(?:ya?ml|json)$/i.test(name);
}

/** Names of the files to read, sorted. Throws what `readdir` throws. */
export function listManifests(place: ManifestPlace): readonly string[] {
  return readdirSync(place.folder)
    .filter((name) => isManifest(place, name))
    .toSorted();
}

/** Changes whenever the file is written or replaced; `undefined` when there is no file. */
export function stampOf(place: ManifestPlace, name: string): string | undefined {
  try {
    return stamp(statSync(join(place.folder, name), { bigint: true }));
  } catch (error) {
    const code = errorCode(error);
    return code === 'ENOENT' ? undefined : code;
  }
}

/** Reads a file, unless it is too large or not a regular one. */
export async function readManifest(place: ManifestPlace, name: string): Promise<FileRead> {
  let seen = '';
  try {
    // Not blocking: opening a named pipe would wait for a writer.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    await using file = await open(join(place.folder, name), flags);
    const stats = await file.stat({ bigint: true });
    seen = stamp(stats);
    if (!stats.isFile()) return { kind: 'refused', reason: 'is not a regular file', stamp: seen };
    if (stats.size > MAX_FILE_BYTES) {
      const size = `is ${(Number(stats.size) / 2 ** 20).toFixed(1)} MiB`;
      const reason = `${size}, larger than ${MAX_FILE_BYTES / 2 ** 20} MiB: split it into several files`;
      return { kind: 'refused', reason, stamp: seen };
    }
    return { kind: 'bytes', bytes: await file.readFile(), stamp: seen };
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return { kind: 'absent' };
    return {
      kind: 'refused',
      reason: `cannot be read (${code})`,
      stamp: seen === '' ? code : seen,
    };
  }
}

/** `ENOENT` and the like; throws what is no system error. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string')
    return error.code;
  throw error;
}

function stamp({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}
