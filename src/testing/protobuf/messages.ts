/**
 * Messages of the kinds that the stand-in server stores (generated.proto of core/v1, discovery/v1,
 * events/v1 and networking/v1 of `k8s.io/api`, release 1.36). `status.config` and `spec.configSource` of Node are left
 * out: no kubelet writes them any more. So is `binaryData` of ConfigMap.
 */
import { CONDITION, OBJECT_META, OBJECT_REFERENCE } from './meta.ts';
import {
  type Message,
  boolean,
  intOrString,
  integer,
  message,
  messages,
  microTime,
  optionalBoolean,
  optionalInteger,
  optionalMessage,
  optionalText,
  optionalTime,
  quantityMap,
  text,
  textMap,
  texts,
  time,
} from './schema.ts';

const SERVICE_PORT: Message = [
  text(1, 'name'),
  text(2, 'protocol'),
  integer(3, 'port'),
  intOrString(4, 'targetPort'),
  integer(5, 'nodePort'),
  optionalText(6, 'appProtocol'),
];

const SERVICE_SPEC: Message = [
  messages(SERVICE_PORT)(1, 'ports'),
  textMap(2, 'selector'),
  text(3, 'clusterIP'),
  text(4, 'type'),
  texts(5, 'externalIPs'),
  text(7, 'sessionAffinity'),
  text(8, 'loadBalancerIP'),
  texts(9, 'loadBalancerSourceRanges'),
  text(10, 'externalName'),
  text(11, 'externalTrafficPolicy'),
  integer(12, 'healthCheckNodePort'),
  boolean(13, 'publishNotReadyAddresses'),
  optionalMessage([optionalMessage([optionalInteger(1, 'timeoutSeconds')])(1, 'clientIP')])(
    14,
    'sessionAffinityConfig',
  ),
  optionalText(17, 'ipFamilyPolicy'),
  texts(18, 'clusterIPs'),
  texts(19, 'ipFamilies'),
  optionalBoolean(20, 'allocateLoadBalancerNodePorts'),
  optionalText(21, 'loadBalancerClass'),
  optionalText(22, 'internalTrafficPolicy'),
  optionalText(23, 'trafficDistribution'),
];

const LOAD_BALANCER_INGRESS: Message = [
  text(1, 'ip'),
  text(2, 'hostname'),
  optionalText(3, 'ipMode'),
  messages([integer(1, 'port'), text(2, 'protocol'), optionalText(3, 'error')])(4, 'ports'),
];

export const SERVICE: Message = [
  message(OBJECT_META)(1, 'metadata'),
  message(SERVICE_SPEC)(2, 'spec'),
  message([
    message([messages(LOAD_BALANCER_INGRESS)(1, 'ingress')])(1, 'loadBalancer'),
    messages(CONDITION)(2, 'conditions'),
  ])(3, 'status'),
];

const ENDPOINT: Message = [
  texts(1, 'addresses'),
  message([
    optionalBoolean(1, 'ready'),
    optionalBoolean(2, 'serving'),
    optionalBoolean(3, 'terminating'),
  ])(2, 'conditions'),
  optionalText(3, 'hostname'),
  optionalMessage(OBJECT_REFERENCE)(4, 'targetRef'),
  textMap(5, 'deprecatedTopology'),
  optionalText(6, 'nodeName'),
  optionalText(7, 'zone'),
  optionalMessage([
    messages([text(1, 'name')])(1, 'forZones'),
    messages([text(1, 'name')])(2, 'forNodes'),
  ])(8, 'hints'),
];

const ENDPOINT_PORT: Message = [
  optionalText(1, 'name'),
  optionalText(2, 'protocol'),
  optionalInteger(3, 'port'),
  optionalText(4, 'appProtocol'),
];

export const ENDPOINT_SLICE: Message = [
  message(OBJECT_META)(1, 'metadata'),
  messages(ENDPOINT)(2, 'endpoints'),
  messages(ENDPOINT_PORT)(3, 'ports'),
  text(4, 'addressType'),
];

const NODE_SPEC: Message = [
  text(1, 'podCIDR'),
  text(2, 'externalID'),
  text(3, 'providerID'),
  boolean(4, 'unschedulable'),
  messages([text(1, 'key'), text(2, 'value'), text(3, 'effect'), optionalTime(4, 'timeAdded')])(
    5,
    'taints',
  ),
  texts(7, 'podCIDRs'),
];

const NODE_CONDITION: Message = [
  text(1, 'type'),
  text(2, 'status'),
  time(3, 'lastHeartbeatTime'),
  time(4, 'lastTransitionTime'),
  text(5, 'reason'),
  text(6, 'message'),
];

const NODE_SYSTEM_INFO: Message = [
  text(1, 'machineID'),
  text(2, 'systemUUID'),
  text(3, 'bootID'),
  text(4, 'kernelVersion'),
  text(5, 'osImage'),
  text(6, 'containerRuntimeVersion'),
  text(7, 'kubeletVersion'),
  text(8, 'kubeProxyVersion'),
  text(9, 'operatingSystem'),
  text(10, 'architecture'),
  optionalMessage([optionalInteger(1, 'capacity')])(11, 'swap'),
];

const RUNTIME_HANDLER: Message = [
  text(1, 'name'),
  optionalMessage([
    optionalBoolean(1, 'recursiveReadOnlyMounts'),
    optionalBoolean(2, 'userNamespaces'),
  ])(2, 'features'),
];

const NODE_STATUS: Message = [
  quantityMap(1, 'capacity'),
  quantityMap(2, 'allocatable'),
  text(3, 'phase'),
  messages(NODE_CONDITION)(4, 'conditions'),
  messages([text(1, 'type'), text(2, 'address')])(5, 'addresses'),
  message([message([integer(1, 'Port')])(1, 'kubeletEndpoint')])(6, 'daemonEndpoints'),
  message(NODE_SYSTEM_INFO)(7, 'nodeInfo'),
  messages([texts(1, 'names'), integer(2, 'sizeBytes')])(8, 'images'),
  texts(9, 'volumesInUse'),
  messages([text(1, 'name'), text(2, 'devicePath')])(10, 'volumesAttached'),
  messages(RUNTIME_HANDLER)(12, 'runtimeHandlers'),
  optionalMessage([optionalBoolean(1, 'supplementalGroupsPolicy')])(13, 'features'),
  texts(14, 'declaredFeatures'),
];

export const NODE: Message = [
  message(OBJECT_META)(1, 'metadata'),
  message(NODE_SPEC)(2, 'spec'),
  message(NODE_STATUS)(3, 'status'),
];

export const SERVICE_CIDR: Message = [
  message(OBJECT_META)(1, 'metadata'),
  message([texts(1, 'cidrs')])(2, 'spec'),
  message([messages(CONDITION)(1, 'conditions')])(3, 'status'),
];

export const CONFIG_MAP: Message = [message(OBJECT_META)(1, 'metadata'), textMap(2, 'data')];

export const EVENT: Message = [
  message(OBJECT_META)(1, 'metadata'),
  microTime(2, 'eventTime'),
  optionalMessage([integer(1, 'count'), microTime(2, 'lastObservedTime')])(3, 'series'),
  text(4, 'reportingController'),
  text(5, 'reportingInstance'),
  text(6, 'action'),
  text(7, 'reason'),
  message(OBJECT_REFERENCE)(8, 'regarding'),
  optionalMessage(OBJECT_REFERENCE)(9, 'related'),
  text(10, 'note'),
  text(11, 'type'),
  message([text(1, 'component'), text(2, 'host')])(12, 'deprecatedSource'),
  time(13, 'deprecatedFirstTimestamp'),
  time(14, 'deprecatedLastTimestamp'),
  integer(15, 'deprecatedCount'),
];
