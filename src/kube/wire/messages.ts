/**
 * The fields a proxy reads of each message, with their numbers in the `generated.proto` files of
 * k8s.io/api (core/v1, discovery/v1, networking/v1) and k8s.io/apimachinery (meta/v1, runtime).
 */
import { TUNING_ANNOTATIONS } from '../../core/decode/tuning.ts';
import { bytes, flag, int, many, message, one, shared, strings, text, value } from './message.ts';

/** Annotation of the bookmark behind the last initial object of a watch-list (KEP-3157). */
export const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

/** The labels that the decoders of core look at. */
const LABELS: ReadonlySet<string> = new Set([
  'kubernetes.io/service-name',
  'service.kubernetes.io/headless',
  'service.kubernetes.io/service-proxy-name',
  'topology.kubernetes.io/zone',
]);

/** The annotations that somebody looks at. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  INITIAL_EVENTS_END,
  'endpoints.kubernetes.io/last-change-trigger-time',
  ...TUNING_ANNOTATIONS,
]);

const METADATA = {
  1: text('name'),
  3: shared(text('namespace')),
  6: text('resourceVersion'),
  11: { name: 'labels', kind: 'entries', keys: LABELS },
  12: { name: 'annotations', kind: 'entries', keys: ANNOTATIONS },
} as const;

const OBJECT_META = message(METADATA);

/** Only of two Services it matters which one is older. */
const SERVICE_META = message({ ...METADATA, 8: { name: 'creationTimestamp', kind: 'time' } });

const SERVICE_PORT = message({
  1: shared(text('name')),
  2: text('protocol'),
  3: int('port'),
  5: int('nodePort'),
});

const SERVICE_SPEC = message({
  1: many('ports', SERVICE_PORT),
  3: text('clusterIP'),
  4: text('type'),
  5: strings('externalIPs'),
  7: text('sessionAffinity'),
  9: strings('loadBalancerSourceRanges'),
  11: text('externalTrafficPolicy'),
  12: int('healthCheckNodePort'),
  14: one(
    'sessionAffinityConfig',
    message({ 1: one('clientIP', message({ 1: int('timeoutSeconds') })) }),
  ),
  18: strings('clusterIPs'),
  19: strings('ipFamilies'),
  22: value('internalTrafficPolicy'),
});

const LOAD_BALANCER_STATUS = message({
  1: many('ingress', message({ 1: text('ip'), 3: value('ipMode') })),
});

/** core/v1 Service. */
export const SERVICE = message({
  1: one('metadata', SERVICE_META),
  2: one('spec', SERVICE_SPEC),
  3: one('status', message({ 1: one('loadBalancer', LOAD_BALANCER_STATUS) })),
});

const NAMED = message({ 1: shared(value('name')) });

const ENDPOINT = message({
  1: strings('addresses'),
  2: one('conditions', message({ 1: flag('ready'), 2: flag('serving'), 3: flag('terminating') })),
  6: shared(value('nodeName')),
  7: shared(value('zone')),
  8: one('hints', message({ 1: many('forZones', NAMED), 2: many('forNodes', NAMED) })),
});

const ENDPOINT_PORT = message({ 1: shared(value('name')), 2: value('protocol'), 3: int('port') });

/** discovery.k8s.io/v1 EndpointSlice. */
export const ENDPOINT_SLICE = message({
  1: one('metadata', OBJECT_META),
  2: many('endpoints', ENDPOINT),
  3: many('ports', ENDPOINT_PORT),
  4: value('addressType'),
});

/** A Node that is being deleted counts as leaving. */
const NODE_META = message({ ...METADATA, 9: { name: 'deletionTimestamp', kind: 'time' } });

const NODE_SPEC = message({
  1: text('podCIDR'),
  5: many('taints', message({ 1: value('key') })),
  7: strings('podCIDRs'),
});

/** core/v1 Node. */
export const NODE = message({
  1: one('metadata', NODE_META),
  2: one('spec', NODE_SPEC),
  3: one(
    'status',
    message({ 5: many('addresses', message({ 1: value('type'), 2: value('address') })) }),
  ),
});

/** networking.k8s.io/v1 ServiceCIDR. */
export const SERVICE_CIDR = message({
  1: one('metadata', OBJECT_META),
  2: one('spec', message({ 1: strings('cidrs') })),
});

/** meta/v1 ListMeta. */
export const LIST_META = message({ 2: text('resourceVersion'), 3: text('continue') });

/** meta/v1 Status. */
export const STATUS = message({
  3: text('message'),
  4: text('reason'),
  5: one(
    'details',
    message({
      4: many('causes', message({ 1: text('reason'), 2: text('message') })),
      5: int('retryAfterSeconds'),
    }),
  ),
  6: int('code'),
});

/** meta/v1 WatchEvent; its object is a RawExtension. */
export const WATCH_EVENT = message({
  1: value('type'),
  2: one('object', message({ 1: bytes('raw') })),
});

/** runtime.TypeMeta. */
export const TYPE_META = message({ 1: text('apiVersion'), 2: text('kind') });

/** runtime.Unknown, which every object is wrapped in. */
export const UNKNOWN = message({ 1: one('typeMeta', TYPE_META), 2: bytes('raw') });
