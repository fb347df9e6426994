/** Short ways to write the objects the tests of core/ are about. Defaults are the most ordinary object. */
import assert from 'node:assert/strict';
import { hostPort, parseAddress, parseCidr } from '../../../src/core/ip.ts';

import type { Address, Cidr } from '../../../src/core/ip.ts';
import type {
  EndpointSlice,
  Service,
  ServicePort,
  SliceEndpoint,
} from '../../../src/core/model.ts';
import type { NodeView } from '../../../src/core/node.ts';
import type { Route, Target } from '../../../src/core/route.ts';
import { plainEndpoint, plainService, plainSlice } from '../../../src/core/plain.ts';
import { select } from '../../../src/core/select/select.ts';

/** The address written as text. */
export function ip(text: string): Address {
  const address = parseAddress(text);
  assert.ok(address, `${text} is no address`);
  return address;
}

/** The addresses written as text, separated by spaces. */
export function ips(text: string): readonly Address[] {
  return text.split(' ').map(ip);
}

/** The CIDR written as text. */
export function cidr(text: string): Cidr {
  const value = parseCidr(text);
  assert.ok(value, `${text} is no CIDR`);
  return value;
}

/** A Service port: unnamed, 80/TCP. */
export function port(fields: Partial<ServicePort> = {}): ServicePort {
  return { name: '', protocol: 'TCP', port: 80, nodePort: 0, ...fields };
}

/** `shop/web`, cluster IP 10.96.0.1, one unnamed port 80/TCP. */
export function service(fields: Partial<Service> = {}): Service {
  return plainService({
    namespace: 'shop',
    name: 'web',
    clusterIPs: [ip('10.96.0.1')],
    ports: [port()],
    ...fields,
  });
}

/** A ready endpoint on another node, without hints. */
export function endpoint(address: string, fields: Partial<SliceEndpoint> = {}): SliceEndpoint {
  return plainEndpoint({ address: ip(address), nodeName: 'other', ...fields });
}

/** A slice of `shop/web` with the unnamed port 8080/TCP. */
export function slice(
  endpoints: readonly SliceEndpoint[],
  fields: Partial<EndpointSlice> = {},
): EndpointSlice {
  const ports = [{ name: '', protocol: 'TCP', port: 8080 }] as const;
  return plainSlice(service(), { name: 'web-1', ports, endpoints, ...fields });
}

/** Node `here` in zone `a`, 192.168.0.1 and fd01::1, both serving node ports. */
export function view(fields: Partial<NodeView> = {}): NodeView {
  const addresses = ips('192.168.0.1 fd01::1');
  return {
    name: 'here',
    zone: 'a',
    primaryAddresses: addresses,
    nodePortAddresses: addresses,
    ...fields,
  };
}

/** The only Route that is selected. */
export function onlyRoute(
  selected: Service,
  slices: readonly EndpointSlice[] = [],
  node: NodeView = view(),
): Route {
  const { routes } = select(selected, slices, node);
  const [route, second] = routes;
  assert.ok(route, 'no Route was selected');
  assert.equal(second, undefined, 'more than one Route was selected');
  return route;
}

/** A target in a form that reads well in an assertion. */
export function show(target: Target | undefined): readonly string[] | string | undefined {
  if (target?.kind !== 'endpoints') return target?.kind;
  return target.endpoints.map(({ address, port: number }) => hostPort(address, number));
}

/** Frontends in a form that reads well in an assertion. */
export function showFrontends(route: Route): readonly string[] {
  return route.frontends.map(
    ({ kind, address, port: number }) => `${kind} ${hostPort(address, number)}`,
  );
}
