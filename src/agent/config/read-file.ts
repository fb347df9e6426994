/** Reads a configuration file, without trusting it. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { AgentError } from '../errors.ts';

/** As large as a ConfigMap can be. */
const MAX_BYTES = 2 ** 20;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** The text of a file. Throws an {@link AgentError} `SY_CONFIG_UNREADABLE`. */
export function readConfigFile(path: string): string {
  const bytes = readBytes(path);
  let text: string | undefined;
  try {
    text = UTF8.decode(bytes);
  } catch {
    // Reported below.
  }
  if (text === undefined || text.includes('\0'))
    throw unreadable(path, 'is not text', 'It must be YAML or JSON in UTF-8.');
  return text;
}

function readBytes(path: string): Uint8Array {
  let file: number | undefined;
  try {
    // Not blocking: opening a named pipe would wait for a writer.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(file);
    if (!stats.isFile()) throw unreadable(path, 'is not a regular file', 'Name a file.');
    if (stats.size > MAX_BYTES) {
      const size = `is ${(stats.size / MAX_BYTES).toFixed(1)} MiB large`;
      throw unreadable(path, size, 'At most 1 MiB is read.');
    }
    return readFileSync(file);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error instanceof AgentError) throw error;
    if (error.code === 'ENOENT')
      throw unreadable(path, 'does not exist', 'Correct the path, or write the file.');
    throw unreadable(path, `cannot be read (${String(error.code)})`, 'Check its permissions.');
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function unreadable(path: string, reason: string, advice: string): AgentError {
  const message = `The configuration file ${path} ${reason}. ${advice}`;
  return new AgentError('SY_CONFIG_UNREADABLE', message);
}
