/** Rules that choose one endpoint. */
import { type Family, hostPort } from '../../core/ip.ts';
import type { Endpoint, Route, Target } from '../../core/route.ts';
import { endpointChain } from './schema.ts';

/** Chains and their rules, in an order in which none leads to a later one. */
export type Chains = Map<string, readonly string[]>;

/** xt_statistic.c keeps probabilities as parts of this. */
const CERTAIN = 0x80000000;

const EVERY_BIT: { readonly [F in Family]: string } = {
  IPv4: '255.255.255.255',
  IPv6: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
};

/** Endpoints that get connections; none where nothing is to be served. */
export function usableEndpoints(target: Target | undefined): readonly Endpoint[] {
  return target?.kind === 'endpoints' ? target.endpoints.filter(({ weight }) => weight > 0) : [];
}

/** True when both are the same choice. */
export function isSameChoice(one: readonly Endpoint[], other: readonly Endpoint[]): boolean {
  return (
    one.length === other.length &&
    one.every((endpoint, index) => {
      const its = other[index];
      return (
        its?.address === endpoint.address &&
        its.port === endpoint.port &&
        its.weight === endpoint.weight
      );
    })
  );
}

/**
 * Rules for the end of a chain that choose one of some endpoints, each with its share of what the rules before it
 * leave. With session affinity every endpoint gets a chain of its own, which remembers clients; they are put into `chains`.
 */
export function pickRules(
  { protocol, family, affinitySeconds }: Route,
  chain: string,
  endpoints: readonly Endpoint[],
  chains: Chains,
): readonly string[] {
  const known: string[] = [];
  const picks: string[] = [];
  let left = endpoints.reduce((sum, { weight }) => sum + weight, 0);
  for (const [index, { address, port, weight }] of endpoints.entries()) {
    const where = hostPort(address, port);
    const dnat = `-j DNAT --to-destination ${where}`;
    const chance =
      index === endpoints.length - 1
        ? ''
        : `-m statistic --mode random --probability ${probability(weight / left)} `;
    left -= weight;
    const over = `-p ${protocol.toLowerCase()}`;
    if (affinitySeconds === undefined) {
      picks.push(`${over} ${chance}${dnat}`);
      continue;
    }
    const own = endpointChain(chain, where);
    const list = `--name ${own} --mask ${EVERY_BIT[family]} --rsource`;
    chains.set(own, [`${over} -m recent --set ${list} ${dnat}`]);
    known.push(`-m recent --rcheck --seconds ${affinitySeconds} --reap ${list} -g ${own}`);
    picks.push(`${chance}-g ${own}`);
  }
  return [...known, ...picks];
}

/** As iptables lists it (libxt_statistic.c), so that what we wrote can be compared with what is there. */
function probability(share: number): string {
  return (Math.round(share * CERTAIN) / CERTAIN).toFixed(11);
}
