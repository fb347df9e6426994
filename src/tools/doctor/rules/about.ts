/** What several rules ask. */
import type { EndpointSlice, SliceEndpoint } from '../../../core/model.ts';
import type { Facts } from '../facts/facts.ts';
import { valueOf } from '../facts/facts.ts';
import type { ServiceFacts } from '../facts/cluster.ts';
import type { ProgramName } from '../facts/processes.ts';
import type { ProxyMode } from '../facts/proxy.ts';

/** `--service-node-port-range` of kube-apiserver, if nobody changed it. */
export const NODE_PORTS = { first: 30_000, last: 32_767 } as const;

/** True when the program is known to run here. */
export function runs(facts: Facts, name: ProgramName): boolean {
  return valueOf(facts.processes)?.some((program) => program.name === name) ?? false;
}

/** True when Switchyard serves the node in place of kube-proxy. */
export function isSwitchyard(facts: Facts): boolean {
  return runs(facts, 'switchyard') && !runs(facts, 'kube-proxy');
}

/** The mode the proxy runs in: what it says itself counts more than how it is configured. */
export function modeOf(facts: Facts): ProxyMode | undefined {
  const served = valueOf(facts.servedMode);
  if (served !== undefined) return served;
  const settings = valueOf(facts.settings);
  if (settings === undefined || settings.mode !== undefined) return settings?.mode;
  return isSwitchyard(facts) ? undefined : 'iptables';
}

/** As {@link modeOf}; `undefined` where Switchyard serves, for what is true of kube-proxy only. */
export function kubeProxyMode(facts: Facts): ProxyMode | undefined {
  return isSwitchyard(facts) ? undefined : modeOf(facts);
}

/** One line with a condition: what a rule sees that looks at one value. */
export function when(condition: boolean, line: string): readonly string[] {
  return condition ? [line] : [];
}

/** A sysctl; `undefined` when it is not known. */
export function sysctl(facts: Facts, name: string): string | undefined {
  return valueOf(facts.sysctls)?.get(name);
}

/** A sysctl that is one number. */
export function sysctlNumber(facts: Facts, name: string): number | undefined {
  const text = sysctl(facts, name);
  return text === undefined || text === '' ? undefined : Number(text);
}

/** Names of iptables chains that begin so, in tables of both families and variants. */
export function chainsNamed(facts: Facts, pattern: RegExp): readonly string[] {
  const tables = valueOf(facts.iptables) ?? [];
  return tables.flatMap(({ chains }) => [...chains.keys()].filter((name) => pattern.test(name)));
}

/** True when nf_tables has a table of this name. */
export function hasNftTable(facts: Facts, name: string): boolean {
  return valueOf(facts.nftables)?.some(({ table }) => table === name) ?? false;
}

/** The Services that this node's proxy serves: with a cluster IP, and not another proxy's. */
export function servedServices(facts: Facts): readonly ServiceFacts[] {
  const services = valueOf(facts.services) ?? [];
  return services.filter(({ service }) => service.clusterIPs.length > 0 && !service.foreignProxy);
}

/** Ready endpoints of a Service; `undefined` when EndpointSlices are not known. */
export function readyEndpoints(
  facts: Facts,
  { key }: ServiceFacts,
): readonly SliceEndpoint[] | undefined {
  return valueOf(facts.slices) === undefined
    ? undefined
    : slicesOf(facts, key).flatMap(({ endpoints }) => endpoints.filter(({ ready }) => ready));
}

function slicesOf(facts: Facts, key: ServiceFacts['key']): readonly EndpointSlice[] {
  return valueOf(facts.slices)?.get(key) ?? [];
}
