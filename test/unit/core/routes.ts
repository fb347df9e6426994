/** Routes from a few words each. */
import type { Endpoint, Frontend, FrontendKind, Route, Target } from '../../../src/core/route.ts';
import { ip } from './build.ts';

/** A Route of TCP port 80 of `shop/web` in IPv4; refused unless told otherwise. */
export function route(fields: Partial<Route> = {}): Route {
  return {
    key: 'shop/web:http/TCP/IPv4',
    service: 'shop/web',
    label: 'shop/web:http',
    family: 'IPv4',
    protocol: 'TCP',
    frontends: [frontend('clusterIP', '10.96.0.1')],
    internal: { kind: 'reject' },
    external: { kind: 'reject' },
    externalFromInside: undefined,
    masqueradeExternal: true,
    affinitySeconds: undefined,
    scheduler: undefined,
    drainSeconds: undefined,
    allowedSources: undefined,
    serving: [],
    ...fields,
  };
}

export function frontend(kind: FrontendKind, address: string, port = 80): Frontend {
  return { kind, address: ip(address), port };
}

/** A target of these addresses, port 8080; `*` in front: on this node, `=3` behind: its weight. */
export function endpoints(...texts: readonly string[]): Target {
  return {
    kind: 'endpoints',
    endpoints: texts.map((text): Endpoint => {
      const [address = '', weight = '1'] = text.replace('*', '').split('=');
      return {
        address: ip(address),
        port: 8080,
        local: text.startsWith('*'),
        weight: Number(weight),
      };
    }),
  };
}
