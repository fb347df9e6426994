/** Kernel settings on the real kernel: those of a network namespace of its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setUpConntrack, setUpOomScore } from '../../../src/agent/node-setup.ts';
import { setOomScore } from '../../../src/kernel/oom-score.ts';
import { KernelError } from '../../../src/kernel/errors.ts';
import { openSysctls } from '../../../src/kernel/sysctl.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { kernelError, shell } from './helpers.ts';

const MAX = 'net/netfilter/nf_conntrack_max';
const ESTABLISHED = 'net/netfilter/nf_conntrack_tcp_timeout_established';
const NOTHING = {
  maxPerCore: 0,
  min: 0,
  tcpEstablishedTimeout: 0,
  tcpCloseWaitTimeout: 0,
  udpTimeout: 0,
  udpStreamTimeout: 0,
  tcpBeLiberal: false,
};

const sysctl = (name: string): string => shell(`sysctl -n ${name}`).trim();

/** Runs statements with `sysctls` in a process that sees /proc/sys read-only, and gives what they print. */
function withReadOnlyProc(statements: string): string {
  const module = join(import.meta.dirname, '../../../src/kernel/sysctl.ts');
  const program = `import { openSysctls } from '${module}'; const sysctls = openSysctls(); ${statements}`;
  const { stdout, stderr, status } = spawnSync(
    'unshare',
    [
      '--mount',
      'sh',
      '-c',
      'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"',
      'sh',
      process.execPath,
      '--input-type=module-typescript',
      '--eval',
      program,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  return stdout;
}

inNamespace(import.meta.filename, () => {
  const sysctls = openSysctls();

  describe('A sysctl', () => {
    test('of this network namespace is written and read as sysctl(8) does', () => {
      sysctls.write(ESTABLISHED, 4711);
      assert.equal(sysctl(ESTABLISHED), '4711');
      assert.equal(sysctls.read(ESTABLISHED), '4711');
      assert.match(sysctls.read('net/ipv4/ip_local_port_range'), /^\d+\t\d+$/);
    });

    test('that belongs to the host cannot be written here, and keeps its value', () => {
      const before = sysctl(MAX);
      const refused = kernelError(
        'SY_KERNEL_PERMISSION',
        /^writing 5000 to the sysctl .*nf_conntrack_max: permission denied.*namespace of the host/,
      );
      assert.throws(() => {
        sysctls.write(MAX, 5000);
      }, refused);
      assert.equal(sysctl(MAX), before);
    });

    test('does not take a value that the kernel refuses', () => {
      assert.throws(
        () => {
          sysctls.write(ESTABLISHED, 'soon');
        },
        kernelError('SY_KERNEL_CALL', /soon.*EINVAL.*does not take/),
      );
      assert.equal(sysctl(ESTABLISHED), '4711');
    });

    test('in a container with a read-only /proc/sys is read, and not written', () => {
      const text = withReadOnlyProc(`
        process.stdout.write(sysctls.read('${ESTABLISHED}') + ' ');
        try { sysctls.write('${ESTABLISHED}', 1); } catch (error) {
          process.stdout.write(error.code + ' ' + error.message);
        }`);
      assert.match(text, /^4711 SY_KERNEL_PERMISSION writing 1 .*EROFS.*mounted read-only/);
      assert.equal(sysctl(ESTABLISHED), '4711');
    });
  });

  describe('Connection tracking', () => {
    test('is set as asked for, and written only where it differs', () => {
      const wanted = { ...NOTHING, tcpEstablishedTimeout: 86_400, tcpBeLiberal: true };
      const first = setUpConntrack(wanted, 1, sysctls);
      assert.deepEqual(
        first.written.map(({ name, value, before }) => [name, value, before]),
        [
          [ESTABLISHED, 86_400, 4711],
          ['net/netfilter/nf_conntrack_tcp_be_liberal', 1, 0],
        ],
      );
      assert.equal(sysctl(ESTABLISHED), '86400');
      assert.deepEqual(setUpConntrack(wanted, 1, sysctls), {
        written: [],
        absent: [],
        failures: [],
      });
    });

    test('that may not be set in this namespace does not keep the rest from being set', () => {
      const most = Number(sysctl(MAX));
      const wanted = { ...NOTHING, maxPerCore: 1, min: most + 4, udpTimeout: 31 };
      const { written, failures } = setUpConntrack(wanted, 1, sysctls);
      assert.deepEqual(
        written.map(({ name, value }) => [name, value]),
        [['net/netfilter/nf_conntrack_udp_timeout', 31]],
      );
      const [failure] = failures;
      assert.match(failure?.message ?? '', new RegExp(`^writing ${most + 4} to .*${MAX}: `));
      assert.equal(Number(sysctl(MAX)), most);
    });
  });

  test('The score for the OOM killer is that of this process, and has bounds', () => {
    assert.equal(setUpOomScore(7, setOomScore), undefined);
    assert.equal(shell('cat /proc/$PPID/oom_score_adj').trim(), '7');
    const failure = setUpOomScore(1001, setOomScore);
    assert.ok(failure instanceof KernelError);
    assert.match(failure.message, /to 1001: .*-1000.*1000/);
    assert.equal(shell('cat /proc/$PPID/oom_score_adj').trim(), '7');
  });
});
