/** The rules that settings must keep (kube-proxy: pkg/proxy/apis/config/validation). */
import { atMostOneOfEachFamily, parseSloppyCidr } from './addresses.ts';
import { type Fault, mustBe } from './fault.ts';
import { MODES, type PlaneMode } from './option.ts';
import { KEYS, type Key, OPTIONS, type Settings, encodeValue, formatValue } from './options.ts';
import { PERIODS } from './options/modes.ts';

/** How messages call a setting. */
export type NameOf = (key: Key) => string;

/** IFNAMSIZ without the terminating zero (linux/if.h). */
const INTERFACE_NAME_LENGTH = 15;
/** A DNS subdomain, as the names of Nodes are. */
const NODE_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** All faults of settings that are complete. */
export function validate(settings: Settings, nameOf: NameOf): readonly Fault[] {
  return [
    ...KEYS.flatMap((key) => (applies(settings, key) ? checkRule(key, settings[key], nameOf) : [])),
    ...checkPeriods(settings, nameOf),
    ...checkDetectLocal(settings, nameOf),
  ];
}

/** What is wrong with the name of the Node; `named` says where it comes from. */
export function checkNodeName(name: string, named: string): readonly Fault[] {
  if (NODE_NAME.test(name)) return [];
  const expected = 'the name of a Node (lower-case letters, digits, "-" and ".")';
  return [{ keys: ['hostnameOverride'], message: mustBe(named, expected, name) }];
}

/** With `auto`, every mode may be the one. */
function isPossible({ mode }: Settings, modes: readonly PlaneMode[]): boolean {
  return mode === 'auto' || modes.includes(mode);
}

function applies(settings: Settings, key: Key): boolean {
  const { ruleInModes, modes } = OPTIONS[key];
  return !ruleInModes || modes === undefined || isPossible(settings, modes);
}

function checkRule<K extends Key>(key: K, value: Settings[K], nameOf: NameOf): readonly Fault[] {
  const { rule } = OPTIONS[key];
  if (rule === undefined || rule.keeps(value)) return [];
  return [{ keys: [key], message: mustBe(nameOf(key), rule.expected, encodeValue(key, value)) }];
}

function checkPeriods(settings: Settings, nameOf: NameOf): readonly Fault[] {
  return MODES.flatMap((mode) => {
    const { period, least } = PERIODS[mode];
    const most = settings[period];
    // A period that is wrong itself was reported.
    if (!isPossible(settings, [mode]) || settings[least] <= most || most <= 0) return [];
    const expected = `at most ${nameOf(period)} (${formatValue(period, most)})`;
    const message = mustBe(nameOf(least), expected, formatValue(least, settings[least]));
    return [{ keys: [period, least], message }];
  });
}

function checkDetectLocal(settings: Settings, nameOf: NameOf): readonly Fault[] {
  const { detectLocalMode: mode } = settings;
  if (mode === 'ClusterCIDR') return checkClusterCidr(settings, nameOf);
  if (mode === 'NodeCIDR') return [];
  const key = mode === 'BridgeInterface' ? 'podBridgeInterface' : 'podInterfaceNamePrefix';
  return checkInterface(settings, key, nameOf);
}

function checkClusterCidr({ clusterCidr }: Settings, nameOf: NameOf): readonly Fault[] {
  const cidrs = clusterCidr.flatMap((text) => parseSloppyCidr(text) ?? []);
  if (cidrs.length === clusterCidr.length && atMostOneOfEachFamily(cidrs)) return [];
  const expected = 'a CIDR such as 10.244.0.0/16, or one of each family with a comma';
  const message = mustBe(nameOf('clusterCidr'), expected, clusterCidr.join(','));
  return [{ keys: ['clusterCidr'], message }];
}

function checkInterface(
  settings: Settings,
  key: 'podBridgeInterface' | 'podInterfaceNamePrefix',
  nameOf: NameOf,
): readonly Fault[] {
  const name = settings[key];
  if (name.length <= INTERFACE_NAME_LENGTH && /^[^\s/]+$/.test(name)) return [];
  const expected =
    `the ${key === 'podBridgeInterface' ? 'name' : 'beginning of names'} of network interfaces ` +
    `(at most ${INTERFACE_NAME_LENGTH} characters) when ${nameOf('detectLocalMode')} is ${settings.detectLocalMode}`;
  return [{ keys: [key], message: mustBe(nameOf(key), expected, name) }];
}
