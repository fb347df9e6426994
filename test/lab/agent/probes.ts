/** Probes of a lab host: one socket, one question, one answer or the reason why none came. */
import { existsSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { connect, isIPv6, type Socket } from 'node:net';
import type { Greeting, L4, ProbeError, ProbeParams, ProbeResult } from './calls.ts';

const errors: Readonly<Record<string, ProbeError>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'timeout',
};

function errorName(error: NodeJS.ErrnoException): ProbeError {
  const name = errors[error.code ?? ''];
  if (name === undefined) throw error;
  return name;
}

/** Source ports of probes: used in turn, because a port that comes back soon may find the flow it was part of. */
const ports = { first: 33_000, count: 32_000 } as const;

function portsInTurn(): () => number {
  let used = 0;
  return () => ports.first + (used++ % ports.count);
}

/**
 * For IPVS connections of one port to different virtual addresses are the same once they lead to one server. Elsewhere
 * the kernel chooses better: it knows which ports other processes have used lately.
 */
const nextTcpPort = existsSync('/proc/net/ip_vs') ? portsInTurn() : () => undefined;
const nextUdpPort = portsInTurn();

function localPort(port: number | undefined): { readonly localPort?: number } {
  return port === undefined ? {} : { localPort: port };
}

/** Calls after so long, but not before what has arrived by then was read: on a busy machine timers come first. */
function afterAnswers(ms: number, act: () => void): NodeJS.Timeout {
  return setTimeout(() => setImmediate(act), ms);
}

/** Opens a TCP connection and waits for the server's greeting; the caller owns the socket, also on a failure. */
export function greet(params: ProbeParams): {
  readonly socket: Socket;
  readonly greeting: Promise<Greeting | ProbeError>;
} {
  const { promise, resolve, reject } = Promise.withResolvers<Greeting | ProbeError>();
  const socket = connect({
    host: params.address,
    port: params.port,
    noDelay: true,
    ...(params.sourceAddress === undefined ? {} : { localAddress: params.sourceAddress }),
    ...localPort(params.sourcePort ?? nextTcpPort()),
  });
  const timer = afterAnswers(params.timeoutMs, () => {
    resolve('timeout');
  });
  socket.on('error', (error) => {
    try {
      resolve(errorName(error));
    } catch (unknown) {
      reject(unknown);
    }
  });
  socket.on('close', () => {
    clearTimeout(timer);
    resolve('reset');
  });
  let received = '';
  const onData = (data: Buffer): void => {
    received += data.toString();
    if (!received.endsWith('\n')) return;
    socket.off('data', onData);
    clearTimeout(timer);
    resolve(JSON.parse(received) as Greeting);
  };
  socket.on('data', onData);
  return { socket, greeting: promise };
}

async function probeTcp(params: ProbeParams): Promise<Greeting | ProbeError> {
  const { socket, greeting } = greet(params);
  try {
    return await greeting;
  } finally {
    // A reset leaves no TIME_WAIT behind that would hold ports for a minute.
    socket.resetAndDestroy();
  }
}

async function probeUdp(params: ProbeParams): Promise<Greeting | ProbeError> {
  const socket = createSocket(isIPv6(params.address) ? 'udp6' : 'udp4');
  const { promise, resolve, reject } = Promise.withResolvers<Greeting | ProbeError>();
  const fail = (error: NodeJS.ErrnoException | null): void => {
    // A rule of the sender's own machine said no. When it refused, an ICMP error follows; else nothing does.
    if (error === null || error.code === 'EPERM') return;
    try {
      resolve(errorName(error));
    } catch (unknown) {
      reject(unknown);
    }
  };
  socket.on('error', fail);
  socket.on('message', (data) => {
    resolve(JSON.parse(data.toString()) as Greeting);
  });
  const timer = afterAnswers(params.timeoutMs, () => {
    resolve('timeout');
  });
  socket.bind(params.sourcePort ?? nextUdpPort(), params.sourceAddress, () => {
    // Only a connected socket learns of ICMP errors.
    socket.connect(params.port, params.address, (error?: Error) => {
      if (error === undefined) socket.send('hello', fail);
      else fail(error);
    });
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

async function probe(protocol: L4, params: ProbeParams): Promise<ProbeResult> {
  const start = performance.now();
  const answer = await (protocol === 'TCP' ? probeTcp(params) : probeUdp(params));
  const ms = performance.now() - start;
  return typeof answer === 'string'
    ? { ok: false, ms, error: answer }
    : { ok: true, ms, ...answer };
}

/** Runs `count` probes, at most `parallel` at a time; results in the order they ended. */
export async function probes(protocol: L4, params: ProbeParams): Promise<readonly ProbeResult[]> {
  const results: ProbeResult[] = [];
  let left = params.count ?? 1;
  const worker = async (): Promise<void> => {
    while (left-- > 0) results.push(await probe(protocol, params));
  };
  await Promise.all(Array.from({ length: params.parallel ?? 1 }, worker));
  return results;
}
