/** Members of a layer, from files of this machine or from text. */
import { readFileSync } from 'node:fs';
import { ImageError } from './errors.ts';
import type { TarContent } from './tar.ts';

/** A path in the image and what stands there. */
export type Member = [path: string, content: TarContent];

/** Where the image has its programs. */
export const BIN = 'usr/local/bin';
/** Where it has licences, a folder for each package. */
export const LICENSES = 'usr/share/licenses';

/** @throws ImageError SY_IMAGE_INCOMPLETE: the file cannot be read. */
export function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ImageError(
      'SY_IMAGE_INCOMPLETE',
      `cannot read ${file}, which belongs into the image: ` +
        `${error instanceof Error ? error.message : String(error)}; run npm ci and npm run build`,
    );
  }
}

/** A file of this text. */
export function inline(path: string, content: string, executable = false): Member {
  return [path, { type: 'file', content: Buffer.from(content), executable }];
}

/**
 * A copy of a file of this machine.
 * @throws ImageError SY_IMAGE_INCOMPLETE: it cannot be read.
 */
export function copy(path: string, from: string, executable = false): Member {
  return [path, { type: 'file', content: read(from), executable }];
}

/** A symbolic link. */
export function link(path: string, target: string): Member {
  return [path, { type: 'symlink', target }];
}
