/**
 * Every option there is: the flags and configuration fields of kube-proxy 1.36, and our own. Rows with a
 * field are in the order in which kube-proxy writes the fields.
 */
import type { Option } from './option.ts';
import type { Json } from './value-types.ts';
import { IPTABLES_MODE, IPVS_MODE, MODE, NFTABLES_MODE, WINDOWS_MODE } from './options/modes.ts';
import { API, LOGGING, PROCESS } from './options/process.ts';
import { SERVING } from './options/serving.ts';
import { KERNEL, OTHERS, SWITCHYARD, TRAFFIC } from './options/traffic.ts';

const TABLE = {
  ...PROCESS,
  ...API,
  ...LOGGING,
  ...SERVING,
  ...MODE,
  ...IPTABLES_MODE,
  ...IPVS_MODE,
  ...NFTABLES_MODE,
  ...WINDOWS_MODE,
  ...TRAFFIC,
  ...KERNEL,
  ...OTHERS,
  ...SWITCHYARD,
};

/** Names of the settings. */
export type Key = keyof typeof TABLE;

/** The value of each setting. Durations are in milliseconds. */
export type Settings = {
  readonly [K in Key]: (typeof TABLE)[K] extends Option<infer T> ? T : never;
};

/** Settings of which only some are known. */
export type Draft = { -readonly [K in Key]?: Settings[K] };

/** The table. */
export const OPTIONS: { readonly [K in Key]: Option<Settings[K]> } = TABLE;

/** Rows that belong together, for help and documentation. */
export interface Section {
  readonly title: string;
  readonly keys: readonly Key[];
}

/** All rows, in order. */
export const SECTIONS: readonly Section[] = [
  section('Process', PROCESS),
  section('API server', API),
  section('Log', LOGGING),
  section('Node, health and metrics', SERVING),
  section('Mode', MODE),
  section('iptables mode', IPTABLES_MODE),
  section('ipvs mode', IPVS_MODE),
  section('nftables mode', NFTABLES_MODE),
  section('Windows', WINDOWS_MODE),
  section('Local traffic and node ports', TRAFFIC),
  section('Kernel', KERNEL),
  section('Others', OTHERS),
  section('Switchyard', SWITCHYARD),
];

function section(title: string, rows: object): Section {
  return { title, keys: Object.keys(rows).filter(isKey) };
}

function isKey(name: string): name is Key {
  return Object.hasOwn(TABLE, name);
}

/** The names of all settings, in order. */
export const KEYS: readonly Key[] = SECTIONS.flatMap(({ keys }) => keys);

/** The settings that have a flag, by its name without dashes. */
export const FLAGS: ReadonlyMap<string, Key> = new Map(
  KEYS.flatMap((key) => {
    const { flag } = OPTIONS[key];
    return flag === undefined ? [] : [[flag, key]];
  }),
);

/** Sets one setting, if there is a value. */
export function put<K extends Key>(into: Draft, key: K, value: Settings[K] | undefined): void {
  if (value !== undefined) into[key] = value;
}

/** A value as the text of its flag. */
export function formatValue<K extends Key>(key: K, value: Settings[K]): string {
  return OPTIONS[key].type.format(value);
}

/** A value as a file of kube-proxy has it. */
export function encodeValue<K extends Key>(key: K, value: Settings[K]): Json {
  return OPTIONS[key].type.encode(value);
}

/** What was set, and the defaults for all else. */
export function withDefaults(draft: Draft): Settings {
  const full: Draft = {};
  for (const key of KEYS) put(full, key, draft[key] ?? OPTIONS[key].default);
  if (!isComplete(full)) throw new TypeError('An option is missing from its section.');
  return full;
}

function isComplete(draft: Draft): draft is Settings {
  return Object.keys(TABLE).every((key) => Object.hasOwn(draft, key));
}
