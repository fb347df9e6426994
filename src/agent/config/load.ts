/** From flags and a configuration file to settings, in kube-proxy's order of precedence. */
import { AgentError } from '../errors.ts';
import { isIPv6, withPort } from './addresses.ts';
import type { Fault } from './fault.ts';
import { type Draft, type Key, OPTIONS, type Settings, put, withDefaults } from './options.ts';
import { WATCH_LIST } from './options/process.ts';
import { HEALTHZ_PORT, METRICS_PORT } from './options/serving.ts';
import { readDocuments } from './read-documents.ts';
import { type Reading, readFields, readFlags } from './sources.ts';
import { GATES } from './value-types.ts';
import { type NameOf, checkNodeName, validate } from './validate.ts';

/** What settings are read from. */
export interface ConfigInput {
  /** Text of each flag that was given, by its name without dashes. */
  readonly flags: ReadonlyMap<string, string>;
  /** The text of a file. Throws an {@link AgentError} `SY_CONFIG_UNREADABLE`. */
  readonly readFile: (path: string) => string;
  /** Of this machine. */
  readonly hostname: string;
}

/** Settings that keep all rules. */
export interface LoadedConfig {
  readonly settings: Settings;
  /** Name of the Node object this machine is. */
  readonly nodeName: string;
  /** To be logged, one line each. */
  readonly warnings: readonly string[];
}

/** Settings before their rules are checked. */
interface Collected {
  readonly settings: Settings;
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
  readonly nameOf: NameOf;
}

/** The deprecated flags with a port, and what they are a part of. */
const PORTS = [
  { port: 'healthzPort', address: 'healthzBindAddress' },
  { port: 'metricsPort', address: 'metricsBindAddress' },
] as const;

/**
 * Reads, completes and checks the settings.
 *
 * Throws an {@link AgentError}: `SY_CONFIG_INVALID` with all faults, or `SY_CONFIG_UNREADABLE`.
 */
export function loadConfig({ flags, readFile, hostname }: ConfigInput): LoadedConfig {
  const given = readFlags(flags);
  const path = given.values.configFile ?? '';
  const collected = path === '' ? fromFlags(given) : fromFile(given, path, readFile(path));
  const settings = withPlatformDefaults(collected.settings);
  const node = nameNode(settings, hostname, collected.nameOf);
  const unreadable = new Set(collected.faults.flatMap(({ keys }) => keys));
  const broken = [
    ...validate(settings, collected.nameOf),
    ...checkNodeName(node.name, node.from),
  ].filter(({ keys }) => !keys.some((key) => unreadable.has(key)));
  const faults = [...collected.faults, ...broken];
  if (faults.length > 0)
    throw invalid(
      faults.map(({ message }) => message),
      path,
    );
  const warnings = [...collected.warnings, ...deprecations(given), ...gateWarnings(settings)];
  const hostnameOverride = settings.hostnameOverride === '' ? '' : node.name;
  return { settings: { ...settings, hostnameOverride }, nodeName: node.name, warnings };
}

function invalid(messages: readonly string[], path: string): AgentError {
  const where = path === '' ? '' : `Cannot use the configuration ${path}: `;
  // One flag can set two settings: the same report twice says nothing more.
  return new AgentError('SY_CONFIG_INVALID', `${where}${[...new Set(messages)].join('; ')}.`);
}

/** Without a file. The default addresses are those for IPv4, whatever --bind-address says. */
function fromFlags({ values, names, faults }: Reading): Collected {
  const settings = withDefaults(values);
  const addresses: Draft = {};
  const warnings: string[] = [];
  for (const { port, address } of PORTS) {
    // kube-proxy leaves these two flags out of what it writes.
    const number = settings.writeConfigTo === '' ? settings[port] : OPTIONS[port].default;
    addresses[address] = number === 0 ? '' : withPort(settings[address], number);
    if (number === 0) names.set(address, flagOf(port));
    else if (number !== OPTIONS[port].default && addresses[address] === settings[address])
      warnings.push(
        `${flagOf(port)}=${number} has no effect, because ${flagOf(address)} (${settings[address]}) has a port.`,
      );
  }
  return {
    settings: { ...settings, ...addresses },
    faults,
    warnings,
    nameOf: (key) => names.get(key) ?? flagOf(key),
  };
}

/** With a file: what it says, and the flags that win over it. */
function fromFile(flags: Reading, path: string, text: string): Collected {
  const read = readDocuments(text);
  if (!read.ok) throw invalid([read.reason], path);
  const file = readFields(read.documents);
  const values: Draft = { ...file.values };
  const names = new Map(file.names);
  const ignored: string[] = [];
  for (const [key, name] of flags.names) {
    if (OPTIONS[key].withFile === undefined) {
      if (OPTIONS[key].flag !== undefined) ignored.push(name);
      continue;
    }
    put(values, key, flags.values[key]);
    names.set(key, name);
  }
  values.vmodule = [...(flags.values.vmodule ?? []), ...(file.values.vmodule ?? [])];
  return {
    settings: withDefaults({ ...values, ...fileAddresses(values) }),
    faults: [...flags.faults, ...file.faults],
    warnings: fileWarnings(path, file.unknown, ignored),
    nameOf: (key) => names.get(key) ?? OPTIONS[key].field ?? flagOf(key),
  };
}

/** In a file, the family of the bind address decides where the servers listen, and a port may be left out. */
function fileAddresses(values: Draft): Draft {
  const [any, loopback] = isIPv6(values.bindAddress ?? '')
    ? ['::', '::1']
    : ['0.0.0.0', '127.0.0.1'];
  return {
    healthzBindAddress: withPort(values.healthzBindAddress ?? any, HEALTHZ_PORT),
    metricsBindAddress: withPort(values.metricsBindAddress ?? loopback, METRICS_PORT),
  };
}

function fileWarnings(
  path: string,
  unknown: readonly string[],
  ignored: readonly string[],
): readonly string[] {
  const warnings: string[] = [];
  if (unknown.length > 0)
    warnings.push(
      `${path}: fields that are unknown (left out) or there twice (the last one counts): ${unknown.join(', ')}.`,
    );
  if (ignored.length > 0)
    warnings.push(
      `With --config these flags are ignored: ${ignored.join(', ')}. Write the settings into ${path}.`,
    );
  return warnings;
}

function withPlatformDefaults(settings: Settings): Settings {
  const wantsPrimary = settings.mode === 'nftables' || settings.mode === 'auto';
  if (!wantsPrimary || settings.nodePortAddresses.length > 0) return settings;
  return { ...settings, nodePortAddresses: ['primary'] };
}

function nameNode(
  { hostnameOverride }: Settings,
  hostname: string,
  nameOf: NameOf,
): { readonly name: string; readonly from: string } {
  const isNamed = hostnameOverride !== '';
  return {
    name: (isNamed ? hostnameOverride : hostname).trim().toLowerCase(),
    from: isNamed ? nameOf('hostnameOverride') : 'the host name (or --hostname-override)',
  };
}

function deprecations({ names }: Reading): readonly string[] {
  return [...names].flatMap(([key, name]) => {
    const { deprecated } = OPTIONS[key];
    return deprecated === undefined ? [] : [`${name} is deprecated: use ${deprecated}.`];
  });
}

function gateWarnings({ featureGates }: Settings): readonly string[] {
  const { [WATCH_LIST]: _, ...others } = featureGates;
  const gates = GATES.format(others);
  return gates === '' ? [] : [`Feature gates have no effect here: ${gates}.`];
}

function flagOf(key: Key): string {
  return `--${OPTIONS[key].flag ?? OPTIONS[key].sharesFlag}`;
}
