/** Kernel settings under /proc/sys (proc_sys(5), sysctl(8)). */
import { ERRNO, badArgument } from './errors.ts';
import { type Advice, readPseudoFile, writePseudoFile } from './pseudo-file.ts';

/**
 * The sysctls that this process sees; those under `net/` belong to its network namespace.
 *
 * Names are paths below /proc/sys, as in `net/ipv4/conf/eth0.100/forwarding`, because names of
 * interfaces may have dots in them.
 */
export interface Sysctls {
  /**
   * The value without white space around it. Several values are separated by tabs.
   * @throws KernelError `NOT_FOUND` when this kernel or network namespace does not have it,
   *   `PERMISSION`, `ARGUMENT` for a name that is none, `CALL`.
   */
  read(name: string): string;
  /** @throws KernelError like `read`; `CALL` also for a value that the kernel refuses. */
  write(name: string, value: string | number): void;
}

const PRIVILEGE =
  'Run as root in the network namespace of the host (a privileged container), or set it there.';

const ADVICE: Advice = new Map([
  [ERRNO.EPERM, PRIVILEGE],
  [ERRNO.EACCES, PRIVILEGE],
  [ERRNO.EROFS, `/proc/sys is mounted read-only. ${PRIVILEGE}`],
  [
    ERRNO.ENOENT,
    'The kernel module it belongs to is not loaded, or only the network namespace of the host has it.',
  ],
  [ERRNO.EINVAL, 'The kernel does not take this value.'],
]);

/**
 * Gives access to the sysctls of this machine.
 *
 * @param root Where proc(5) has `sys`.
 */
export function openSysctls(root = '/proc/sys'): Sysctls {
  return {
    read: (name) => readPseudoFile(pathOf(root, name), `reading the sysctl ${name}`, ADVICE),
    write: (name, value) => {
      const doing = `writing ${value} to the sysctl ${name}`;
      writePseudoFile(pathOf(root, name), `${value}\n`, doing, ADVICE);
    },
  };
}

/** Names come from settings and from interfaces: none may lead out of `root`. */
function pathOf(root: string, name: string): string {
  const steps = name.split('/');
  const isName =
    steps.length > 1 && steps.every((step) => /^(?!\.{1,2}$)[^\s\p{Cc}]+$/u.test(step));
  if (isName) return `${root}/${name}`;
  throw badArgument(
    `${JSON.stringify(name)} is no name of a sysctl: use a path below /proc/sys such as net/ipv4/ip_forward`,
  );
}
