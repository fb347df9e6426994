/** Changes the mode in a KubeProxyConfiguration, with its comments, and what has to change along with it. */
import { type Document, isCollection, isScalar, parseAllDocuments } from 'yaml';
import { KUBE_PROXY_CONFIG } from '../../agent/config/document-kinds.ts';
import { loadConfig } from '../../agent/config/load.ts';
import type { PlaneMode } from '../../agent/config/option.ts';
import { type Key, OPTIONS, type Settings, formatValue } from '../../agent/config/options.ts';
import { PERIODS } from '../../agent/config/options/modes.ts';
import { ToolError } from '../errors.ts';

/** A configuration in another mode. */
export interface EditedConfig {
  readonly text: string;
  /** As the file has it; `undefined` or `''`: the proxy chooses. */
  readonly mode: string | undefined;
  /** Settings before the change. */
  readonly settings: Settings;
  /** What was changed besides the mode, a sentence each. */
  readonly carried: readonly string[];
}

/** Settings that a mode has under another name. ipvs mode takes what is about masquerading from iptables mode. */
const COUNTERPARTS: readonly Readonly<Record<PlaneMode, Key>>[] = [
  {
    iptables: 'iptablesMasqueradeAll',
    ipvs: 'iptablesMasqueradeAll',
    nftables: 'nftablesMasqueradeAll',
  },
  {
    iptables: 'iptablesMasqueradeBit',
    ipvs: 'iptablesMasqueradeBit',
    nftables: 'nftablesMasqueradeBit',
  },
  {
    iptables: PERIODS.iptables.period,
    ipvs: PERIODS.ipvs.period,
    nftables: PERIODS.nftables.period,
  },
  { iptables: PERIODS.iptables.least, ipvs: PERIODS.ipvs.least, nftables: PERIODS.nftables.least },
];

/**
 * Sets the mode, and copies settings of the old mode that the new one has under another name and that nobody set there. What
 * else is in the text stays as it is, comments included.
 *
 * @param from - The mode that counts where the text names none.
 *
 * Throws a {@link ToolError} `SY_MIGRATE_UNREADABLE` for what is no such configuration, and an AgentError
 * `SY_CONFIG_INVALID` for one that cannot be used, before or after.
 */
export function editConfig(text: string, to: PlaneMode, from: PlaneMode): EditedConfig {
  const documents = parseDocuments(text);
  const config = documents.find((document) => document.get('kind') === KUBE_PROXY_CONFIG.kind);
  if (config === undefined) {
    throw unreadable(`there is no document of kind ${KUBE_PROXY_CONFIG.kind} in it`);
  }
  const settings = settingsOf(text);
  const written = config.get('mode');
  const mode = typeof written === 'string' ? written : undefined;
  const old = mode === 'iptables' || mode === 'ipvs' || mode === 'nftables' ? mode : from;
  if (mode !== to) set(config, ['mode'], to);
  const carried = COUNTERPARTS.flatMap((names) => carry(config, settings, names[old], names[to]));
  const edited = documents.map((document) => print(document, text)).join('');
  settingsOf(edited);
  return { text: edited, mode, settings, carried };
}

/** The settings that the text gives. Throws an AgentError `SY_CONFIG_INVALID`. */
function settingsOf(text: string): Settings {
  const name = 'config.conf';
  return loadConfig({
    flags: new Map([['config', name]]),
    readFile: () => text,
    hostname: 'localhost',
  }).settings;
}

function parseDocuments(text: string): readonly Document.Parsed[] {
  const documents = parseAllDocuments(text, { prettyErrors: false });
  if ('empty' in documents) throw unreadable('it is empty');
  const [failure] = documents.flatMap(({ errors }) => errors);
  if (failure !== undefined) throw unreadable(failure.message);
  return documents;
}

function carry(config: Document.Parsed, settings: Settings, from: Key, to: Key): readonly string[] {
  const [source, target] = [OPTIONS[from].field, OPTIONS[to].field];
  if (from === to || source === undefined || target === undefined) return [];
  if (isDefault(from, settings) || !isDefault(to, settings)) return [];
  const value = config.getIn(source.split('.'));
  set(config, target.split('.'), value);
  return [`${target} is now ${String(value)}, as ${source} is: each mode has its own.`];
}

function isDefault(key: Key, settings: Settings): boolean {
  return formatValue(key, settings[key]) === formatValue(key, OPTIONS[key].default);
}

function set(config: Document.Parsed, path: readonly string[], value: unknown): void {
  for (let length = 1; length < path.length; length++) {
    const parent = path.slice(0, length);
    // A section without anything in it: `nftables:`.
    if (!isCollection(config.getIn(parent, true))) config.setIn(parent, config.createNode({}));
  }
  config.setIn(path, value);
  const node = config.getIn(path, true);
  // Whatever quotes the old value had.
  if (isScalar(node)) node.type = 'PLAIN';
}

/** As the text is written: lists at the depth of their name, or deeper. Long lines stay long. */
function print(document: Document.Parsed, text: string): string {
  const indentSeq = !/^( *)[^\s#-][^\n]*:[^\S\n]*\n\1- /m.test(text);
  return document.toString({ lineWidth: 0, indentSeq });
}

function unreadable(reason: string): ToolError {
  return new ToolError(
    'SY_MIGRATE_UNREADABLE',
    `Cannot use the configuration of kube-proxy: ${reason}. It must be YAML with kind: ${KUBE_PROXY_CONFIG.kind}.`,
  );
}
