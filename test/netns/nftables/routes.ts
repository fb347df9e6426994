/** Routes and nft, for the tests of the nftables plane's tables. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type Address, parseAddress } from '../../../src/core/ip.ts';
import type { PlaneSettings } from '../../../src/core/node.ts';
import type { Endpoint, Route } from '../../../src/core/route.ts';
import { frontend, route as plainRoute } from '../../unit/core/routes.ts';

/** Both families, nothing known to be local, nothing counted. */
export const SETTINGS: PlaneSettings = {
  families: ['IPv4', 'IPv6'],
  masqueradeAll: false,
  serviceCidrs: [],
  countedPorts: 0,
  localTraffic: {},
};

/** An address that must be one. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function endpoints(count: number): readonly Endpoint[] {
  return Array.from({ length: count }, (_, index) => ({
    address: address(`10.1.${index >> 8}.${index & 255}`),
    port: 8080,
    local: false,
    weight: 1,
  }));
}

/** Service number `index` with so many endpoints. */
export function route(index: number, count: number, more: Partial<Route> = {}): Route {
  const target = { kind: 'endpoints', endpoints: endpoints(count) } as const;
  const vip = `10.96.${index >> 8}.${index & 255}`;
  return plainRoute({
    key: `shop/s${index}:http/TCP/IPv4`,
    service: `shop/s${index}`,
    label: `shop/s${index}:http`,
    frontends: [frontend('clusterIP', vip)],
    internal: target,
    external: target,
    ...more,
  });
}

/** Runs nft and returns its output. */
export function nft(...words: readonly string[]): string {
  return execFileSync('nft', [...words], { encoding: 'utf8' });
}

/** Names of the chains of the IPv4 table. */
export function chains(): readonly string[] {
  return [...nft('list', 'table', 'ip', 'switchyard').matchAll(/chain (\S+) \{/g)].map(
    ([, name]) => name ?? '',
  );
}
