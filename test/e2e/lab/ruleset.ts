/** What is in the kernel, as `nft` lists it. */

/** Where `nft` can be asked. */
export interface Node {
  /** Runs `nft` and returns what it says. */
  nft(...args: readonly string[]): string;
}

/** The TCP frontends for IPv4, in order: `10.96.0.1:80`. */
export function frontends(node: Node): readonly string[] {
  const listing = node.nft('list', 'map', 'ip', 'switchyard', 'service-ips');
  return [...listing.matchAll(/([\d.]+) \. tcp \. (\d+)/g)]
    .map(([, address, port]) => `${address}:${port}`)
    .toSorted();
}

/** The TCP endpoints of a frontend for IPv4, in order: `10.1.0.1:8080`. */
export function endpoints(node: Node, frontend: string): readonly string[] {
  const [address = '', port = ''] = frontend.split(':');
  const listing = node.nft('list', 'map', 'ip', 'switchyard', 'endpoints');
  const slots = listing.matchAll(/([\d.]+) \. tcp \. (\d+) \. \d+ : ([\d.]+) \. (\d+)/g);
  return [...slots]
    .filter(([, of, at]) => of === address && at === port)
    .map(([, , , endpoint, endpointPort]) => `${endpoint}:${endpointPort}`)
    .toSorted();
}
