/** The resources the stand-in API server has: all that a Service proxy reads or writes, and its tools. */
import { type Json, type JsonObject, isObject } from './json.ts';
import {
  CONFIG_MAP,
  ENDPOINT_SLICE,
  EVENT,
  NODE,
  SERVICE,
  SERVICE_CIDR,
} from './protobuf/messages.ts';
import type { Message } from './protobuf/schema.ts';

/** One resource of one API group and version. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  /** `v1`, or `group/version`. */
  readonly apiVersion: string;
  readonly kind: string;
  /** Name in paths; `singular` and `shortNames` are for kubectl. */
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** Fields that field selectors may name. */
  readonly selectable: readonly string[];
  /** Text of the error for a field selector that names another field. */
  readonly unknownField: (field: string) => string;
  /** Has a `status` of its own that a PUT or PATCH of the object leaves alone. */
  readonly hasStatus: boolean;
  /** `metadata.generation` counts the changes. */
  readonly counted: boolean;
  /** A DELETE is answered with the object, not with a Status. */
  readonly returnsDeleted: boolean;
  /** What a bookmark has besides its metadata: Go's zero values that JSON shows. */
  readonly zero: JsonObject;
  readonly message: Message;
}

/** Text of the API group's own conversion functions (pkg/apis/core/v1/conversion.go). */
const coreUnknownField = (field: string): string => `field label not supported: ${field}`;

/** Text of runtime.DefaultMetaV1FieldSelectorConversion. */
const defaultUnknownField = (field: string): string =>
  `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`;

export const SERVICES: Resource = {
  group: '',
  version: 'v1',
  apiVersion: 'v1',
  kind: 'Service',
  plural: 'services',
  singular: 'service',
  shortNames: ['svc'],
  namespaced: true,
  selectable: ['metadata.name', 'metadata.namespace', 'spec.clusterIP', 'spec.type'],
  unknownField: coreUnknownField,
  hasStatus: true,
  counted: false,
  returnsDeleted: true,
  zero: { spec: {}, status: { loadBalancer: {} } },
  message: SERVICE,
};

export const NODES: Resource = {
  group: '',
  version: 'v1',
  apiVersion: 'v1',
  kind: 'Node',
  plural: 'nodes',
  singular: 'node',
  shortNames: ['no'],
  namespaced: false,
  selectable: ['metadata.name', 'spec.unschedulable'],
  unknownField: coreUnknownField,
  hasStatus: true,
  counted: false,
  returnsDeleted: false,
  zero: {
    spec: {},
    status: {
      daemonEndpoints: { kubeletEndpoint: { Port: 0 } },
      nodeInfo: {
        machineID: '',
        systemUUID: '',
        bootID: '',
        kernelVersion: '',
        osImage: '',
        containerRuntimeVersion: '',
        kubeletVersion: '',
        kubeProxyVersion: '',
        operatingSystem: '',
        architecture: '',
      },
    },
  },
  message: NODE,
};

export const ENDPOINT_SLICES: Resource = {
  group: 'discovery.k8s.io',
  version: 'v1',
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  singular: 'endpointslice',
  shortNames: [],
  namespaced: true,
  selectable: ['metadata.name', 'metadata.namespace'],
  unknownField: defaultUnknownField,
  hasStatus: false,
  counted: true,
  returnsDeleted: false,
  zero: { addressType: '', endpoints: null, ports: null },
  message: ENDPOINT_SLICE,
};

const SERVICE_CIDRS: Resource = {
  group: 'networking.k8s.io',
  version: 'v1',
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  plural: 'servicecidrs',
  singular: 'servicecidr',
  shortNames: [],
  namespaced: false,
  selectable: ['metadata.name'],
  unknownField: defaultUnknownField,
  hasStatus: true,
  counted: false,
  returnsDeleted: false,
  zero: { spec: {}, status: {} },
  message: SERVICE_CIDR,
};

export const EVENTS: Resource = {
  group: 'events.k8s.io',
  version: 'v1',
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  singular: 'event',
  shortNames: ['ev'],
  namespaced: true,
  selectable: [
    'metadata.name',
    'metadata.namespace',
    'reason',
    'regarding.kind',
    'regarding.name',
    'regarding.namespace',
    'regarding.uid',
    'reportingController',
    'type',
  ],
  unknownField: coreUnknownField,
  hasStatus: false,
  counted: false,
  returnsDeleted: false,
  zero: {
    eventTime: null,
    regarding: {},
    deprecatedSource: {},
    deprecatedFirstTimestamp: null,
    deprecatedLastTimestamp: null,
  },
  message: EVENT,
};

const CONFIG_MAPS: Resource = {
  group: '',
  version: 'v1',
  apiVersion: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  namespaced: true,
  selectable: ['metadata.name', 'metadata.namespace'],
  unknownField: coreUnknownField,
  hasStatus: false,
  counted: false,
  returnsDeleted: false,
  zero: {},
  message: CONFIG_MAP,
};

export const RESOURCES: readonly Resource[] = [
  SERVICES,
  NODES,
  ENDPOINT_SLICES,
  SERVICE_CIDRS,
  EVENTS,
  CONFIG_MAPS,
];

/** The text a field selector compares: `''` where the object has no such field. */
export function selectableText(object: JsonObject, field: string): string {
  let value: Json | undefined = object;
  for (const step of field.split('.')) value = isObject(value) ? value[step] : undefined;
  if (typeof value === 'string') return value;
  // The one boolean among the fields is false when it is missing.
  return field === 'spec.unschedulable' ? String(value === true) : '';
}
