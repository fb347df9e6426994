/** What the status socket tells, as values of JSON. What is `undefined` is left out. */
import { formatCidr } from '../../core/ip.ts';
import type { EndpointSlice, Service, SliceEndpoint, SlicePort } from '../../core/model.ts';
import type { ServiceObjects } from '../../core/store.ts';

/** `/v1/status`. Moments are RFC 3339 in UTC. */
export interface StatusDocument {
  /** Of the program. */
  readonly version: string;
  readonly pid: number;
  readonly node: string;
  readonly mode: string;
  readonly startedAt: string;
  /** Services are served since then; not there before. */
  readonly servingSince?: string | undefined;
  /** Objects that are held, and what follows from them. */
  readonly counts: {
    readonly services: number;
    readonly endpointSlices: number;
    readonly servedServices: number;
    readonly routes: number;
  };
  /** The last time that the kernel took a change. */
  readonly lastProgrammed?: ProgrammedDocument | undefined;
  /** The last time that programming failed. */
  readonly lastError?: FailureDocument | undefined;
  /** The last time that somebody else's changes were found and repaired. */
  readonly lastRepair?: { readonly at: string; readonly drift: readonly string[] } | undefined;
}

/** A round of programming. */
interface ProgrammedDocument {
  readonly at: string;
  readonly operations: number;
  readonly latencyMs: number;
}

/** A failure. */
interface FailureDocument {
  readonly at: string;
  readonly error: string;
  /** Nothing has worked since. */
  readonly lasts: boolean;
}

/** An item of `/v1/services`: the Service as it was read, and how many endpoints its slices have. */
export type ServiceDocument = Omit<Service, 'weights' | 'loadBalancerSourceRanges'> & {
  readonly weights?: Readonly<Record<string, number>> | undefined;
  readonly loadBalancerSourceRanges: readonly string[];
  /** Of all families together. */
  readonly endpoints: { readonly ready: number; readonly all: number };
};

/** An item of `/v1/endpoints`: one of an EndpointSlice. */
export type EndpointDocument = SliceEndpoint & {
  readonly namespace: string;
  /** Name of the Service. */
  readonly service: string;
  /** Name of the slice. */
  readonly slice: string;
  readonly ports: readonly SlicePort[];
};

/** A Service that is wanted. */
export function serviceDocument(
  { weights, ...service }: Service,
  { slices }: ServiceObjects,
): ServiceDocument {
  const endpoints = slices.flatMap((slice) => slice.endpoints);
  return {
    ...service,
    ...(weights !== undefined && { weights: Object.fromEntries(weights) }),
    loadBalancerSourceRanges: service.loadBalancerSourceRanges.map(formatCidr),
    endpoints: { ready: endpoints.filter(({ ready }) => ready).length, all: endpoints.length },
  };
}

/** The endpoints of a slice. */
export function endpointDocuments(slice: EndpointSlice): readonly EndpointDocument[] {
  const { namespace, serviceName: service, name, ports } = slice;
  return slice.endpoints.map((each) => ({ namespace, service, slice: name, ports, ...each }));
}
