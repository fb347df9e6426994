/** Step 3: a client of a Service with session affinity always reaches the same endpoint. */
import { clientAddress, otherClientAddress, type HostName } from '../../test/lab/topology.ts';
import { allAnswered, visit } from '../expect.ts';
import { claim } from '../failure.ts';
import { frontends, podAddress } from '../shop.ts';
import { paint, type Screen } from '../screen.ts';
import type { World } from '../world.ts';

/** Connections of each client. */
export const affinityConnections = 50;

const clients: readonly { readonly host: HostName; readonly address: string }[] = [
  { host: 'client', address: clientAddress.IPv4 },
  { host: 'client', address: otherClientAddress.IPv4 },
  { host: 'pod-a', address: podAddress('pod-a') },
  { host: 'pod-b', address: podAddress('pod-b') },
];

/** Shows which endpoint each client got for all its connections. */
export async function showAffinity(world: World, screen: Screen): Promise<void> {
  const pairs: string[] = [];
  for (const { host, address } of clients) {
    screen.progress(`${affinityConnections} times from ${address} to cart`);
    const results = await visit(world, host, frontends.cart, {
      count: affinityConnections,
      sourceAddress: address,
    });
    const reached = new Set(allAnswered(frontends.cart, results).map(({ server }) => server));
    const [server = ''] = reached;
    claim(reached.size === 1, `cart: ${address} reached ${[...reached].join(' and ')}`);
    pairs.push(`${address} → ${paint('green', server)}`);
  }
  screen.line(`  ${pairs.join('   ')}`);
}
