/** Reads network interfaces from what `ip -details -json address` prints, and the default route. */
import { type Fields, isFields } from '../../../core/decode/fields.ts';
import { type Address, parseAddress } from '../../../core/ip.ts';

/** A network interface. */
export interface Link {
  readonly name: string;
  /** `vxlan`, `bridge`, `dummy`, …; `''` for a device of its own, such as a network card. */
  readonly kind: string;
  readonly isUp: boolean;
  /** Bytes. */
  readonly mtu: number;
  /** The tunnel's far end is chosen for each packet, by another program (`external`). */
  readonly isExternal: boolean;
  /** Without link-local ones and those of the host itself. */
  readonly addresses: readonly Address[];
}

/** Reads the JSON of ip(8). Throws a SyntaxError for what is none. */
export function parseLinks(text: string): readonly Link[] {
  const list: unknown = JSON.parse(text);
  return Array.isArray(list) ? list.filter(isFields).map(readLink) : [];
}

function readLink(link: Fields): Link {
  const { ifname, mtu, flags, addr_info: addresses } = link;
  const info = isFields(link['linkinfo']) ? link['linkinfo'] : {};
  const kind = info['info_kind'];
  const isLoopback = link['link_type'] === 'loopback';
  return {
    name: typeof ifname === 'string' ? ifname : '',
    kind: isLoopback ? 'loopback' : typeof kind === 'string' ? kind : '',
    isUp: Array.isArray(flags) && flags.includes('UP'),
    mtu: typeof mtu === 'number' ? mtu : 0,
    isExternal: isFields(info['info_data']) && info['info_data']['external'] === true,
    addresses: Array.isArray(addresses) ? addresses.filter(isFields).flatMap(readAddress) : [],
  };
}

function readAddress({ local, scope }: Fields): readonly Address[] {
  if (typeof local !== 'string' || scope === 'host' || scope === 'link') return [];
  const address = parseAddress(local);
  return address === undefined ? [] : [address];
}

/** Interface of the default route in /proc/net/route (fib_route_seq_show()); `undefined` when there is none. */
export function parseDefaultRoute(text: string): string | undefined {
  let best: { readonly name: string; readonly metric: number } | undefined;
  for (const line of text.split('\n').slice(1)) {
    const [name = '', destination, , , , , metric, mask] = line.trim().split(/\s+/);
    if (destination !== '00000000' || mask !== '00000000') continue;
    if (best === undefined || Number(metric) < best.metric) best = { name, metric: Number(metric) };
  }
  return best?.name;
}
