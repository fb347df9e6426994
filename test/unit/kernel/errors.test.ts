/** What kernel errors say, and to whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KernelError, isKernelError, systemError } from '../../../src/kernel/errors.ts';

test('an error says what was tried, why it failed, in whose words, and what to do', () => {
  const error = systemError('opening a door', 1, { extendedAck: 'locked' });
  assert.equal(
    error.message,
    'opening a door: not permitted (EPERM); the kernel says: locked. Run as root or with the capability CAP_NET_ADMIN.',
  );
  assert.equal(error.code, 'SY_KERNEL_PERMISSION');
  assert.equal(error.errno, 1);
  assert.equal(error.extendedAck, 'locked');
  assert.equal(error.name, 'KernelError');
});

test('codes follow from error numbers', () => {
  const codes = new Map([
    [1, 'SY_KERNEL_PERMISSION'],
    [2, 'SY_KERNEL_NOT_FOUND'],
    [11, 'SY_KERNEL_TIMEOUT'],
    [13, 'SY_KERNEL_PERMISSION'],
    [16, 'SY_KERNEL_BUSY'],
    [17, 'SY_KERNEL_EXISTS'],
    [22, 'SY_KERNEL_CALL'],
    [30, 'SY_KERNEL_PERMISSION'],
    [85, 'SY_KERNEL_STALE_GENERATION'],
    [90, 'SY_KERNEL_BUFFER'],
    [93, 'SY_KERNEL_UNSUPPORTED'],
    [95, 'SY_KERNEL_UNSUPPORTED'],
    [97, 'SY_KERNEL_UNSUPPORTED'],
    [105, 'SY_KERNEL_BUFFER'],
    [4711, 'SY_KERNEL_CALL'],
  ]);
  for (const [errno, code] of codes) assert.equal(systemError('x', errno).code, code, `${errno}`);
});

test('an error number nobody has heard of is told as a number', () => {
  assert.equal(systemError('x', 4711).message, 'x: error 4711');
});

test('advice and code can be replaced by better ones', () => {
  const error = systemError('x', 22, { code: 'SY_KERNEL_UNSUPPORTED', advice: 'Buy a new one.' });
  assert.equal(error.message, 'x: invalid request (EINVAL). Buy a new one.');
  assert.ok(isKernelError(error, 'SY_KERNEL_UNSUPPORTED'));
});

test('only errors of this layer with that code are recognised', () => {
  assert.ok(!isKernelError(new Error('x'), 'SY_KERNEL_CALL'));
  assert.ok(!isKernelError(undefined, 'SY_KERNEL_CALL'));
  assert.ok(!isKernelError(systemError('x', 1), 'SY_KERNEL_CALL'));
  const cause = new Error('deep');
  assert.equal(new KernelError('x', { code: 'SY_KERNEL_CALL', cause }).cause, cause);
});
