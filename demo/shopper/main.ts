/** A client in the lab that notes when each of its connections began. Asked over standard input. */
import { setTimeout as sleep } from 'node:timers/promises';
import { probes } from '../../test/lab/agent/probes.ts';
import { serveCalls } from '../../test/lab/line-process.ts';
import { monotonicMs } from '../clock.ts';
import type { Destination, FirstAnswer, ShopperCalls, Visits } from './calls.ts';

/** Longer than the kernel's first retransmission: what is only slow counts as slow, not as failed. */
const patienceMs = 3000;

let connections = 0;
const failures: Record<string, number> = {};
const servers: Record<string, { connections: number; lastStartedAt: number }> = {};
const stop = new AbortController();
let visiting = Promise.resolve();

async function visit(destination: Destination, timeoutMs: number) {
  const startedAt = monotonicMs();
  const [result] = await probes('TCP', { ...destination, timeoutMs });
  return { startedAt, result };
}

async function keepVisiting(destination: Destination): Promise<void> {
  while (!stop.signal.aborted) {
    const { startedAt, result } = await visit(destination, patienceMs);
    connections++;
    if (result?.ok === true) {
      const known = (servers[result.server] ??= { connections: 0, lastStartedAt: 0 });
      known.connections++;
      known.lastStartedAt = Math.max(known.lastStartedAt, startedAt);
    } else {
      const error = result?.error ?? 'no result';
      failures[error] = (failures[error] ?? 0) + 1;
    }
  }
}

function visits(): Visits {
  return { connections, failures, servers };
}

async function firstAnswer(
  params: ShopperCalls['firstAnswer']['params'],
): Promise<FirstAnswer | null> {
  const { everyMs, giveUpMs, ...destination } = params;
  const first: { answer?: FirstAnswer } = {};
  const deadline = monotonicMs() + giveUpMs;
  const attempt = async (): Promise<void> => {
    const { startedAt, result } = await visit(destination, giveUpMs);
    if (result?.ok !== true) return;
    first.answer ??= { startedAt, answeredAt: monotonicMs(), server: result.server };
  };
  while (first.answer === undefined && monotonicMs() < deadline) {
    void attempt();
    await sleep(everyMs);
  }
  return first.answer ?? null;
}

serveCalls<ShopperCalls>({
  keepVisiting: (destination) => {
    visiting = keepVisiting(destination);
    return null;
  },
  visits,
  stopVisiting: async () => {
    stop.abort();
    await visiting;
    return visits();
  },
  firstAnswer,
});
