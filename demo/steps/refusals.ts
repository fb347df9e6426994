/** Step 2: what must not answer. */
import type { ProbeError, ProbeParams } from '../../test/lab/agent/calls.ts';
import { otherClientAddress } from '../../test/lab/topology.ts';
import { visit } from '../expect.ts';
import { claim } from '../failure.ts';
import { addressAndPort, frontends, type Frontend } from '../shop.ts';
import { milliseconds, paint, type Column, type Screen } from '../screen.ts';
import type { World } from '../world.ts';

const attempts = 20;
/** Long enough to tell a dropped packet from a slow answer: answers take well under a millisecond. */
const silenceMs = 500;

/** Service, address, why not, and what the client sees: clear without titles. */
const columns = Array.from({ length: 4 }, (): Column => ({ title: '', align: 'left' }));

/** Shows Services and ports that are refused, and a client that gets no answer. */
export async function showRefusals(world: World, screen: Screen): Promise<void> {
  const refused = async (to: Frontend, why: string): Promise<readonly string[]> => {
    const times = await denied(world, to, 'refused', {});
    const median = times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;
    return row(to, why, `refused after ${milliseconds(median)} (median)`);
  };
  const source = otherClientAddress.IPv4;
  const dropped = async (to: Frontend, why: string): Promise<readonly string[]> => {
    await denied(world, to, 'timeout', {
      sourceAddress: source,
      timeoutMs: silenceMs,
      parallel: attempts,
    });
    return row(to, why, `silence for ${milliseconds(silenceMs)}`);
  };
  screen.table(columns, [
    await refused(frontends.recommendations, 'no endpoints'),
    await refused(frontends.catalogOtherPort, 'has port 80 only'),
    await dropped(frontends.payments, `${source} not in source ranges`),
  ]);
}

function row(to: Frontend, why: string, outcome: string): readonly string[] {
  return [paint('cyan', to.service), addressAndPort(to), why, paint('yellow', outcome)];
}

/** How long each attempt took; fails unless all of them end in that error. */
async function denied(
  world: World,
  to: Frontend,
  error: ProbeError,
  options: Partial<ProbeParams>,
): Promise<readonly number[]> {
  const results = await visit(world, 'client', to, { count: attempts, ...options });
  return results.map((result) => {
    const seen = result.ok ? `answered by ${result.server}` : result.error;
    claim(
      !result.ok && result.error === error,
      `${to.service} ${addressAndPort(to)}: ${seen} instead of ${error}`,
    );
    return result.ms;
  });
}
