/** {@link KernelIo} and {@link TcpIo} by way of koffi. The only file that loads native code. */
import { read, write } from 'node:fs';
import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import { KernelError, badArgument } from './errors.ts';
import type { KernelIo } from './io.ts';
import type { TcpIo } from './tcp-io.ts';

/** What is used of koffi 3 (its own types make every call `any`). */
interface Koffi {
  readonly load: (library: null) => { readonly func: (prototype: string) => unknown };
  /** errno after the last call. */
  readonly errno: () => number;
}

/** Signatures of glibc and musl alike (sys/socket.h, unistd.h); `void*` takes the bytes of a Uint8Array. */
interface LibC {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Uint8Array, length: number) => number;
  readonly setsockopt: (
    fd: number,
    level: number,
    option: number,
    value: Uint8Array,
    length: number,
  ) => number;
  readonly getsockopt: (
    fd: number,
    level: number,
    option: number,
    value: Uint8Array,
    length: Uint8Array,
  ) => number;
  readonly send: (fd: number, bytes: Uint8Array, length: number, flags: number) => number | bigint;
  readonly recv: (fd: number, into: Uint8Array, length: number, flags: number) => number | bigint;
  readonly close: (fd: number) => number;
}

/** Signatures of glibc and musl alike (sys/socket.h, sched.h). */
interface TcpLibC {
  readonly connect: (fd: number, address: Uint8Array, length: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly accept: (fd: number, address: null, length: null) => number;
  readonly setns: (fd: number, kind: number) => number;
}

const INT_BYTES = 4;
/** linux/sched.h. */
const CLONE_NEWNET = 0x4000_0000;

let opened: KernelIo | undefined;

/**
 * The real kernel. Loads koffi on the first call, so that programs run without it until they need it.
 * @throws KernelError UNSUPPORTED: not Linux, not a little-endian machine, or koffi does not load here.
 */
export function openKernelIo(): KernelIo {
  opened ??= load();
  return opened;
}

/**
 * The calls that time connections.
 * @throws KernelError UNSUPPORTED: as {@link openKernelIo}.
 */
export function openTcpIo(): TcpIo {
  const koffi = loadNative();
  const library = koffi.load(null);
  const functions = {
    connect: library.func('int connect(int, const void *, uint32_t)'),
    listen: library.func('int listen(int, int)'),
    accept: library.func('int accept(int, void *, void *)'),
    setns: library.func('int setns(int, int)'),
  } as const satisfies { readonly [Name in keyof TcpLibC]: unknown };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the prototypes above are what TcpLibC says in TypeScript
  const libc = functions as TcpLibC;
  const result = (value: number): number => (value < 0 ? -koffi.errno() : value);
  return {
    connect: (fd, address) => result(libc.connect(fd, address, checkedLength(address))),
    listen: (fd, backlog) => result(libc.listen(fd, backlog)),
    accept: (fd) => result(libc.accept(fd, null, null)),
    enterNetwork: (fd) => result(libc.setns(fd, CLONE_NEWNET)),
  };
}

function load(): KernelIo {
  const koffi = loadNative();
  const libc = declare(koffi);
  const result = (value: number | bigint): number => (value < 0 ? -koffi.errno() : Number(value));
  const lengthBytes = Buffer.alloc(INT_BYTES);
  const valueBytes = Buffer.alloc(INT_BYTES);
  return {
    socket: (domain, type, protocol) => result(libc.socket(domain, type, protocol)),
    bind: (fd, address) => result(libc.bind(fd, address, checkedLength(address))),
    setsockopt: (fd, level, option, value) =>
      result(libc.setsockopt(fd, level, option, value, checkedLength(value))),
    getsockopt: (fd, level, option) => {
      lengthBytes.writeUInt32LE(INT_BYTES);
      const status = result(libc.getsockopt(fd, level, option, valueBytes, lengthBytes));
      return status < 0 ? status : valueBytes.readInt32LE();
    },
    send: (fd, bytes) => result(libc.send(fd, bytes, checkedLength(bytes), 0)),
    recv: (fd, into, flags) => result(libc.recv(fd, into, checkedLength(into), flags)),
    writeAsync: (fd, bytes) =>
      new Promise((resolve, reject) => {
        write(fd, bytes, 0, checkedLength(bytes), null, (error, written) => {
          settle(error, written, resolve, reject);
        });
      }),
    readAsync: (fd, into) =>
      new Promise((resolve, reject) => {
        read(fd, into, 0, checkedLength(into), null, (error, count) => {
          settle(error, count, resolve, reject);
        });
      }),
    close: (fd) => result(libc.close(fd)),
  };
}

function loadNative(): Koffi {
  if (process.platform !== 'linux' || endianness() !== 'LE') {
    throw new KernelError(
      `this needs Linux on a little-endian machine, not ${process.platform} on ${process.arch} (${endianness()})`,
      { code: 'SY_KERNEL_UNSUPPORTED' },
    );
  }
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- require() has no types; the version is pinned
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (cause) {
    throw new KernelError(
      `cannot load koffi, which calls the kernel, on ${process.platform}-${process.arch}. Install the package with its optional dependencies.`,
      { code: 'SY_KERNEL_UNSUPPORTED', cause },
    );
  }
}

function declare(koffi: Koffi): LibC {
  // null: the symbols of this process, to which Node.js has linked whatever libc the machine uses.
  const libc = koffi.load(null);
  const functions = {
    socket: libc.func('int socket(int, int, int)'),
    bind: libc.func('int bind(int, const void *, uint32_t)'),
    setsockopt: libc.func('int setsockopt(int, int, int, const void *, uint32_t)'),
    getsockopt: libc.func('int getsockopt(int, int, int, _Out_ void *, _Inout_ void *)'),
    send: libc.func('int64_t send(int, const void *, size_t, int)'),
    recv: libc.func('int64_t recv(int, _Out_ void *, size_t, int)'),
    close: libc.func('int close(int)'),
  } as const satisfies { readonly [Name in keyof LibC]: unknown };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the prototypes above are what LibC says in TypeScript
  return functions as LibC;
}

/** The length handed to native code is never anything but the array's own; an empty one has no address. */
function checkedLength(bytes: Uint8Array): number {
  if (!(bytes instanceof Uint8Array) || bytes.byteLength === 0) {
    throw badArgument('a system call needs at least one byte of buffer');
  }
  return bytes.byteLength;
}

function settle(
  error: NodeJS.ErrnoException | null,
  count: number,
  resolve: (value: number) => void,
  reject: (error: Error) => void,
): void {
  if (error === null) resolve(count);
  else if (error.errno === undefined) reject(error);
  else resolve(error.errno);
}
