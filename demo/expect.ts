/** Checks of what the demo sees, shared by its steps. */
import type { Greeting, ProbeParams, ProbeResult } from '../test/lab/agent/calls.ts';
import { claim } from './failure.ts';
import { addressAndPort, type Frontend } from './shop.ts';
import type { World } from './world.ts';
import type { HostName } from '../test/lab/topology.ts';

/** How long an answer may take that must come. */
export const patienceMs = 5000;

/** Standard deviations a share may be off: a fair choice fails this once in some millions of runs. */
const tolerance = 5.5;

/** Opens connections (or sends datagrams) from a host to a frontend. */
export function visit(
  world: World,
  from: HostName,
  frontend: Frontend,
  options: Partial<ProbeParams> = {},
): Promise<readonly ProbeResult[]> {
  const { protocol, address, port } = frontend;
  const params = { address, port, timeoutMs: patienceMs, ...options };
  return world.host(from).probe(protocol, params);
}

/** The answers, when everything was answered. */
export function allAnswered(
  frontend: Frontend,
  results: readonly ProbeResult[],
): readonly Greeting[] {
  return results.map((result) => {
    claim(
      result.ok,
      `a connection to ${frontend.service} ${addressAndPort(frontend)} failed: ${result.ok ? '' : result.error}`,
    );
    return result;
  });
}

/** Number of answers by server; fails unless exactly the frontend's pods answered, all about as often. */
export function evenSpread(
  frontend: Frontend,
  answers: readonly Greeting[],
): ReadonlyMap<string, number> {
  const { pods } = frontend;
  const spread = new Map<string, number>(pods.map((pod) => [pod, 0]));
  for (const { server } of answers) {
    const before = spread.get(server);
    claim(before !== undefined, `${frontend.service} was answered by ${server}, no endpoint of it`);
    spread.set(server, before + 1);
  }
  const share = 1 / pods.length;
  const expected = answers.length * share;
  const limit = tolerance * Math.sqrt(expected * (1 - share));
  for (const [pod, connections] of spread) {
    claim(
      Math.abs(connections - expected) <= limit,
      `${pod} got ${connections} of ${answers.length} connections to ${frontend.service}, not about ${Math.round(expected)}`,
    );
  }
  return spread;
}
