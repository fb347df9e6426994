/**
 * Runs a whole test file inside a network namespace of its own: nothing it does to interfaces or rules
 * touches the machine, and it all goes away with the process.
 *
 *     inNamespace(import.meta.filename, () => {
 *       test('…', () => { … });
 *     });
 */
import assert from 'node:assert/strict';
import { type ExecFileException, execFile, execFileSync, spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { test } from 'node:test';

const MARK = 'SWITCHYARD_TEST_NAMESPACE';
const TIMEOUT_MS = 300_000;

/** Ways into a new network namespace, the better one first: as root, or as root of a user namespace. */
const WAYS = [['--net'], ['--user', '--map-root-user', '--net']] as const;

/**
 * Outside: registers one test that runs `file` again in a new network namespace, or that is skipped where
 * the machine does not allow one. Inside: brings up `lo` and calls `define`, which registers the tests.
 */
export function inNamespace(file: string, define: () => void): void {
  if (process.env[MARK] !== undefined) {
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    define();
    return;
  }
  const way = WAYS.find((flags) => spawnSync('unshare', [...flags, 'true']).status === 0);
  const skip = way === undefined ? 'this process may not make network namespaces' : false;
  test(`${basename(file)} in a network namespace of its own`, { skip }, async () => {
    const failure = await runInside(way ?? [], file);
    if (failure !== undefined) assert.fail(failure);
  });
}

/** Resolves to the output of a run that failed. */
function runInside(flags: readonly string[], file: string): Promise<string | undefined> {
  // Tests started by the test runner report to it in its own way; the inner run must report as text.
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  return new Promise((resolve) => {
    execFile(
      'unshare',
      [...flags, process.execPath, '--test-reporter=spec', file],
      {
        env: { ...environment, [MARK]: '1' },
        timeout: TIMEOUT_MS,
        maxBuffer: 64 << 20,
      },
      (error, stdout, stderr) => {
        resolve(error === null ? undefined : report(error, stdout, stderr));
      },
    );
  });
}

function report(error: ExecFileException, stdout: string, stderr: string): string {
  const end =
    error.killed === true ? `killed after ${TIMEOUT_MS} ms` : `exit ${String(error.code)}`;
  return `${end}\n${stripVTControlCharacters(stdout)}\n${stderr}`;
}
