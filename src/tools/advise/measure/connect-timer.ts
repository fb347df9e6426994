/**
 * Times connect(2) from one network namespace to listening sockets in another one, all in this process: a socket stays in the
 * namespace it was made in. So no second process has to be woken for a connection, and what is measured is the way of
 * three packets through the kernel.
 */
import { closeSync, openSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { packAddress, parseAddress } from '../../../core/ip.ts';
import type { KernelIo } from '../../../kernel/io.ts';
import type { TcpIo } from '../../../kernel/tcp-io.ts';

/** One thing to connect to, over IPv4. */
export interface ConnectTarget {
  readonly address: string;
  readonly port: number;
  /** The port that the connection arrives at. */
  readonly endpointPort: number;
  /** The link it has to leave by; `undefined`: as routes say. */
  readonly device: string | undefined;
}

/** The system calls it is made of. */
export interface ConnectIo {
  readonly kernel: KernelIo;
  readonly tcp: TcpIo;
}

/** asm-generic/socket.h, bits/socket.h. */
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_LINGER = 13;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const SO_BINDTODEVICE = 25;
/** struct linger: closing resets the connection, so that no port stays in use. */
const RESET_ON_CLOSE = Buffer.from(Int32Array.of(1, 0).buffer);
/** struct timeval. */
const TWO_SECONDS = Buffer.from(BigInt64Array.of(2n, 0n).buffer);
const BACKLOG = 128;

interface Aim {
  readonly title: string;
  readonly to: Uint8Array;
  readonly device: Uint8Array | undefined;
  readonly listener: number;
  readonly samples: number[];
}

/** Connects and accepts. Sockets are closed with the process. */
export class ConnectTimer {
  readonly #io: ConnectIo;
  readonly #listeners: ReadonlyMap<number, number>;

  private constructor(io: ConnectIo, listeners: ReadonlyMap<number, number>) {
    this.#io = io;
    this.#listeners = listeners;
  }

  /**
   * Listens on all addresses at `ports` in the network namespace of a file (`/run/netns/backend`). Connections will come from the
   * namespace of this process.
   *
   * Throws an Error that says what the kernel refused.
   */
  static open(io: ConnectIo, namespaceFile: string, ports: Iterable<number>): ConnectTimer {
    const listen = (port: number): number => {
      const { kernel, tcp } = io;
      const fd = checked(kernel.socket(AF_INET, SOCK_STREAM, 0), 'socket');
      checked(kernel.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, TWO_SECONDS), 'SO_RCVTIMEO');
      checked(kernel.bind(fd, socketAddress('0.0.0.0', port)), `binding port ${port}`);
      checked(tcp.listen(fd, BACKLOG), `listening on port ${port}`);
      return fd;
    };
    const listeners = inNamespace(io.tcp, namespaceFile, () =>
      [...new Set(ports)].map((port) => [port, listen(port)] as const),
    );
    return new ConnectTimer(io, new Map(listeners));
  }

  /**
   * Connects `rounds` times to every target, each time in another order: whatever comes next to something else gains or
   * loses by it. Returns for each target the duration of every connect(2), in microseconds. Blocks.
   *
   * Throws an Error when a connection does not come about, or does not arrive, within two seconds.
   */
  measure(
    targets: readonly ConnectTarget[],
    rounds: number,
    random: () => number,
  ): readonly (readonly number[])[] {
    const aims = targets.map((target) => this.#aim(target));
    const order = [...aims];
    for (let round = 0; round < rounds; round++) {
      shuffle(order, random);
      for (const aim of order) aim.samples.push(this.#connectOnce(aim));
    }
    return aims.map(({ samples }) => samples);
  }

  #aim({ address, port, endpointPort, device }: ConnectTarget): Aim {
    const listener = this.#listeners.get(endpointPort);
    if (listener === undefined) throw new RangeError(`nobody listens on port ${endpointPort}`);
    return {
      title: `${address}:${port}`,
      to: socketAddress(address, port),
      device: device === undefined ? undefined : Buffer.from(`${device}\0`),
      listener,
      samples: [],
    };
  }

  #connectOnce({ title, to, device, listener }: Aim): number {
    const { kernel, tcp } = this.#io;
    const fd = checked(kernel.socket(AF_INET, SOCK_STREAM, 0), 'socket');
    checked(kernel.setsockopt(fd, SOL_SOCKET, SO_LINGER, RESET_ON_CLOSE), 'SO_LINGER');
    checked(kernel.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, TWO_SECONDS), 'SO_SNDTIMEO');
    if (device !== undefined)
      checked(kernel.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device), 'SO_BINDTODEVICE');
    const started = performance.now();
    const result = tcp.connect(fd, to);
    const microseconds = (performance.now() - started) * 1000;
    checked(result, `connecting to ${title}`);
    const accepted = checked(tcp.accept(listener), `accepting from ${title}`);
    kernel.close(fd);
    kernel.close(accepted);
    return microseconds;
  }
}

function inNamespace<T>(tcp: TcpIo, file: string, run: () => T): T {
  const own = openSync('/proc/self/ns/net', 'r');
  const other = openSync(file, 'r');
  try {
    checked(tcp.enterNetwork(other), `entering ${file}`);
    return run();
  } finally {
    checked(tcp.enterNetwork(own), 'returning to the own namespace');
    closeSync(own);
    closeSync(other);
  }
}

/** struct sockaddr_in. Throws a RangeError for what is no IPv4 address. */
function socketAddress(text: string, port: number): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`${text} is no address`);
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  packAddress(address, bytes, 4);
  return bytes;
}

/** The result of a system call; throws the error that a negative one stands for. */
function checked(result: number, doing: string): number {
  if (result >= 0) return result;
  throw new Error(`${doing}: ${getSystemErrorName(result)}`);
}

function shuffle(items: unknown[], random: () => number): void {
  for (let left = items.length; left > 1; left--) {
    items.push(...items.splice(Math.floor(random() * left), 1));
  }
}
