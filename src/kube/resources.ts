/** The kinds of objects that are watched, and which of them: the same ones as kube-proxy asks for. */
import type { EndpointSliceItem, NodeItem, ServiceCidrItem, ServiceItem } from '../core/change.ts';
import { decodeEndpointSlice } from '../core/decode/endpoint-slice.ts';
import { decodeNode } from '../core/decode/node.ts';
import type { Decoded } from '../core/decode/problem.ts';
import { decodeServiceCidr } from '../core/decode/service-cidr.ts';
import { decodeService } from '../core/decode/service.ts';
import type { Message } from './wire/message.ts';
import { ENDPOINT_SLICE, NODE, SERVICE, SERVICE_CIDR } from './wire/messages.ts';

/** A collection of the API, with items `I`. */
export interface Resource<I> {
  readonly kind: string;
  /** For messages. */
  readonly plural: string;
  readonly path: string;
  /** `labelSelector` and `fieldSelector`. */
  readonly selectors: Readonly<Record<string, string>>;
  /** The fields that are read. */
  readonly message: Message;
  /** Old clusters do not have it, and old roles do not allow it: a proxy can do without. */
  readonly isOptional: boolean;
  readonly decode: (value: unknown) => Decoded<I>;
}

/** Services but those of other proxies and headless ones. */
export const SERVICES: Resource<ServiceItem> = {
  kind: 'Service',
  plural: 'Services',
  path: '/api/v1/services',
  selectors: {
    labelSelector: '!service.kubernetes.io/service-proxy-name',
    fieldSelector: 'spec.clusterIP!=None',
  },
  message: SERVICE,
  isOptional: false,
  decode: (value) => withKind('Service', decodeService(value)),
};

/** EndpointSlices but those of headless Services. */
export const ENDPOINT_SLICES: Resource<EndpointSliceItem> = {
  kind: 'EndpointSlice',
  plural: 'EndpointSlices',
  path: '/apis/discovery.k8s.io/v1/endpointslices',
  selectors: { labelSelector: '!service.kubernetes.io/headless' },
  message: ENDPOINT_SLICE,
  isOptional: false,
  decode: (value) => withKind('EndpointSlice', decodeEndpointSlice(value)),
};

/** All Nodes. */
export const NODES: Resource<NodeItem> = {
  kind: 'Node',
  plural: 'Nodes',
  path: '/api/v1/nodes',
  selectors: {},
  message: NODE,
  isOptional: false,
  decode: (value) => withKind('Node', decodeNode(value)),
};

/** The one Node of this name. */
export function nodeNamed(name: string): Resource<NodeItem> {
  return {
    ...NODES,
    plural: `the Node ${name}`,
    selectors: { fieldSelector: `metadata.name=${name}` },
  };
}

/** All ServiceCIDRs. */
export const SERVICE_CIDRS: Resource<ServiceCidrItem> = {
  kind: 'ServiceCIDR',
  plural: 'ServiceCIDRs',
  path: '/apis/networking.k8s.io/v1/servicecidrs',
  selectors: {},
  message: SERVICE_CIDR,
  isOptional: true,
  decode: (value) => withKind('ServiceCIDR', decodeServiceCidr(value)),
};

function withKind<Kind extends string, T>(
  kind: Kind,
  { object, problems }: Decoded<T>,
): Decoded<{ readonly kind: Kind; readonly object: T }> {
  return { object: object && { kind, object }, problems };
}
