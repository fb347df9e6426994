import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfigFile } from '../../../../src/agent/config/read-file.ts';
import { AgentError } from '../../../../src/agent/errors.ts';

test('the text of a file is read', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'switchyard-'));
  const path = join(folder.path, 'config');
  writeFileSync(path, 'mode: ä\n');
  assert.equal(readConfigFile(path), 'mode: ä\n');
});

function refused(name: string, reason: RegExp): void {
  assert.throws(
    () => readConfigFile(name),
    (error) => {
      assert.ok(error instanceof AgentError, String(error));
      assert.equal(error.code, 'SY_CONFIG_UNREADABLE');
      assert.ok(error.message.includes(`The configuration file ${name} `));
      assert.match(error.message, reason);
      return true;
    },
  );
}

test('what is no readable text is refused with the path and the reason', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'switchyard-'));
  const path = join(folder.path, 'config');
  const pipe = join(folder.path, 'pipe');
  execFileSync('mkfifo', [pipe]);
  refused(path, /does not exist\. Correct the path/);
  refused(folder.path, /is not a regular file/);
  refused(pipe, /is not a regular file/);
  writeFileSync(path, 'a\0b');
  refused(path, /is not text/);
  writeFileSync(path, Buffer.from([0xff, 0xfe, 0x00]));
  refused(path, /is not text/);
  writeFileSync(path, Buffer.alloc(2 ** 20 + 1, 'a'));
  refused(path, /is 1\.0 MiB large\. At most 1 MiB is read/);
  refused(join(path, 'below'), /cannot be read \(ENOTDIR\)/);
});
