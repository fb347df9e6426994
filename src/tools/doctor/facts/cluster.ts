/** Kubernetes objects, cut down to what rules ask about: nothing else of them is kept or written to a capture. */
import { decodeEndpointSlice } from '../../../core/decode/endpoint-slice.ts';
import { type Fields, isFields } from '../../../core/decode/fields.ts';
import { decodeNode } from '../../../core/decode/node.ts';
import { decodeService } from '../../../core/decode/service.ts';
import {
  type EndpointSlice,
  type NodeObject,
  type ObjectKey,
  type Service,
  objectKey,
} from '../../../core/model.ts';

/** A Service, with what only the doctor reads. */
export interface ServiceFacts {
  readonly key: ObjectKey;
  readonly service: Service;
  /** Those of {@link ANNOTATIONS} that it has. */
  readonly annotations: ReadonlyMap<string, string>;
  /** Addresses of its load balancer; `ipMode` is VIP where the object does not say. */
  readonly ingress: readonly { readonly ip: string; readonly ipMode: string }[];
}

/** Endpoints of Services. */
export type EndpointSlices = ReadonlyMap<ObjectKey, readonly EndpointSlice[]>;

/** A Node. */
export interface NodeFacts {
  readonly node: NodeObject;
  /** `v1.36.2`, or `''`. */
  readonly kubeletVersion: string;
}

/** Settings in ConfigMaps. */
export interface ClusterSettings {
  /** The documents that kube-proxy is given (ConfigMap `kube-proxy`, key `config.conf`), as text. */
  readonly proxyConfig: string | undefined;
  /** ClusterConfiguration has a block for kube-proxy, which kubeadm does not know. */
  readonly kubeadmHasProxyBlock: boolean;
  /** Value of `kube-proxy-replacement` in `cilium-config`. */
  readonly ciliumReplacement: string | undefined;
}

/** Annotations by which load balancers are told to speak the PROXY protocol. */
export const PROXY_PROTOCOL: readonly string[] = [
  'load-balancer.hetzner.cloud/uses-proxyprotocol',
  'loadbalancer.openstack.org/proxy-protocol',
  'service.beta.kubernetes.io/aws-load-balancer-proxy-protocol',
  'service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol',
  'service.beta.kubernetes.io/scw-loadbalancer-proxy-protocol-v2',
];

/** Annotations that rules ask about. */
const ANNOTATIONS: readonly string[] = [
  ...PROXY_PROTOCOL,
  'ipvs.scheduler',
  'kube-router.io/service.scheduler',
  'kube-router.io/service.schedflags',
  'service.antrea.io/load-balancer-mode',
];

const LABELS: readonly string[] = [
  'kubernetes.io/service-name',
  'service.kubernetes.io/headless',
  'service.kubernetes.io/service-proxy-name',
  'topology.kubernetes.io/zone',
];

const SERVICE_SPEC: readonly string[] = [
  'type',
  'clusterIP',
  'clusterIPs',
  'ipFamilies',
  'ports',
  'externalIPs',
  'externalTrafficPolicy',
  'internalTrafficPolicy',
  'sessionAffinity',
  'sessionAffinityConfig',
  'healthCheckNodePort',
  'loadBalancerSourceRanges',
];

/** The objects in a document, those of a list one by one. */
export function objectsOf(document: unknown): readonly Fields[] {
  if (!isFields(document)) return [];
  const { items, kind, apiVersion } = document;
  if (!Array.isArray(items) || typeof kind !== 'string') return [document];
  const objects = items.filter(isFields);
  if (kind === 'List') return objects;
  // Items of a list of one kind do not name it.
  const defaults = { apiVersion, kind: kind.replace(/List$/, '') };
  return objects.map((item) => Object.assign({}, defaults, item));
}

/** What is kept of an object; `undefined` for kinds that no rule asks about, Secrets among them. */
export function redactObject(object: Fields): Fields | undefined {
  const { apiVersion, kind } = object;
  const metadata = redactMetadata(fieldsOf(object, 'metadata'));
  switch (kind) {
    case 'Service':
      return {
        apiVersion,
        kind,
        metadata,
        spec: pick(fieldsOf(object, 'spec'), SERVICE_SPEC),
        status: pick(fieldsOf(object, 'status'), ['loadBalancer']),
      };
    case 'EndpointSlice':
      return {
        apiVersion,
        kind,
        metadata,
        ...pick(object, ['addressType', 'ports']),
        endpoints: listOf(object, 'endpoints').map((endpoint) =>
          pick(endpoint, ['addresses', 'conditions', 'nodeName', 'zone']),
        ),
      };
    case 'Node': {
      const status = fieldsOf(object, 'status');
      return {
        apiVersion,
        kind,
        metadata,
        spec: pick(fieldsOf(object, 'spec'), ['podCIDR', 'podCIDRs']),
        status: {
          addresses: status['addresses'],
          nodeInfo: pick(fieldsOf(status, 'nodeInfo'), ['kubeletVersion']),
        },
      };
    }
    case 'ConfigMap': {
      const data = redactConfigMap(metadata['name'], fieldsOf(object, 'data'));
      return data === undefined ? undefined : { apiVersion, kind, metadata, data };
    }
    default:
      return undefined;
  }
}

function redactMetadata(metadata: Fields): Fields {
  return {
    ...pick(metadata, ['name', 'namespace', 'creationTimestamp']),
    labels: pick(fieldsOf(metadata, 'labels'), LABELS),
    annotations: pick(fieldsOf(metadata, 'annotations'), ANNOTATIONS),
  };
}

function redactConfigMap(name: unknown, data: Fields): Fields | undefined {
  if (name === 'kube-proxy') {
    const config = data['config.conf'];
    return typeof config === 'string' ? { 'config.conf': withoutConnection(config) } : undefined;
  }
  if (name === 'cilium-config') return pick(data, ['kube-proxy-replacement']);
  if (name !== 'kubeadm-config') return undefined;
  const config = data['ClusterConfiguration'];
  const block = typeof config === 'string' ? PROXY_BLOCK.exec(config)?.[0] : undefined;
  return block === undefined ? undefined : { ClusterConfiguration: `${block}\n` };
}

/** A block at the beginning of a line, as blogs have it. */
const PROXY_BLOCK = /^kube-?[pP]roxy:.*$/m;

/** Takes the block `clientConnection` and what is indented below it out of a YAML text. */
function withoutConnection(text: string): string {
  return text.replace(/^"?clientConnection"?:.*\n(?:[ \t]+.*\n?)*/m, '');
}

/** A Service; `undefined` when it has no valid name. */
export function readService(object: Fields): ServiceFacts | undefined {
  const { object: service } = decodeService(object);
  if (service === undefined) return undefined;
  const annotations = fieldsOf(fieldsOf(object, 'metadata'), 'annotations');
  const ingress = listOf(fieldsOf(fieldsOf(object, 'status'), 'loadBalancer'), 'ingress');
  return {
    key: objectKey(service.namespace, service.name),
    service,
    annotations: new Map(
      Object.entries(annotations).flatMap(([name, value]) =>
        typeof value === 'string' ? [[name, value] as const] : [],
      ),
    ),
    ingress: ingress.flatMap(({ ip, ipMode }) =>
      typeof ip === 'string' ? [{ ip, ipMode: typeof ipMode === 'string' ? ipMode : 'VIP' }] : [],
    ),
  };
}

/** EndpointSlices by Service. */
export function readSlices(objects: readonly Fields[]): EndpointSlices {
  const slices = objects.flatMap((object) => decodeEndpointSlice(object).object ?? []);
  return Map.groupBy(slices, ({ namespace, serviceName }) => objectKey(namespace, serviceName));
}

/** A Node; `undefined` when it has no valid name. */
export function readNode(object: Fields): NodeFacts | undefined {
  const { object: node } = decodeNode(object);
  const version = fieldsOf(fieldsOf(object, 'status'), 'nodeInfo')['kubeletVersion'];
  if (node === undefined) return undefined;
  return { node, kubeletVersion: typeof version === 'string' ? version : '' };
}

/** Reads ConfigMaps. */
export function readSettings(configMaps: readonly Fields[]): ClusterSettings {
  const dataOf = (name: string): Fields => {
    const found = configMaps.find((object) => fieldsOf(object, 'metadata')['name'] === name);
    return found === undefined ? {} : fieldsOf(found, 'data');
  };
  const proxyConfig = dataOf('kube-proxy')['config.conf'];
  const kubeadm = dataOf('kubeadm-config')['ClusterConfiguration'];
  const cilium = dataOf('cilium-config')['kube-proxy-replacement'];
  return {
    proxyConfig: typeof proxyConfig === 'string' ? proxyConfig : undefined,
    kubeadmHasProxyBlock: typeof kubeadm === 'string' && PROXY_BLOCK.test(kubeadm),
    ciliumReplacement: typeof cilium === 'string' ? cilium : undefined,
  };
}

function pick(object: Fields, keys: readonly string[]): Fields {
  return Object.fromEntries(
    keys.flatMap((key) => (object[key] === undefined ? [] : [[key, object[key]]])),
  );
}

function fieldsOf(object: Fields, key: string): Fields {
  const value = object[key];
  return isFields(value) ? value : {};
}

function listOf(object: Fields, key: string): readonly Fields[] {
  const value: unknown = object[key];
  return Array.isArray(value) ? value.filter(isFields) : [];
}
