/** Proof that a data plane works: connections from this node to Services. */
import { createConnection } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { Address } from '../../core/ip.ts';
import type { Route } from '../../core/route.ts';

/** A TCP frontend to try. */
export interface ProbeTarget {
  readonly address: Address;
  readonly port: number;
}

/** Resolves to whether a TCP connection could be made. Never rejects. */
export type Connect = (target: ProbeTarget, timeoutMs: number) => Promise<boolean>;

/** Frontends that are tried at most. */
const MOST = 10;
const TIMEOUT_MS = 2000;
/** Times that a frontend is tried before it counts as broken: an endpoint may go at any time. */
const ATTEMPTS = 3;
const PAUSE_MS = 1000;

/** Some cluster IPs that should answer, from all over the Routes. */
export function sampleTargets(routes: Iterable<Route>): readonly ProbeTarget[] {
  const all: ProbeTarget[] = [];
  for (const { protocol, frontends, internal } of routes) {
    if (protocol !== 'TCP' || internal.kind !== 'endpoints') continue;
    const frontend = frontends.find(({ kind }) => kind === 'clusterIP');
    if (frontend !== undefined) all.push(frontend);
  }
  const step = Math.max(1, Math.ceil(all.length / MOST));
  return all.filter((_, index) => index % step === 0);
}

/** Those of the targets that answer. */
export async function answering(
  targets: readonly ProbeTarget[],
  connect: Connect,
): Promise<readonly ProbeTarget[]> {
  const answers = await Promise.all(targets.map(async (target) => connect(target, TIMEOUT_MS)));
  return targets.filter((_, index) => answers[index]);
}

/** Those of the targets that do not answer although they are tried again and again. */
export async function broken(
  targets: readonly ProbeTarget[],
  connect: Connect,
  clock: Pick<Clock, 'after'>,
): Promise<readonly ProbeTarget[]> {
  let left = targets;
  for (let attempt = 1; ; attempt++) {
    const works = new Set(await answering(left, connect));
    left = left.filter((target) => !works.has(target));
    if (left.length === 0 || attempt === ATTEMPTS) return left;
    await new Promise<void>((resolve) => {
      clock.after(PAUSE_MS, resolve);
    });
  }
}

/** Connects from this process, and closes at once. */
export const connectTcp: Connect = async ({ address: host, port }, timeout) => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection({ host, port, timeout });
  socket.on('connect', () => {
    resolve(true);
  });
  for (const name of ['error', 'timeout'] as const) {
    socket.on(name, () => {
      resolve(false);
    });
  }
  const isAnswering = await promise;
  socket.destroy();
  return isAnswering;
};
