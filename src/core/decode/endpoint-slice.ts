/** Decodes discovery.k8s.io/v1 EndpointSlices. */
import { familyOf } from '../ip.ts';
import type { Address, Family } from '../ip.ts';
import type { EndpointSlice, SliceEndpoint, SlicePort } from '../model.ts';
import { trimmed } from '../trimmed.ts';
import { endpointFault, readAddress } from './addresses.ts';
import {
  at,
  child,
  describe,
  flag,
  has,
  integer,
  items,
  list,
  oneOf,
  report,
  text,
} from './fields.ts';
import type { Cursor } from './fields.ts';
import { metadata, root } from './metadata.ts';
import { PORT_RANGE, PROTOCOLS } from './ports.ts';
import type { Decoded, Problem } from './problem.ts';
import { readWeights } from './tuning.ts';

/** Label: name of the Service that a slice belongs to. */
const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
/** Label: slice of a headless Service, whatever the label's value is. */
const HEADLESS_LABEL = 'service.kubernetes.io/headless';

/** Annotation: when the Pod or the Service changed that made the controller write the slice. */
const TRIGGER_ANNOTATION = 'endpoints.kubernetes.io/last-change-trigger-time';

const NO_NAMES: readonly string[] = [];
const FIRST_ADDRESS = at('addresses', 0);

/**
 * Decodes an EndpointSlice. There is no object, and no problem, for a slice that no proxy serves (headless,
 * or of no Service); no object and a problem when it has no valid name or no IP address type. Ports and
 * endpoints that cannot be used are left out and reported. Never throws.
 */
export function decodeEndpointSlice(value: unknown): Decoded<EndpointSlice> {
  const problems: Problem[] = [];
  const object = root(value, problems);
  const meta = object && metadata(object);
  if (object === undefined || meta === undefined) return { object: undefined, problems };
  if (Object.hasOwn(meta.labels.fields, HEADLESS_LABEL)) return { object: undefined, problems };
  const serviceName = text(meta.labels, SERVICE_NAME_LABEL, 'the slice is not used') ?? '';
  if (serviceName === '') return { object: undefined, problems };
  const family = readFamily(object);
  if (family === undefined) return { object: undefined, problems };
  return {
    object: {
      namespace: meta.namespace,
      name: meta.name,
      serviceName,
      family,
      ports: readPorts(object),
      endpoints: readEndpoints(object, family),
      triggeredAt: text(meta.annotations, TRIGGER_ANNOTATION, 'it is ignored'),
      weights: readWeights(meta.annotations),
    },
    problems,
  };
}

function readFamily(slice: Cursor): Family | undefined {
  const type = slice.fields['addressType'];
  if (type === 'IPv4' || type === 'IPv6') return type;
  const effect = 'the slice is not used';
  const found = has(slice, 'addressType') ? describe(type) : 'missing';
  const fault = type === 'FQDN' ? 'FQDN is not served' : `must be IPv4 or IPv6, is ${found}`;
  report(slice, 'addressType', `${fault}; ${effect}`);
  return undefined;
}

function readPorts(slice: Cursor): readonly SlicePort[] {
  const effect = 'the port is left out';
  const ports: SlicePort[] = [];
  for (const cursor of items(slice, 'ports', 'the slice has no ports')) {
    const name = readPortName(cursor, effect);
    const protocol = oneOf(cursor, 'protocol', PROTOCOLS, 'TCP', effect);
    const port = integer(cursor, 'port', PORT_RANGE, effect);
    if (!has(cursor, 'port')) report(cursor, 'port', `is missing or null; ${effect}`);
    if (name !== undefined && protocol !== undefined && port !== undefined) {
      ports.push({ name, protocol, port });
    }
  }
  return trimmed(ports);
}

/** A name that is not written is `''` (the API server's default); one that is `null` names no port. */
function readPortName(cursor: Cursor, effect: string): string | undefined {
  if (cursor.fields['name'] === undefined) return '';
  if (cursor.fields['name'] === null) report(cursor, 'name', `is null; ${effect}`);
  return text(cursor, 'name', effect);
}

function readEndpoints(slice: Cursor, family: Family): readonly SliceEndpoint[] {
  const endpoints: SliceEndpoint[] = [];
  for (const cursor of items(slice, 'endpoints', 'the slice has no endpoints')) {
    const address = readEndpointAddress(cursor, family);
    if (address === undefined) continue;
    const conditions = child(cursor, 'conditions', 'the endpoint counts as ready');
    const hints = child(cursor, 'hints', 'the endpoint counts as having none');
    endpoints.push({
      address,
      nodeName: text(cursor, 'nodeName', 'it counts as unknown') || undefined,
      zone: text(cursor, 'zone', 'it counts as unknown') || undefined,
      ready: flag(conditions, 'ready', 'it counts as true') ?? true,
      serving: flag(conditions, 'serving', 'it counts as true') ?? true,
      terminating: flag(conditions, 'terminating', 'it counts as false') ?? false,
      forZones: readNames(hints, 'forZones'),
      forNodes: readNames(hints, 'forNodes'),
    });
  }
  return trimmed(endpoints);
}

/** The first address. More are legal and never used: all of them name the same endpoint. */
function readEndpointAddress(cursor: Cursor, family: Family): Address | undefined {
  const effect = 'the endpoint is left out';
  const value = list(cursor, 'addresses', effect)[0];
  if (value === undefined) {
    report(cursor, 'addresses', `has no address; ${effect}`);
    return undefined;
  }
  const address = readAddress(cursor, FIRST_ADDRESS, value, endpointFault, effect);
  if (address === undefined || familyOf(address) === family) return address;
  report(cursor, FIRST_ADDRESS, `${address} is no ${family} address; ${effect}`);
  return undefined;
}

/** The names in a list of `{ name }`. */
function readNames(hints: Cursor, key: string): readonly string[] {
  if (!has(hints, key)) return NO_NAMES;
  const names: string[] = [];
  for (const cursor of items(hints, key, 'the hint is ignored')) {
    const name = text(cursor, 'name', 'the hint is ignored');
    if (name !== undefined) names.push(name);
  }
  return names;
}
