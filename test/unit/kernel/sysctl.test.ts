/** Names and errors of kernel settings, over a folder that stands in for /proc/sys. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type KernelErrorCode, isKernelError } from '../../../src/kernel/errors.ts';
import { setOomScore } from '../../../src/kernel/oom-score.ts';
import { openSysctls } from '../../../src/kernel/sysctl.ts';

/** A folder with `secret` beside `sys`, which has the file `net/ipv4/conf/eth0.100/forwarding`. */
function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'switchyard-sysctl-'));
  context.after(() => {
    rmSync(path, { recursive: true });
  });
  mkdirSync(join(path, 'sys/net/ipv4/conf/eth0.100'), { recursive: true });
  writeFileSync(join(path, 'sys/net/ipv4/conf/eth0.100/forwarding'), '1\n');
  writeFileSync(join(path, 'secret'), 'x');
  return path;
}

const error =
  (code: KernelErrorCode, pattern: RegExp) =>
  (thrown: unknown): boolean => {
    assert.ok(isKernelError(thrown, code), String(thrown));
    assert.match(thrown.message, pattern);
    return true;
  };

test('a value is read without the line end, and written with one', (context) => {
  const path = folder(context);
  const sysctls = openSysctls(join(path, 'sys'));
  const name = 'net/ipv4/conf/eth0.100/forwarding';
  assert.equal(sysctls.read(name), '1');
  sysctls.write(name, 0);
  assert.equal(readFileSync(join(path, 'sys', name), 'utf8'), '0\n');
  assert.equal(sysctls.read(name), '0');
});

test('a sysctl that is not there is not made, and the error says what was tried', (context) => {
  const path = folder(context);
  const sysctls = openSysctls(join(path, 'sys'));
  assert.throws(
    () => {
      sysctls.write('net/ipv4/new', 7);
    },
    error(
      'SY_KERNEL_NOT_FOUND',
      /^writing 7 to the sysctl net\/ipv4\/new: not found \(ENOENT\)\. The kernel module/,
    ),
  );
  assert.throws(
    () => sysctls.read('net/ipv4/new'),
    error('SY_KERNEL_NOT_FOUND', /^reading the sysctl net\/ipv4\/new: /),
  );
  assert.deepEqual(readdirSync(join(path, 'sys/net/ipv4')), ['conf']);
});

test('a name cannot lead out of the folder', (context) => {
  const path = folder(context);
  const sysctls = openSysctls(join(path, 'sys'));
  const names = ['../secret', 'net/../../secret', '/secret', 'net//x', 'net/.', 'net/', 'net', ''];
  for (const name of [...names, 'net/a b', 'net/a\0', 'net/a\n']) {
    const refused = error('SY_KERNEL_ARGUMENT', /is no name of a sysctl/);
    assert.throws(() => sysctls.read(name), refused, name);
    assert.throws(
      () => {
        sysctls.write(name, 'y');
      },
      refused,
      name,
    );
  }
  assert.equal(readFileSync(join(path, 'secret'), 'utf8'), 'x');
});

test('the score for the OOM killer is written, and a failure says which one', (context) => {
  const path = folder(context);
  writeFileSync(join(path, 'score'), '');
  setOomScore(-999, join(path, 'score'));
  assert.equal(readFileSync(join(path, 'score'), 'utf8'), '-999\n');
  assert.throws(
    () => {
      setOomScore(5, join(path, 'none'));
    },
    error('SY_KERNEL_NOT_FOUND', /^setting the out-of-memory score to 5: not found/),
  );
});
