/** What is in the kernel now, against what a take-over has planned or kept before. */
import { describeVirtual } from '../../kernel/ipvs/servers.ts';
import type { Leftover, Leftovers, Removal } from '../cleanup/leftovers.ts';
import { type SavedObjects, objectKey } from './undo-bundle.ts';

/** What stays until connections have ended. */
const DRAINED: ReadonlySet<Leftover['kind']> = new Set([
  'virtual server',
  'address',
  'link',
  'ipset',
]);

/**
 * What of a plan is still to be removed after a drain: our ipvs mode may have taken virtual servers over meanwhile, and
 * what came since is not kept. `undefined`: there are rules again, which somebody wrote after they were removed.
 */
export function stillThere(planned: Removal, now: Leftovers): Removal | undefined {
  const { objects, removal } = now;
  if (removal === undefined || objects.some(({ kind }) => !DRAINED.has(kind))) return undefined;
  const servers = new Set(removal.servers.map(describeVirtual));
  const known = new Set(planned.addresses);
  const isLinkKnown = removal.addresses.every((address) => known.has(address));
  return {
    rules: [],
    servers: planned.servers.filter((name) => servers.has(describeVirtual(name))),
    addresses: removal.addresses.filter((address) => known.has(address)),
    // Its addresses go with it.
    link: planned.link && removal.link && isLinkKnown,
    sets: planned.sets.filter((name) => removal.sets.includes(name)),
    tables: [],
  };
}

/**
 * True when all that is there now was kept before, with the same in it. Tables of nf_tables change by themselves, with
 * each client: only what they consist of counts.
 */
export function isKept(now: SavedObjects, kept: SavedObjects): boolean {
  return partsOf(now).isSubsetOf(partsOf(kept));
}

/** Each part that goes as a whole, with what is in it. */
function partsOf({ objects, rules, sets, servers }: SavedObjects): ReadonlySet<string> {
  const parts = new Set([...sets, ...servers].map((each) => JSON.stringify(each)));
  for (const object of objects) parts.add(objectKey(object));
  for (const { variant, family, tables } of rules) {
    for (const { table, chains, places } of tables) {
      const add = (chain: string, content: unknown): void => {
        parts.add(JSON.stringify([variant, family, table, chain, content]));
      };
      // A chain that others lead to stays there without its rules.
      for (const chain of chains) if (chain.rules.length > 0) add(chain.name, chain.rules);
      for (const place of places) {
        for (const index of place.taken) add(place.chain, place.rules[index]);
      }
    }
  }
  return parts;
}
