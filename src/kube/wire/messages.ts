/**
 * The fields a proxy reads of each message, with their numbers in the `generated.proto` files of
 * k8s.io/api (core/v1, discovery/v1, networking/v1) and k8s.io/apimachinery (meta/v1, runtime).
 */
import type { Field, Message } from './protobuf.ts';

/** Annotation of the bookmark behind the last initial object of a watch-list (KEP-3157). */
export const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

/** The labels that decoders of core look at. */
const LABELS: ReadonlySet<string> = new Set([
  'kubernetes.io/service-name',
  'service.kubernetes.io/headless',
  'service.kubernetes.io/service-proxy-name',
  'topology.kubernetes.io/zone',
]);

const OBJECT_META = message({
  1: text('name'),
  3: text('namespace'),
  6: text('resourceVersion'),
  8: { name: 'creationTimestamp', kind: 'time' },
  11: { name: 'labels', kind: 'entries', keys: LABELS },
  12: { name: 'annotations', kind: 'entries', keys: new Set([INITIAL_EVENTS_END]) },
});

/** core/v1 Service. */
export const SERVICE = message({
  1: one('metadata', OBJECT_META),
  2: one(
    'spec',
    message({
      1: many(
        'ports',
        message({
          1: text('name'),
          2: text('protocol'),
          3: { name: 'port', kind: 'int', omitEmpty: false },
          5: { name: 'nodePort', kind: 'int', omitEmpty: true },
        }),
      ),
      3: text('clusterIP'),
      4: text('type'),
      5: strings('externalIPs'),
      7: text('sessionAffinity'),
      9: strings('loadBalancerSourceRanges'),
      11: text('externalTrafficPolicy'),
      12: { name: 'healthCheckNodePort', kind: 'int', omitEmpty: true },
      14: one(
        'sessionAffinityConfig',
        message({
          1: one(
            'clientIP',
            message({ 1: { name: 'timeoutSeconds', kind: 'int', omitEmpty: false } }),
          ),
        }),
      ),
      18: strings('clusterIPs'),
      19: strings('ipFamilies'),
      22: present('internalTrafficPolicy'),
    }),
  ),
  3: one(
    'status',
    message({
      1: one('loadBalancer', message({ 1: many('ingress', message({ 1: text('ip'), 3: present('ipMode') })) })),
    }),
  ),
});

const NAMED = message({ 1: present('name') });

/** discovery.k8s.io/v1 EndpointSlice. */
export const ENDPOINT_SLICE = message({
  1: one('metadata', OBJECT_META),
  2: many(
    'endpoints',
    message({
      1: strings('addresses'),
      2: one('conditions', message({ 1: flag('ready'), 2: flag('serving'), 3: flag('terminating') })),
      6: present('nodeName'),
      8: one('hints', message({ 1: many('forZones', NAMED), 2: many('forNodes', NAMED) })),
    }),
  ),
  3: many(
    'ports',
    message({
      1: present('name'),
      2: present('protocol'),
      3: { name: 'port', kind: 'int', omitEmpty: false },
    }),
  ),
  4: present('addressType'),
});

/** core/v1 Node. */
export const NODE = message({
  1: one('metadata', OBJECT_META),
  2: one('spec', message({ 1: text('podCIDR'), 7: strings('podCIDRs') })),
  3: one('status', message({ 5: many('addresses', message({ 1: present('type'), 2: present('address') })) })),
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
      5: { name: 'retryAfterSeconds', kind: 'int', omitEmpty: true },
    }),
  ),
  6: { name: 'code', kind: 'int', omitEmpty: true },
});

/** meta/v1 WatchEvent, whose object is a RawExtension. */
export const WATCH_EVENT = message({
  1: present('type'),
  2: one('object', message({ 1: { name: 'raw', kind: 'bytes' } })),
});

/** runtime.TypeMeta. */
export const TYPE_META = message({ 1: text('apiVersion'), 2: text('kind') });

/** runtime.Unknown, what every object is wrapped in. */
export const UNKNOWN = message({ 1: one('typeMeta', TYPE_META), 2: { name: 'raw', kind: 'bytes' } });

function message(fields: Readonly<Record<number, Field>>): Message {
  const table: (Field | undefined)[] = [];
  for (const [number, field] of Object.entries(fields)) {
    while (table.length < Number(number)) table.push(undefined);
    table.push(field);
  }
  return table;
}

/** A string with `omitempty`. */
function text(name: string): Field {
  return { name, kind: 'string', omitEmpty: true };
}

/** A string that is in the JSON whenever it is in the message. */
function present(name: string): Field {
  return { name, kind: 'string', omitEmpty: false };
}

function strings(name: string): Field {
  return { name, kind: 'strings' };
}

/** A pointer to a bool. */
function flag(name: string): Field {
  return { name, kind: 'bool', omitEmpty: false };
}

function one(name: string, inner: Message): Field {
  return { name, kind: 'one', message: inner };
}

function many(name: string, inner: Message): Field {
  return { name, kind: 'many', message: inner };
}
