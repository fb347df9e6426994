/**
 * Writes tar archives in the ustar format (POSIX.1-1988), the one that OCI layers are made of.
 *
 * The same entries give the same bytes: sorted by path, owned by root, dated 1970.
 */
import { ImageError } from './errors.ts';

/** What stands at a path of an archive. */
export type TarContent =
  | { readonly type: 'file'; readonly content: Uint8Array; readonly executable: boolean }
  | { readonly type: 'symlink'; readonly target: string };

/** Paths without a leading slash, with what stands there. The folders above them come by themselves. */
export type TarFiles = ReadonlyMap<string, TarContent>;

const BLOCK = 512;
/** Two blocks of zeros end an archive. */
const END = Buffer.alloc(2 * BLOCK);
/** Longest name of the header's first field; the `prefix` field for longer ones is not needed here. */
const NAME_BYTES = 100;

const MAGIC_AND_VERSION = 'ustar\x0000';

const TYPE_FILE = '0';
const TYPE_SYMLINK = '2';
const TYPE_FOLDER = '5';

/**
 * An archive of these files and the folders above them.
 * @throws ImageError SY_IMAGE_PATH: a path or a symlink's target longer than 100 bytes.
 */
export function packTar(files: TarFiles): Buffer {
  const folders = new Set([...files.keys()].flatMap(foldersAbove));
  const members = [
    ...[...folders].map((path) => ({ path: `${path}/`, blocks: [folderHeader(`${path}/`)] })),
    ...[...files].map(([path, content]) => ({ path, blocks: blocksOf(path, content) })),
  ].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return Buffer.concat([...members.flatMap(({ blocks }) => blocks), END]);
}

function foldersAbove(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

function folderHeader(path: string): Buffer {
  return header({ path, type: TYPE_FOLDER, mode: 0o755, size: 0, target: '' });
}

function blocksOf(path: string, entry: TarContent): readonly Uint8Array[] {
  if (entry.type === 'symlink') {
    const { target } = entry;
    return [header({ path, type: TYPE_SYMLINK, mode: 0o777, size: 0, target })];
  }
  const { content, executable } = entry;
  const size = content.length;
  const mode = executable ? 0o755 : 0o644;
  const padding = Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
  return [header({ path, type: TYPE_FILE, mode, size, target: '' }), content, padding];
}

interface Header {
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly size: number;
  readonly target: string;
}

/** `struct posix_header` of tar.h. Owner, group, time and device numbers are 0. */
function header({ path, type, mode, size, target }: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  writeName(block, 0, path);
  writeOctal(block, 100, 8, mode);
  writeOctal(block, 108, 8, 0);
  writeOctal(block, 116, 8, 0);
  writeOctal(block, 124, 12, size);
  writeOctal(block, 136, 12, 0);
  block.write(type, 156, 'latin1');
  writeName(block, 157, target);
  block.write(MAGIC_AND_VERSION, 257, 'latin1');
  writeOctal(block, 329, 8, 0);
  writeOctal(block, 337, 8, 0);
  // The sum is taken with spaces in its own place.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function writeName(block: Buffer, offset: number, name: string): void {
  if (Buffer.byteLength(name) > NAME_BYTES) {
    throw new ImageError(
      'SY_IMAGE_PATH',
      `cannot pack ${name}: longer than ${NAME_BYTES} bytes; choose a shorter path`,
    );
  }
  block.write(name, offset);
}

/** A number as octal digits that end with a zero byte. */
function writeOctal(block: Buffer, offset: number, width: number, value: number): void {
  block.write(value.toString(8).padStart(width - 1, '0'), offset, 'latin1');
}
