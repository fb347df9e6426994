/** What the status socket tells, in rows for people. The first row has the titles. */
import type { EndpointDocument, ServiceDocument } from '../../agent/status/documents.ts';
import type { ServicePort, SlicePort } from '../../core/model.ts';
import type { ProgrammedFrontend } from '../../planes/plane.ts';
import type { DriftReport } from './drift.ts';

/** Rows of a table. */
export type Rows = readonly (readonly string[])[];

/** A frontend and the mode that it is programmed in. */
export type FrontendOfMode = ProgrammedFrontend & { readonly mode: string };

const NONE = '-';

/** Services that are wanted. */
export function serviceRows(services: readonly ServiceDocument[], wide: boolean): Rows {
  const titles = ['NAMESPACE', 'NAME', 'TYPE', 'CLUSTER-IP', 'PORTS', 'ENDPOINTS'];
  const more = ['OTHER-IPS', 'INTERNAL', 'EXTERNAL', 'AFFINITY'];
  const rows = services.map((service) => {
    const { namespace, name, type, clusterIPs, ports, endpoints, affinitySeconds } = service;
    const shown = [
      namespace,
      name,
      type,
      list(clusterIPs),
      list(ports.map(portText)),
      `${endpoints.ready}/${endpoints.all}`,
    ];
    if (!wide) return shown;
    return [
      ...shown,
      list([...service.externalIPs, ...service.loadBalancerIPs]),
      service.internalTrafficPolicy,
      service.externalTrafficPolicy,
      secondsText(affinitySeconds),
    ];
  });
  return [wide ? [...titles, ...more] : titles, ...rows];
}

/** Endpoints of their slices. */
export function endpointRows(endpoints: readonly EndpointDocument[], wide: boolean): Rows {
  const titles = ['NAMESPACE', 'SERVICE', 'ADDRESS', 'PORTS', 'STATE', 'NODE'];
  const more = ['ZONE', 'FOR-ZONES', 'FOR-NODES', 'SLICE'];
  const rows = endpoints.map((endpoint) => {
    const { namespace, service, address, ports, nodeName, zone, forZones, forNodes } = endpoint;
    const shown = [
      namespace,
      service,
      address,
      list(ports.map(slicePortText)),
      stateText(endpoint),
      nodeName ?? NONE,
    ];
    return wide ? [...shown, zone ?? NONE, list(forZones), list(forNodes), endpoint.slice] : shown;
  });
  return [wide ? [...titles, ...more] : titles, ...rows];
}

/** Frontends, wanted or programmed. */
export function frontendRows(frontends: readonly FrontendOfMode[], wide: boolean): Rows {
  const titles = ['SERVICE', 'FRONTEND', 'TARGET'];
  const more = ['FROM-THIS-NODE', 'MASQUERADE', 'AFFINITY', 'SOURCES', 'MODE'];
  const rows = frontends.map((each) => {
    const { label, frontend, protocol, target, insideTarget, allowedSources } = each;
    const shown = [
      label === '' ? NONE : label,
      `${frontend}/${protocol}`,
      targetText(target, wide),
    ];
    if (!wide) return shown;
    return [
      ...shown,
      insideTarget === undefined ? NONE : targetText(insideTarget, wide),
      each.masquerade ? 'yes' : 'no',
      secondsText(each.affinitySeconds),
      allowedSources === undefined ? 'all' : list(allowedSources),
      each.mode,
    ];
  });
  return [wide ? [...titles, ...more] : titles, ...rows];
}

/** Differences; a sentence when there is none. */
export function driftRows({ mode, frontends, differences }: DriftReport): Rows {
  if (differences.length === 0) {
    return [[`The kernel holds all ${frontends} frontends as they are wanted (${mode} mode).`]];
  }
  return [
    ['SERVICE', 'FRONTEND', 'DIFFERENCE'],
    ...differences.map(({ service, frontend, protocol, difference }) => [
      service === '' ? NONE : service,
      `${frontend}/${protocol}`,
      difference,
    ]),
  ];
}

function list(texts: readonly string[]): string {
  return texts.length === 0 ? NONE : texts.join(',');
}

function portText({ port, nodePort, protocol }: ServicePort): string {
  return `${port}${nodePort === 0 ? '' : `:${nodePort}`}/${protocol}`;
}

function slicePortText({ port, protocol }: SlicePort): string {
  return `${port}/${protocol}`;
}

function secondsText(seconds: number | undefined): string {
  return seconds === undefined ? NONE : `${seconds}s`;
}

function stateText({ ready, serving, terminating }: EndpointDocument): string {
  if (terminating) return serving ? 'terminating' : 'terminating, not serving';
  return ready ? 'ready' : 'not ready';
}

function targetText(target: ProgrammedFrontend['target'], wide: boolean): string {
  if (typeof target === 'string') return target;
  const endpoints = [...new Set(target)];
  if (wide) return list(endpoints);
  return endpoints.length === 1 ? '1 endpoint' : `${endpoints.length} endpoints`;
}
