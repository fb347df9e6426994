/** How kube-proxy, or Switchyard in its place, is configured, and what it says of itself. */
import { type Fields, isFields } from '../../../core/decode/fields.ts';
import type { Draft } from '../../../agent/config/options.ts';
import { readFields, readFlags } from '../../../agent/config/sources.ts';
import { type Version, findVersion } from './version.ts';

/** What a data plane is called in kube-proxy's configuration. */
export type ProxyMode = 'iptables' | 'ipvs' | 'nftables';

const MODES: readonly ProxyMode[] = ['iptables', 'ipvs', 'nftables'];

/** Settings of the proxy. */
export interface ProxySettings {
  /** Where they were found: `the configuration file`, `the command line`, `ConfigMap kube-system/kube-proxy`. */
  readonly from: string;
  /** Those that are set. */
  readonly values: Draft;
  /** `undefined`: not set. */
  readonly mode: ProxyMode | undefined;
  /** Fields that no configuration has, and fields that are there twice. */
  readonly unknownFields: readonly string[];
}

/** Settings of documents of a configuration file. */
export function settingsOfDocuments(documents: readonly Fields[], from: string): ProxySettings {
  const { values, unknown } = readFields(
    documents.map((value) => ({ value, duplicates: [] as const })),
  );
  return { from, values, mode: asMode(values.mode), unknownFields: unknown };
}

/** Settings of a command line. @param flags As `--name=value`. */
export function settingsOfFlags(flags: readonly string[]): ProxySettings {
  const { values } = readFlags(new Map(flags.map(splitFlag)));
  return { from: 'the command line', values, mode: asMode(values.mode), unknownFields: [] };
}

/** Name without dashes, and value. */
export function splitFlag(flag: string): readonly [string, string] {
  const at = flag.indexOf('=');
  return at < 0 ? [flag.slice(2), ''] : [flag.slice(2, at), flag.slice(at + 1)];
}

/** A mode by its name. */
export function asMode(text: string | undefined): ProxyMode | undefined {
  return MODES.find((mode) => mode === text);
}

/** True for a document of a proxy's configuration, of kube-proxy's or our own kind. */
export function isProxyDocument(value: unknown): value is Fields {
  return (
    isFields(value) &&
    (value['kind'] === 'KubeProxyConfiguration' || value['kind'] === 'SwitchyardConfiguration')
  );
}

/** A configuration without what tells how to reach the API server. */
export function redactProxyDocument(document: Fields): Fields {
  const entries = Object.entries(document).filter(([name]) => name !== 'clientConnection');
  return Object.fromEntries(entries);
}

/** What the metrics of a proxy tell. */
export interface ProxyMetrics {
  readonly version: Version | undefined;
  /** Sums over all labels, by name. */
  readonly counters: ReadonlyMap<string, number>;
}

const COUNTER =
  /^(kubeproxy_\w*(?:_failures_total|localhost_nodeports_accepted_packets_total))(?:\{[^}]*\})? (\S+)/;
const BUILD = /^kubernetes_build_info\{.*?git_?[vV]ersion="([^"]*)"/;

/** True for the lines that {@link parseMetrics} reads. */
export function isUsedMetric(line: string): boolean {
  return COUNTER.test(line) || BUILD.test(line);
}

/** Reads the text format of Prometheus. */
export function parseMetrics(text: string): ProxyMetrics {
  const counters = new Map<string, number>();
  let version: Version | undefined;
  for (const line of text.split('\n')) {
    const [, name = '', value] = COUNTER.exec(line) ?? [];
    if (name !== '') counters.set(name, (counters.get(name) ?? 0) + Number(value));
    const built = BUILD.exec(line)?.[1];
    if (built !== undefined) version = findVersion(built);
  }
  return { version, counters };
}
