/**
 * Messages of `k8s.io/apimachinery` (pkg/apis/meta/v1/generated.proto, pkg/runtime/generated.proto,
 * release 1.36). What is always written follows from the Go structs of types.go.
 */
import {
  type Message,
  integer,
  message,
  messages,
  optionalBoolean,
  optionalFields,
  optionalInteger,
  optionalMessage,
  optionalTime,
  text,
  textMap,
  texts,
  time,
} from './schema.ts';

export const LIST_META: Message = [
  text(1, 'selfLink'),
  text(2, 'resourceVersion'),
  text(3, 'continue'),
  optionalInteger(4, 'remainingItemCount'),
];

const OWNER_REFERENCE: Message = [
  text(1, 'kind'),
  text(3, 'name'),
  text(4, 'uid'),
  text(5, 'apiVersion'),
  optionalBoolean(6, 'controller'),
  optionalBoolean(7, 'blockOwnerDeletion'),
];

const MANAGED_FIELDS_ENTRY: Message = [
  text(1, 'manager'),
  text(2, 'operation'),
  text(3, 'apiVersion'),
  optionalTime(4, 'time'),
  text(6, 'fieldsType'),
  optionalFields(7, 'fieldsV1'),
  text(8, 'subresource'),
];

export const OBJECT_META: Message = [
  text(1, 'name'),
  text(2, 'generateName'),
  text(3, 'namespace'),
  text(4, 'selfLink'),
  text(5, 'uid'),
  text(6, 'resourceVersion'),
  integer(7, 'generation'),
  time(8, 'creationTimestamp'),
  optionalTime(9, 'deletionTimestamp'),
  optionalInteger(10, 'deletionGracePeriodSeconds'),
  textMap(11, 'labels'),
  textMap(12, 'annotations'),
  messages(OWNER_REFERENCE)(13, 'ownerReferences'),
  texts(14, 'finalizers'),
  messages(MANAGED_FIELDS_ENTRY)(17, 'managedFields'),
];

export const CONDITION: Message = [
  text(1, 'type'),
  text(2, 'status'),
  integer(3, 'observedGeneration'),
  time(4, 'lastTransitionTime'),
  text(5, 'reason'),
  text(6, 'message'),
];

const STATUS_CAUSE: Message = [text(1, 'reason'), text(2, 'message'), text(3, 'field')];

const STATUS_DETAILS: Message = [
  text(1, 'name'),
  text(2, 'group'),
  text(3, 'kind'),
  messages(STATUS_CAUSE)(4, 'causes'),
  integer(5, 'retryAfterSeconds'),
  text(6, 'uid'),
];

export const STATUS: Message = [
  message(LIST_META)(1, 'metadata'),
  text(2, 'status'),
  text(3, 'message'),
  text(4, 'reason'),
  optionalMessage(STATUS_DETAILS)(5, 'details'),
  integer(6, 'code'),
];

/** core/v1; other groups refer to objects with it. */
export const OBJECT_REFERENCE: Message = [
  text(1, 'kind'),
  text(2, 'namespace'),
  text(3, 'name'),
  text(4, 'uid'),
  text(5, 'apiVersion'),
  text(6, 'resourceVersion'),
  text(7, 'fieldPath'),
];
