/** Errors of everything that talks to the Linux kernel, and what each one asks the user to do. */

/**
 * What went wrong, for programs:
 * - `PERMISSION`: the process may not do this (EPERM, EACCES, EROFS).
 * - `UNSUPPORTED`: this kernel lacks the feature.
 * - `STALE_GENERATION`: somebody else changed the ruleset since it was read (ERESTART). Read and retry.
 * - `NOT_FOUND`, `EXISTS`, `BUSY`: the object is missing, is there already, or is still in use.
 * - `NO_SCHEDULER`: this kernel has no IPVS scheduler of that name.
 * - `SET_FULL`: the ipset holds as many elements as it was created for.
 * - `BUFFER`: a socket buffer is too small for a message or for the events that arrived.
 * - `TIMEOUT`: the kernel did not answer in time.
 * - `INTERRUPTED`: a listing was disturbed by changes each time it was tried.
 * - `MALFORMED`: the kernel's answer cannot be understood.
 * - `ARGUMENT`: a value given by the caller cannot be sent.
 * - `CLOSED`: the socket is closed.
 * - `CALL`: any other failed call; see `errno`.
 */
export type KernelErrorCode =
  | 'SY_KERNEL_PERMISSION'
  | 'SY_KERNEL_UNSUPPORTED'
  | 'SY_KERNEL_STALE_GENERATION'
  | 'SY_KERNEL_NOT_FOUND'
  | 'SY_KERNEL_EXISTS'
  | 'SY_KERNEL_BUSY'
  | 'SY_KERNEL_NO_SCHEDULER'
  | 'SY_KERNEL_SET_FULL'
  | 'SY_KERNEL_BUFFER'
  | 'SY_KERNEL_TIMEOUT'
  | 'SY_KERNEL_INTERRUPTED'
  | 'SY_KERNEL_MALFORMED'
  | 'SY_KERNEL_ARGUMENT'
  | 'SY_KERNEL_CLOSED'
  | 'SY_KERNEL_CALL';

/** The error numbers this code acts on (asm-generic/errno-base.h, errno.h). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EAGAIN: 11,
  EACCES: 13,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EROFS: 30,
  ERESTART: 85,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRNOTAVAIL: 99,
  ENOBUFS: 105,
} as const;

interface ErrnoEntry {
  readonly errno: number;
  readonly name: string;
  readonly code: KernelErrorCode;
  readonly text: string;
  /** What to do, where there is something general to say. */
  readonly advice?: string;
}

const PRIVILEGE = 'Run as root or with the capability CAP_NET_ADMIN.';
const FEATURE = 'This kernel lacks the feature: load its module, or use a kernel that has it.';
const DESCRIPTORS = 'Raise the limit of open files (ulimit -n).';
const SEND_BUFFER =
  'Send less at once, run as root outside user namespaces, or raise the sysctl net.core.wmem_max.';
const RECEIVE_BUFFER =
  'Run as root outside user namespaces, or raise the sysctl net.core.rmem_max.';
const REREAD = 'Read it again and retry.';

function entry(
  errno: number,
  name: string,
  code: KernelErrorCode,
  text: string,
  advice?: string,
): readonly [number, ErrnoEntry] {
  return [errno, { errno, name, code, text, ...(advice === undefined ? {} : { advice }) }];
}

/** Every error number the calls used here are known to give. */
const ERRORS: ReadonlyMap<number, ErrnoEntry> = new Map([
  entry(1, 'EPERM', 'SY_KERNEL_PERMISSION', 'not permitted', PRIVILEGE),
  entry(2, 'ENOENT', 'SY_KERNEL_NOT_FOUND', 'not found'),
  entry(3, 'ESRCH', 'SY_KERNEL_NOT_FOUND', 'not found'),
  entry(4, 'EINTR', 'SY_KERNEL_CALL', 'interrupted by a signal'),
  entry(9, 'EBADF', 'SY_KERNEL_CLOSED', 'the socket is closed'),
  entry(11, 'EAGAIN', 'SY_KERNEL_TIMEOUT', 'no answer in time'),
  entry(12, 'ENOMEM', 'SY_KERNEL_CALL', 'out of memory'),
  entry(13, 'EACCES', 'SY_KERNEL_PERMISSION', 'permission denied', PRIVILEGE),
  entry(16, 'EBUSY', 'SY_KERNEL_BUSY', 'in use, or there with another value'),
  entry(17, 'EEXIST', 'SY_KERNEL_EXISTS', 'exists already'),
  entry(19, 'ENODEV', 'SY_KERNEL_NOT_FOUND', 'no such network interface'),
  entry(22, 'EINVAL', 'SY_KERNEL_CALL', 'invalid request'),
  entry(23, 'ENFILE', 'SY_KERNEL_CALL', 'too many open files', DESCRIPTORS),
  entry(24, 'EMFILE', 'SY_KERNEL_CALL', 'too many open files', DESCRIPTORS),
  entry(28, 'ENOSPC', 'SY_KERNEL_CALL', 'no space left'),
  entry(30, 'EROFS', 'SY_KERNEL_PERMISSION', 'read-only file system'),
  entry(34, 'ERANGE', 'SY_KERNEL_CALL', 'value out of range'),
  entry(40, 'ELOOP', 'SY_KERNEL_CALL', 'chains form a loop'),
  entry(85, 'ERESTART', 'SY_KERNEL_STALE_GENERATION', 'changed by somebody else', REREAD),
  entry(90, 'EMSGSIZE', 'SY_KERNEL_BUFFER', 'larger than the send buffer', SEND_BUFFER),
  entry(93, 'EPROTONOSUPPORT', 'SY_KERNEL_UNSUPPORTED', 'protocol not supported', FEATURE),
  entry(95, 'EOPNOTSUPP', 'SY_KERNEL_UNSUPPORTED', 'not supported', FEATURE),
  entry(97, 'EAFNOSUPPORT', 'SY_KERNEL_UNSUPPORTED', 'address family not supported', FEATURE),
  entry(98, 'EADDRINUSE', 'SY_KERNEL_CALL', 'address in use'),
  entry(99, 'EADDRNOTAVAIL', 'SY_KERNEL_NOT_FOUND', 'no such address'),
  entry(105, 'ENOBUFS', 'SY_KERNEL_BUFFER', 'out of socket buffer space', RECEIVE_BUFFER),
]);

/** The parts of a {@link KernelError} apart from its message. */
export interface KernelErrorDetails {
  readonly code: KernelErrorCode;
  readonly errno?: number;
  readonly extendedAck?: string;
  readonly cause?: unknown;
}

/** A call to the kernel failed. The message says which call, on what, why, and what to do. */
export class KernelError extends Error {
  readonly code: KernelErrorCode;
  /** Positive error number, when the kernel gave one. */
  readonly errno: number | undefined;
  /** The kernel's own words (NLMSGERR_ATTR_MSG), when it gave any. */
  readonly extendedAck: string | undefined;

  constructor(message: string, details: KernelErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'KernelError';
    this.code = details.code;
    this.errno = details.errno;
    this.extendedAck = details.extendedAck;
  }
}

/** What {@link systemError} may be told besides the error number. */
export interface SystemErrorContext {
  readonly extendedAck?: string | undefined;
  /** Replaces the code that follows from the error number. */
  readonly code?: KernelErrorCode;
  /** Replaces the words for the error number, its name included. */
  readonly why?: string;
  /** Replaces the general advice for the error number. */
  readonly advice?: string;
}

/**
 * Makes the error for a failed call.
 * @param doing What was tried, on what object: `adding chain ip switchyard services`.
 * @param errno Positive error number.
 */
export function systemError(
  doing: string,
  errno: number,
  context: SystemErrorContext = {},
): KernelError {
  const known = ERRORS.get(errno);
  const general = known === undefined ? `error ${errno}` : `${known.text} (${known.name})`;
  const why = context.why ?? general;
  const extended =
    context.extendedAck === undefined ? '' : `; the kernel says: ${context.extendedAck}`;
  const advice = context.advice ?? known?.advice;
  return new KernelError(
    `${doing}: ${why}${extended}${advice === undefined ? '' : `. ${advice}`}`,
    {
      code: context.code ?? known?.code ?? 'SY_KERNEL_CALL',
      errno,
      ...(context.extendedAck === undefined ? {} : { extendedAck: context.extendedAck }),
    },
  );
}

/** Makes the error for a listing that changes disturbed each time. */
export function interrupted(doing: string, attempts: number): KernelError {
  return new KernelError(
    `${doing}: changed while it was read, ${attempts} times in a row. Try again when fewer changes are made.`,
    { code: 'SY_KERNEL_INTERRUPTED' },
  );
}

/** Makes the error for an answer that breaks the rules of its format. */
export function malformed(what: string): KernelError {
  return new KernelError(`malformed netlink message: ${what}`, { code: 'SY_KERNEL_MALFORMED' });
}

/** Makes the error for a value that cannot be sent. */
export function badArgument(what: string): KernelError {
  return new KernelError(what, { code: 'SY_KERNEL_ARGUMENT' });
}

/** True for a {@link KernelError} with this code. */
export function isKernelError(error: unknown, code: KernelErrorCode): error is KernelError {
  return error instanceof KernelError && error.code === code;
}
