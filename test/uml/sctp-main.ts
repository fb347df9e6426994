/**
 * SCTP for a lab host. Node.js has no SCTP, but it reads and writes any stream socket: the sockets are made here,
 * one-to-one style (RFC 6458, section 4), and `node:net` does the rest. Asked over standard input.
 */
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { addressLength, familyOf, packAddress, parseAddress } from '../../src/core/ip.ts';
import { openKernelIo } from '../../src/kernel/koffi-io.ts';
import { serveCalls } from '../lab/line-process.ts';
import type { SctpCalls } from './sctp-calls.ts';

/** include/uapi/linux/in.h, bits/socket.h */
const [AF_INET, AF_INET6, IPPROTO_SCTP] = [2, 10, 132];
const SOCK_STREAM_NONBLOCK_CLOEXEC = 0x8_08_01;

const io = openKernelIo();

function sctpSocket(family: number): number {
  const fd = io.socket(family, SOCK_STREAM_NONBLOCK_CLOEXEC, IPPROTO_SCTP);
  if (fd < 0) throw new Error(`SCTP socket: error ${-fd}`);
  return fd;
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
function socketAddress(text: string, port: number): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  const family = familyOf(address);
  const bytes = new Uint8Array(family === 'IPv4' ? 16 : 28);
  new DataView(bytes.buffer).setUint16(0, family === 'IPv4' ? AF_INET : AF_INET6, true);
  new DataView(bytes.buffer).setUint16(2, port);
  packAddress(address, bytes, addressLength(family) === 4 ? 4 : 8);
  return bytes;
}

function familyNumber(address: string): number {
  return address.includes(':') ? AF_INET6 : AF_INET;
}

async function listen({ server, address, port }: SctpCalls['listen']['params']): Promise<null> {
  const fd = sctpSocket(familyNumber(address));
  const bound = io.bind(fd, socketAddress(address, port));
  if (bound < 0) throw new Error(`binding SCTP ${address} port ${port}: error ${-bound}`);
  const listener = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.write(`${JSON.stringify({ server, peer: socket.remoteAddress })}\n`);
    socket.pipe(socket);
  });
  listener.listen({ fd });
  await once(listener, 'listening');
  return null;
}

async function ask({ address, port, timeoutMs }: SctpCalls['ask']['params']) {
  // Undocumented: reading a socket that is not yet connected would fail.
  const options = { fd: sctpSocket(familyNumber(address)), pauseOnCreate: true };
  const socket = new Socket({ ...options, readable: true, writable: true });
  const { promise, resolve } = Promise.withResolvers<SctpCalls['ask']['result']>();
  const timer = setTimeout(() => resolve({ error: 'timeout' }), timeoutMs);
  socket.on('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? '' }));
  socket.on('close', () => resolve({ error: 'closed' }));
  let received = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text;
    const [greeting = '', echo, rest] = received.split('\n');
    if (echo === 'ping' && rest === '')
      resolve(JSON.parse(greeting) as { server: string; peer: string });
  });
  socket.connect({ host: address, port }, () => socket.write('ping\n'));
  socket.resume();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

serveCalls<SctpCalls>({ listen, ask });
