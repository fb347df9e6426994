/** Reads the virtual servers of IPVS from /proc/net/ip_vs, or from what `ipvsadm -Sn` prints. */
import { type Address, parseAddress, unpackAddress } from '../../../core/ip.ts';

/** A virtual server with an address. Those of a firewall mark are left out. */
export interface VirtualServer {
  readonly protocol: string;
  readonly address: Address;
  readonly port: number;
  readonly scheduler: string;
  /** How each real server is reached: `masq`, `route` (direct), `tunnel`, `local`. */
  readonly forwarding: readonly string[];
}

interface OpenServer extends VirtualServer {
  readonly forwarding: string[];
}

/** Reads either of the two formats. */
export function parseVirtualServers(text: string): readonly VirtualServer[] {
  return text.startsWith('IP Virtual Server') ? parseProc(text) : parseIpvsadm(text);
}

/** ip_vs_info_seq_show() of net/netfilter/ipvs/ip_vs_ctl.c: addresses and ports in hexadecimal. */
function parseProc(text: string): readonly VirtualServer[] {
  const servers: OpenServer[] = [];
  let current: OpenServer | undefined;
  for (const line of text.split('\n')) {
    const [first = '', second = '', third = ''] = line.trim().split(/\s+/);
    if (first === '->') {
      current?.forwarding.push(third.toLowerCase());
    } else if (/^(?:TCP|UDP|SCTP)$/.test(first)) {
      const at = second.lastIndexOf(':');
      const address = hexAddress(second.slice(0, at));
      if (address === undefined) continue;
      const port = Number.parseInt(second.slice(at + 1), 16);
      current = { protocol: first, address, port, scheduler: third, forwarding: [] };
      servers.push(current);
    } else if (first === 'FWM') {
      current = undefined;
    }
  }
  return servers;
}

function hexAddress(text: string): Address | undefined {
  if (text.startsWith('[')) return parseAddress(text.slice(1, -1));
  return /^[\dA-F]{8}$/.test(text) ? unpackAddress(Buffer.from(text, 'hex'), 0, 'IPv4') : undefined;
}

const PROTOCOLS: Readonly<Record<string, string>> = {
  '-t': 'TCP',
  '-u': 'UDP',
  '--sctp-service': 'SCTP',
};
const FORWARDING: Readonly<Record<string, string>> = {
  '-m': 'masq',
  '-g': 'route',
  '-i': 'tunnel',
};

function parseIpvsadm(text: string): readonly VirtualServer[] {
  const servers: OpenServer[] = [];
  let current: OpenServer | undefined;
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    const [command, protocolFlag = '', place = ''] = words;
    if (command === '-a') {
      const flag = words.find((word) => Object.hasOwn(FORWARDING, word)) ?? '';
      current?.forwarding.push(FORWARDING[flag] ?? 'route');
    } else if (command === '-A') {
      const protocol = PROTOCOLS[protocolFlag];
      const at = place.lastIndexOf(':');
      const address = parseAddress(place.slice(0, at).replace(/^\[|\]$/g, ''));
      current = undefined;
      if (protocol === undefined || address === undefined) continue;
      const scheduler = words[words.indexOf('-s') + 1] ?? '';
      const port = Number(place.slice(at + 1));
      current = { protocol, address, port, scheduler, forwarding: [] };
      servers.push(current);
    }
  }
  return servers;
}
