/** Writing files whole or not at all. */
import { rename, rm, writeFile } from 'node:fs/promises';

/** Puts `text` in the place of the file: who reads it meanwhile finds the old text or the new one. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, text, { flag: 'wx' });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
