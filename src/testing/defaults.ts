/**
 * What the API server fills in when an object is created: the defaults of pkg/apis/core/v1/defaults.go and
 * discovery/v1/defaults.go, and the address of a Service (which a real server allocates).
 */
import { type Json, type JsonObject, isObject, listIn, objectIn, textIn } from './json.ts';
import { ENDPOINT_SLICES, SERVICES, type Resource } from './resources.ts';

/**
 * Returns the object with the defaults of its kind. A Service that names no addresses keeps those it had in `previous`; `allocate`
 * gives an unused one to a new Service.
 */
export function withDefaults(
  resource: Resource,
  object: JsonObject,
  previous: JsonObject | undefined,
  allocate: () => string,
): JsonObject {
  if (resource === SERVICES) {
    const spec = inherited(objectIn(object, 'spec'), objectIn(previous ?? {}, 'spec'));
    return defaultService({ ...object, spec }, allocate);
  }
  if (resource === ENDPOINT_SLICES) return defaultEndpointSlice(object);
  return object;
}

/** Fields that a Service is given when it is created and that an update need not repeat. */
const ADDRESS_FIELDS = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const;

function inherited(spec: JsonObject, previous: JsonObject): JsonObject {
  if (textIn(spec, 'clusterIP') !== '' || textIn(spec, 'type') === 'ExternalName') return spec;
  const filled: Record<string, Json | undefined> = { ...spec };
  for (const field of ADDRESS_FIELDS) {
    if (previous[field] !== undefined) filled[field] ??= previous[field];
  }
  return filled;
}

function defaultService(object: JsonObject, allocate: () => string): JsonObject {
  const spec = objectIn(object, 'spec');
  const type = textIn(spec, 'type') || 'ClusterIP';
  const hasAddress = type !== 'ExternalName';
  const clusterIP = textIn(spec, 'clusterIP') || (hasAddress ? allocate() : '');
  const filled: Record<string, Json | undefined> = {
    ...spec,
    ports: listIn(spec, 'ports').map(defaultServicePort),
    type,
    sessionAffinity: spec['sessionAffinity'] ?? 'None',
  };
  if (hasAddress) {
    filled['clusterIP'] = clusterIP;
    filled['clusterIPs'] = spec['clusterIPs'] ?? [clusterIP];
    filled['internalTrafficPolicy'] = spec['internalTrafficPolicy'] ?? 'Cluster';
    filled['ipFamilies'] = spec['ipFamilies'] ?? [clusterIP.includes(':') ? 'IPv6' : 'IPv4'];
    filled['ipFamilyPolicy'] = spec['ipFamilyPolicy'] ?? 'SingleStack';
  }
  if (type === 'NodePort' || type === 'LoadBalancer') {
    filled['externalTrafficPolicy'] = spec['externalTrafficPolicy'] ?? 'Cluster';
  }
  if (type === 'LoadBalancer') {
    filled['allocateLoadBalancerNodePorts'] = spec['allocateLoadBalancerNodePorts'] ?? true;
  }
  if (filled['sessionAffinity'] === 'ClientIP') {
    filled['sessionAffinityConfig'] = spec['sessionAffinityConfig'] ?? {
      clientIP: { timeoutSeconds: 10_800 },
    };
  }
  return { ...object, spec: filled, status: object['status'] ?? { loadBalancer: {} } };
}

function defaultServicePort(port: Json): Json {
  if (!isObject(port)) return port;
  return {
    ...port,
    protocol: port['protocol'] ?? 'TCP',
    targetPort: port['targetPort'] ?? port['port'],
  };
}

function defaultEndpointSlice(object: JsonObject): JsonObject {
  const ports = listIn(object, 'ports').map(defaultEndpointPort);
  const has = isPresent(object['ports']);
  return { ...object, endpoints: object['endpoints'] ?? null, ports: has ? ports : null };
}

function defaultEndpointPort(port: Json): Json {
  if (!isObject(port)) return port;
  return { ...port, name: port['name'] ?? '', protocol: port['protocol'] ?? 'TCP' };
}

function isPresent(value: Json | undefined): boolean {
  return value !== undefined && value !== null;
}
