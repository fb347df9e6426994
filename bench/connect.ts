/** Measures connect(2) through every node, one connection to each in turns. */
import type { ClientCalls, Target } from './client-calls.ts';
import { ENDPOINT_PORT, SERVICE_PORT, clusterIp, plainAddress } from './cluster.ts';
import type { Network } from './network.ts';
import type { ConnectResult, Rules } from './results.ts';
import { summarise } from './statistics.ts';

/** A node and what is loaded on it. */
export interface RuledSite<R extends string = Rules> {
  readonly node: number;
  readonly rules: R;
  readonly services: number;
}

const WARM_UP_ROUNDS = 300;

type Aim<R extends string> = Omit<ConnectResult<R>, 'microseconds'> & { readonly target: Target };

/** Connects `rounds` times to everything there is to connect to. */
export async function measureConnect<R extends string>(
  network: Network,
  sites: readonly RuledSite<R>[],
  rounds: number,
): Promise<readonly ConnectResult<R>[]> {
  const file = new URL('client-worker.ts', import.meta.url);
  const client = network.start<ClientCalls>(network.client, 'client', file, [network.backend]);
  const aims = sites.flatMap((site) => aimsAt(site));
  const targets = aims.map(({ target }) => target);
  await client.call('connect', { targets, rounds: WARM_UP_ROUNDS });
  const samples = await client.call('connect', { targets, rounds });
  await client.kill();
  return aims.map(({ rules, services, to }, index) => {
    return { rules, services, to, microseconds: summarise(samples[index] ?? []) };
  });
}

function aimsAt<R extends string>({ node, rules, services }: RuledSite<R>): readonly Aim<R>[] {
  const service = (index: number): Target => {
    return { address: clusterIp(node, index), port: SERVICE_PORT };
  };
  const none: Target = { address: plainAddress(node), port: ENDPOINT_PORT };
  const past: Aim<R> = { rules, services, to: 'no Service', target: none };
  if (rules === 'none') return [past];
  return [
    past,
    { rules, services, to: 'first Service', target: service(0) },
    { rules, services, to: 'last Service', target: service(services - 1) },
  ];
}
