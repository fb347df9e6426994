/** Reads what `nft list chains` and `nft list ruleset` print, as far as tables and chains go. */

/** A chain, or a table without chains. */
export interface NftChain {
  /** `ip`, `ip6`, `inet`, `arp`, `bridge`, `netdev`. */
  readonly family: string;
  readonly table: string;
  /** `''` for a table without chains. */
  readonly name: string;
  /** `forward` and the like; `undefined` for chains that only others jump to. */
  readonly hook: string | undefined;
  /** `accept` or `drop`, with a hook. */
  readonly policy: string | undefined;
}

/** Reads a listing. Rules, sets and maps in it are passed over. */
export function parseNftListing(text: string): readonly NftChain[] {
  const chains: NftChain[] = [];
  let table: { readonly family: string; readonly name: string; isEmpty: boolean } | undefined;
  for (const line of text.split('\n')) {
    const opened = /^table (\S+) (\S+) \{/.exec(line);
    if (opened !== null) {
      table = { family: opened[1] ?? '', name: opened[2] ?? '', isEmpty: true };
      continue;
    }
    if (table === undefined) continue;
    if (line === '}') {
      const { family, name, isEmpty } = table;
      if (isEmpty) {
        chains.push({ family, table: name, name: '', hook: undefined, policy: undefined });
      }
      table = undefined;
      continue;
    }
    const chain = /^\tchain (\S+) \{/.exec(line)?.[1];
    if (chain !== undefined) {
      const { family, name } = table;
      table.isEmpty = false;
      chains.push({ family, table: name, name: chain, hook: undefined, policy: undefined });
      continue;
    }
    const base = /^\t\ttype \S+ hook (\S+) .*policy (\w+);/.exec(line);
    const last = chains.at(-1);
    if (base !== null && last !== undefined) {
      chains[chains.length - 1] = { ...last, hook: base[1], policy: base[2] };
    }
  }
  return chains;
}
