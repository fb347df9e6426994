/**
 * The client, in its namespace, and the backend's listening socket in the same process: a socket stays in the
 * namespace it was made in. So no second process has to be woken for a connection, and what is measured is the way of
 * three packets through the kernel.
 *
 *     node client-worker.ts NAMESPACE-OF-BACKEND
 */
import { closeSync, openSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { type Address, packAddress, parseAddress } from '../src/core/ip.ts';
import { openKernelIo } from '../src/kernel/koffi-io.ts';
import { serveCalls } from '../test/lab/line-process.ts';
import type { ClientCalls } from './client-calls.ts';
import { ENDPOINT_PORT } from './cluster.ts';

/** asm-generic/socket.h, bits/socket.h, linux/sched.h. */
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_LINGER = 13;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const CLONE_NEWNET = 0x4000_0000;
/** struct linger: closing resets the connection, so that no port stays in use. */
const RESET_ON_CLOSE = Buffer.from(Int32Array.of(1, 0).buffer);
/** struct timeval. */
const TWO_SECONDS = Buffer.from(BigInt64Array.of(2n, 0n).buffer);
const BACKLOG = 128;

interface LibC {
  readonly connect: (fd: number, address: Uint8Array, length: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly accept: (fd: number, address: null, length: null) => number;
  readonly setns: (fd: number, kind: number) => number;
}

const io = openKernelIo();
const library = koffi.load(null);
const libc: LibC = {
  connect: library.func('int connect(int, const void *, uint32_t)'),
  listen: library.func('int listen(int, int)'),
  accept: library.func('int accept(int, void *, void *)'),
  setns: library.func('int setns(int, int)'),
};

function checked(result: number, doing: string): number {
  if (result >= 0) return result;
  // Of a call of our own; those of KernelIo return the negative error number.
  const error = result === -1 ? koffi.errno() : -result;
  throw new Error(`${doing}: ${getSystemErrorName(-error)}`);
}

function inNamespace<T>(path: string, run: () => T): T {
  const own = openSync('/proc/self/ns/net', 'r');
  const other = openSync(path, 'r');
  try {
    checked(libc.setns(other, CLONE_NEWNET), `entering ${path}`);
    return run();
  } finally {
    checked(libc.setns(own, CLONE_NEWNET), 'returning to the own namespace');
    closeSync(own);
    closeSync(other);
  }
}

/** struct sockaddr_in. */
function socketAddress(address: Address, port: number): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  packAddress(address, bytes, 4);
  return bytes;
}

function addressOf(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

function listen(): number {
  const fd = checked(io.socket(AF_INET, SOCK_STREAM, 0), 'socket');
  checked(io.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, TWO_SECONDS), 'SO_RCVTIMEO');
  checked(io.bind(fd, socketAddress(addressOf('0.0.0.0'), ENDPOINT_PORT)), 'bind');
  checked(libc.listen(fd, BACKLOG), 'listen');
  return fd;
}

const listener = inNamespace(`/run/netns/${process.argv[2] ?? ''}`, listen);

/** Microseconds of one connect(2). The connection must arrive at the backend. */
function connectOnce(to: Uint8Array, title: string): number {
  const fd = checked(io.socket(AF_INET, SOCK_STREAM, 0), 'socket');
  checked(io.setsockopt(fd, SOL_SOCKET, SO_LINGER, RESET_ON_CLOSE), 'SO_LINGER');
  checked(io.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, TWO_SECONDS), 'SO_SNDTIMEO');
  const started = performance.now();
  const result = libc.connect(fd, to, to.length);
  const microseconds = (performance.now() - started) * 1000;
  checked(result, `connecting to ${title}`);
  const accepted = checked(libc.accept(listener, null, null), `accepting from ${title}`);
  io.close(fd);
  io.close(accepted);
  return microseconds;
}

/** Everything once, in an order of its own each time: whatever comes next to something else gains or loses by it. */
function shuffle(items: unknown[]): void {
  for (let left = items.length; left > 1; left--) {
    items.push(...items.splice(Math.floor(Math.random() * left), 1));
  }
}

serveCalls<ClientCalls>({
  connect: ({ targets, rounds }) => {
    const aims = targets.map(({ address, port }) => {
      const samples: number[] = [];
      return { title: `${address}:${port}`, to: socketAddress(addressOf(address), port), samples };
    });
    const order = [...aims];
    for (let round = 0; round < rounds; round++) {
      shuffle(order);
      for (const { title, to, samples } of order) samples.push(connectOnce(to, title));
    }
    return aims.map(({ samples }) => samples);
  },
});
