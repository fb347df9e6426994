/** Writes settings as kube-proxy writes its effective configuration. */
import { stringify } from 'yaml';
import {
  type DocumentKind,
  type FieldTree,
  KUBE_PROXY_CONFIG,
  SWITCHYARD_CONFIG,
} from './document-kinds.ts';
import type { PlaneMode } from './option.ts';
import { KEYS, type Key, OPTIONS, type Settings, encodeValue, formatValue } from './options.ts';
import type { Json } from './value-types.ts';

/** The body of `/configz`: JSON of the effective configuration, where `mode` is the mode that runs. */
export function printConfigz(settings: Settings, mode: PlaneMode): string {
  const shown = { ...settings, mode };
  const { kind, apiVersion, fields } = KUBE_PROXY_CONFIG;
  const config = printFields(fields, (key) => encodeShown(shown, key, mode));
  return JSON.stringify({ 'kubeproxy.config.k8s.io': { kind, apiVersion, ...config } });
}

/**
 * A configuration file that gives the same settings when it is loaded: for `--write-config-to`. The second
 * document is there only when a setting of it is not the default.
 */
export function printYaml(settings: Settings): string {
  const first = printDocument(KUBE_PROXY_CONFIG, (key) => encode(settings, key));
  const own = SWITCHYARD_CONFIG.keys.filter(
    (key) => !isSame(key, settings[key], OPTIONS[key].default),
  );
  if (own.length === 0) return first;
  const second = printDocument(SWITCHYARD_CONFIG, (key) =>
    own.includes(key) ? encode(settings, key) : undefined,
  );
  return `${first}---\n${second}`;
}

/** The effective value of every flag, by its name without dashes: for `/flagz` and the log. */
export function printFlags(settings: Settings): Readonly<Record<string, string>> {
  const flags: Record<string, string> = {};
  for (const key of KEYS) {
    const { flag } = OPTIONS[key];
    if (flag !== undefined) flags[flag] = formatValue(key, settings[key]);
  }
  return flags;
}

function printDocument(
  { apiVersion, kind, fields }: DocumentKind,
  print: (key: Key) => Json | undefined,
): string {
  const document = { apiVersion, kind, ...printFields(fields, print) };
  // Version 1.1: "yes" and "0x10" get quotes, because readers of that version need them.
  return stringify(document, { version: '1.1', lineWidth: 0 });
}

function printFields(
  fields: FieldTree,
  print: (key: Key) => Json | undefined,
): Readonly<Record<string, Json>> {
  const printed: Record<string, Json> = {};
  for (const [name, field] of fields) {
    const value = typeof field === 'string' ? print(field) : printFields(field, print);
    if (value !== undefined) printed[name] = value;
  }
  return printed;
}

/** The value as kube-proxy shows it: some are kept only for the mode that runs. */
function encodeShown(settings: Settings, key: Key, mode: PlaneMode): Json | undefined {
  const { type, modes, collapses, shownForZero } = OPTIONS[key];
  if (collapses && modes?.includes(mode) === false) return encodeValue(key, type.zero);
  if (shownForZero !== undefined && settings[key] === type.zero) return shownForZero;
  return encode(settings, key);
}

/** `undefined` for what is left out. */
function encode(settings: Settings, key: Key): Json | undefined {
  const { type, omitZero } = OPTIONS[key];
  if (omitZero && isSame(key, settings[key], type.zero)) return undefined;
  return encodeValue(key, settings[key]);
}

function isSame<K extends Key>(key: K, one: Settings[K], other: Settings[K]): boolean {
  return formatValue(key, one) === formatValue(key, other);
}
