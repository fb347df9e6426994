/** Files that are settings of the kernel: read and written whole, with errors that say what was tried. */
import { readFileSync, writeFileSync } from 'node:fs';
import { systemError } from './errors.ts';

/** What to do about an error number on such a file; numbers that are not here have general advice. */
export type Advice = ReadonlyMap<number, string>;

/**
 * Reads a file without the white space around its content.
 *
 * @param doing What is being tried, for the error: `reading the sysctl kernel/hostname`.
 * @throws KernelError by the number of the error.
 */
export function readPseudoFile(path: string, doing: string, advice: Advice): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    return fail(error, doing, advice);
  }
}

/**
 * Writes a file that exists, in one call as the kernel wants it.
 *
 * @param doing What is being tried, for the error.
 * @throws KernelError by the number of the error.
 */
export function writePseudoFile(path: string, text: string, doing: string, advice: Advice): void {
  try {
    writeFileSync(path, text, { flag: 'r+' });
  } catch (error) {
    fail(error, doing, advice);
  }
}

function fail(error: unknown, doing: string, advice: Advice): never {
  if (!(error instanceof Error && 'errno' in error && typeof error.errno === 'number')) throw error;
  const errno = -error.errno;
  const known = advice.get(errno);
  throw systemError(doing, errno, known === undefined ? {} : { advice: known });
}
