/** Made-up objects of a cluster, in the size and shape in which real controllers write them. */
import { TestingError } from './errors.ts';
import { type Json, type JsonObject, isObject, listIn, objectIn, textIn } from './json.ts';

export interface ClusterOptions {
  readonly services: number;
  /** Endpoints of every Service, up to 100 as in one slice; 10 when it is not given. */
  readonly endpoints?: number;
  /** Cluster IP of a Service, counted from 0. */
  readonly clusterIp?: (service: number) => string;
  /** Address of an endpoint of a Service. */
  readonly endpointAddress?: (service: number, endpoint: number) => string;
}

const NAMESPACES = 100;
const NODES = 100;
const ENDPOINTS = 10;
const MAX_ENDPOINTS = 100;
const CREATED = '2026-01-01T00:00:00Z';
const SERVICE_NAME = 'kubernetes.io/service-name';

/** Manager and fields as `kubectl apply` leaves them. */
const SERVICE_MANAGED_FIELDS: Json = [
  {
    manager: 'kubectl-client-side-apply',
    operation: 'Update',
    apiVersion: 'v1',
    time: CREATED,
    fieldsType: 'FieldsV1',
    fieldsV1: {
      'f:metadata': {
        'f:annotations': { '.': {}, 'f:kubectl.kubernetes.io/last-applied-configuration': {} },
        'f:labels': { '.': {}, 'f:app.kubernetes.io/name': {}, 'f:app.kubernetes.io/part-of': {} },
      },
      'f:spec': {
        'f:internalTrafficPolicy': {},
        'f:ports': {
          '.': {},
          'k:{"port":80,"protocol":"TCP"}': {
            '.': {},
            'f:name': {},
            'f:port': {},
            'f:protocol': {},
            'f:targetPort': {},
          },
        },
        'f:selector': {},
        'f:sessionAffinity': {},
        'f:type': {},
      },
    },
  },
];

/** Manager and fields as the EndpointSlice controller leaves them. */
const SLICE_MANAGED_FIELDS: Json = [
  {
    manager: 'kube-controller-manager',
    operation: 'Update',
    apiVersion: 'discovery.k8s.io/v1',
    time: CREATED,
    fieldsType: 'FieldsV1',
    fieldsV1: {
      'f:addressType': {},
      'f:endpoints': {},
      'f:metadata': {
        'f:annotations': { '.': {}, 'f:endpoints.kubernetes.io/last-change-trigger-time': {} },
        'f:generateName': {},
        'f:labels': {
          '.': {},
          'f:app.kubernetes.io/name': {},
          'f:app.kubernetes.io/part-of': {},
          'f:endpointslice.kubernetes.io/managed-by': {},
          [`f:${SERVICE_NAME}`]: {},
        },
        'f:ownerReferences': { '.': {}, 'k:{"uid":"00000000-0000-4000-8000-000000000000"}': {} },
      },
      'f:ports': {},
    },
  },
];

const namespaceOf = (service: number): string => `team-${service % NAMESPACES}`;
const nameOf = (service: number): string => `service-${service}`;

function uid(kind: number, index: number): string {
  return `0000000${kind}-0000-4000-8000-${index.toString(16).padStart(12, '0')}`;
}

/** An address some steps behind the first of its range; later octets carry over. */
function address(first: number, steps: number): string {
  const value = first + steps;
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

const CLUSTER_IPS = (10 << 24) | (96 << 16);
const PODS = (10 << 24) | (128 << 16);

function labels(service: number): JsonObject {
  return { 'app.kubernetes.io/name': nameOf(service), 'app.kubernetes.io/part-of': 'shop' };
}

/** The Services `service-0`, `service-1`, … in the namespaces `team-0` to `team-99`, of type ClusterIP with one TCP port. */
export function* makeServices({ services, clusterIp }: ClusterOptions): Generator<JsonObject> {
  for (let service = 0; service < services; service++) {
    const ip = clusterIp?.(service) ?? address(CLUSTER_IPS, service + 1);
    const ports = [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 'http' }];
    const selector = { 'app.kubernetes.io/name': nameOf(service) };
    const metadata = { name: nameOf(service), namespace: namespaceOf(service) };
    const applied = { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports, selector } };
    yield {
      metadata: {
        ...metadata,
        uid: uid(1, service),
        creationTimestamp: CREATED,
        labels: labels(service),
        annotations: {
          'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(applied),
        },
        managedFields: SERVICE_MANAGED_FIELDS,
      },
      spec: {
        ports,
        selector,
        clusterIP: ip,
        clusterIPs: [ip],
        type: 'ClusterIP',
        sessionAffinity: 'None',
        ipFamilies: ['IPv4'],
        ipFamilyPolicy: 'SingleStack',
        internalTrafficPolicy: 'Cluster',
      },
      status: { loadBalancer: {} },
    };
  }
}

/** One slice of each of those Services, as the EndpointSlice controller writes it. Throws a {@link TestingError} for too many endpoints. */
export function* makeEndpointSlices(options: ClusterOptions): Generator<JsonObject> {
  const { services, endpoints = ENDPOINTS, endpointAddress } = options;
  if (endpoints > MAX_ENDPOINTS) {
    const message = `A Service cannot have ${endpoints} made-up endpoints: ask for up to ${MAX_ENDPOINTS}.`;
    throw new TestingError('SY_TESTING_BAD_OPTION', message);
  }
  for (let service = 0; service < services; service++) {
    const name = nameOf(service);
    const namespace = namespaceOf(service);
    const owner = { apiVersion: 'v1', kind: 'Service', name, uid: uid(1, service) };
    const list = Array.from({ length: endpoints }, (_, endpoint) => {
      const index = service * endpoints + endpoint;
      const ip = endpointAddress?.(service, endpoint) ?? address(PODS, index + 1);
      return makeEndpoint(namespace, `${name}-6d4cf56db6`, index, ip);
    });
    yield {
      metadata: {
        name: `${name}-x7k2p`,
        generateName: `${name}-`,
        namespace,
        uid: uid(2, service),
        generation: 1,
        creationTimestamp: CREATED,
        labels: {
          ...labels(service),
          'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
          [SERVICE_NAME]: name,
        },
        annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': CREATED },
        ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
        managedFields: SLICE_MANAGED_FIELDS,
      },
      addressType: 'IPv4',
      endpoints: list,
      ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    };
  }
}

function makeEndpoint(namespace: string, set: string, index: number, ip: string): JsonObject {
  const name = `${set}-${index.toString(36).padStart(5, '0')}`;
  return {
    addresses: [ip],
    conditions: { ready: true, serving: true, terminating: false },
    targetRef: { kind: 'Pod', namespace, name, uid: uid(3, index) },
    nodeName: `node-${index % NODES}`,
    zone: `zone-${index % 3}`,
  };
}

/** A Node with an InternalIP, as a kubelet registers it. */
export function makeNode(name: string, ip: string): JsonObject {
  return {
    metadata: {
      name,
      uid: uid(4, 0),
      creationTimestamp: CREATED,
      labels: { 'kubernetes.io/hostname': name, 'topology.kubernetes.io/zone': 'zone-0' },
    },
    spec: { podCIDR: '10.128.0.0/24', podCIDRs: ['10.128.0.0/24'] },
    status: {
      addresses: [
        { type: 'InternalIP', address: ip },
        { type: 'Hostname', address: name },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10_250 } },
    },
  };
}

/** The slice with one endpoint replaced by another pod with that address. */
export function replaceEndpoint(slice: JsonObject, endpoint: number, ip: string): JsonObject {
  const endpoints = [...listIn(slice, 'endpoints')];
  const old = endpoints[endpoint];
  if (isObject(old)) {
    const targetRef = objectIn(old, 'targetRef');
    const name = `${textIn(targetRef, 'name').slice(0, -5)}${ip.slice(-5)}`;
    endpoints[endpoint] = { ...old, addresses: [ip], targetRef: { ...targetRef, name } };
  }
  return { ...slice, endpoints };
}
