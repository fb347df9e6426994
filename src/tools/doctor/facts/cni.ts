/** Configurations of network plugins, cut down to what rules ask about: such files may hold passwords. */
import { type Fields, isFields } from '../../../core/decode/fields.ts';

/** A file of /etc/cni/net.d. */
export interface CniFile {
  readonly file: string;
  readonly plugins: readonly CniPlugin[];
}

/** One plugin of a configuration. */
interface CniPlugin {
  readonly type: string;
  /** Bytes; `undefined`: the plugin decides. */
  readonly mtu: number | undefined;
  /** Packets may leave through the port of the bridge that they came from. */
  readonly hairpin: boolean;
}

/** True for names that container runtimes read. */
export function isCniFile(name: string): boolean {
  return /^[^.].*\.(?:conf|conflist)$/.test(name);
}

/** The parts of a configuration that {@link readCni} reads, to be written to a capture. */
export function redactCni(content: Fields): Fields {
  const plugins: readonly unknown[] = Array.isArray(content['plugins'])
    ? content['plugins']
    : [content];
  return { plugins: plugins.filter(isFields).map(redactPlugin) };
}

function redactPlugin({ type, mtu, hairpinMode, promiscMode, delegate }: Fields): Fields {
  const inner = isFields(delegate)
    ? { delegate: { hairpinMode: delegate['hairpinMode'], mtu: delegate['mtu'] } }
    : {};
  return { type, mtu, hairpinMode, promiscMode, ...inner };
}

/** Reads a configuration. */
export function readCni(file: string, content: Fields): CniFile {
  const { plugins } = redactCni(content);
  const list: readonly unknown[] = Array.isArray(plugins) ? plugins : [];
  return { file, plugins: list.filter(isFields).map(readPlugin) };
}

function readPlugin(plugin: Fields): CniPlugin {
  const { type, delegate } = plugin;
  const settings = isFields(delegate) ? { ...plugin, ...delegate } : plugin;
  const { mtu } = settings;
  return {
    type: typeof type === 'string' ? type : '',
    mtu: typeof mtu === 'number' && mtu > 0 ? mtu : undefined,
    hairpin: settings['hairpinMode'] === true || settings['promiscMode'] === true,
  };
}
