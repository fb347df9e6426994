/** iptables-save and iptables-restore, one process a call: for what is read and written a few times in a life. */
import { spawnSync } from 'node:child_process';
import type { Family } from '../../core/ip.ts';
import { KernelError } from '../errors.ts';

/** The rules of iptables and ip6tables in this process's network namespace. All calls are synchronous. */
export interface Iptables {
  /** What the tool says of itself: `iptables v1.8.9 (legacy)`. @throws KernelError UNSUPPORTED, CALL. */
  version(family: Family): string;
  /** All tables, as iptables-save(8) prints them. @throws KernelError UNSUPPORTED, PERMISSION, CALL. */
  save(family: Family): string;
  /**
   * Changes the tables in `input` (see iptables-restore(8)) and leaves chains it does not name. Each table
   * changes at once or not at all. @throws KernelError UNSUPPORTED, PERMISSION, CALL.
   */
  restore(family: Family, input: string): void;
}

const PROGRAM: { readonly [F in Family]: string } = { IPv4: 'iptables', IPv6: 'ip6tables' };
/** Seconds to wait for others who hold the lock of the tables, as kube-proxy waits. */
const LOCK_SECONDS = '5';
const LONGEST_MS = 30_000;
const LONGEST_OUTPUT = 256 * 1024 * 1024;

/** The tools that are on the PATH; nothing is run before a call. */
export function openIptables(): Iptables {
  return {
    version: (family) => run(PROGRAM[family], ['--version'], '').trim(),
    save: (family) => run(`${PROGRAM[family]}-save`, [], ''),
    restore: (family, input) => {
      run(`${PROGRAM[family]}-restore`, ['--wait', LOCK_SECONDS, '--noflush'], input);
    },
  };
}

function run(program: string, args: readonly string[], input: string): string {
  const { error, status, signal, stdout, stderr } = spawnSync(program, args, {
    input,
    encoding: 'utf8',
    timeout: LONGEST_MS,
    maxBuffer: LONGEST_OUTPUT,
  });
  const command = [program, ...args].join(' ');
  if (error !== undefined) {
    if ('code' in error && error.code === 'ENOENT') {
      throw new KernelError(
        `running ${command}: the program is not there. Install iptables (Debian package iptables), or put it on the PATH.`,
        { code: 'SY_KERNEL_UNSUPPORTED' },
      );
    }
    throw new KernelError(`running ${command}: ${error.message}`, { code: 'SY_KERNEL_CALL' });
  }
  if (status === 0) return stdout;
  const said = stderr.trim().split('\n').slice(0, 5).join('; ');
  const isDenied = /permission denied|operation not permitted|must be root/i.test(said);
  throw new KernelError(
    `running ${command}: it ended with ${signal ?? `status ${status}`} and said: ${said}${isDenied ? '. Run as root or with the capabilities CAP_NET_ADMIN and CAP_NET_RAW.' : ''}`,
    { code: isDenied ? 'SY_KERNEL_PERMISSION' : 'SY_KERNEL_CALL' },
  );
}
