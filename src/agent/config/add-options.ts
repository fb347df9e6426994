/** The options of the table as options of a command. */
import { type Command, Option as CommandOption } from 'commander';
import { KEYS, type Key, OPTIONS, SECTIONS, formatValue } from './options.ts';

/**
 * Adds every flag to a command. Its arguments must go through `normaliseFlags` before. The help shows the
 * flags that have an effect; the others are accepted, too.
 *
 * @returns Reads which flags were given, once the command line is parsed: texts by name without dashes.
 */
export function addOptions(command: Command): () => ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const { title, keys } of SECTIONS) {
    for (const key of keys) {
      const { flag, type } = OPTIONS[key];
      if (flag === undefined) continue;
      const option = commandOption(key, flag).helpGroup(`${title}:`);
      command.addOption(
        option.argParser((text) => {
          const before = given.get(flag);
          given.set(flag, type.repeats && before !== undefined ? `${before},${text}` : text);
          return text;
        }),
      );
    }
  }
  return () => given;
}

function commandOption(key: Key, flag: string): CommandOption {
  const { short, help, deprecated, ignored, type } = OPTIONS[key];
  const names = short === undefined ? `--${flag}` : `-${short}, --${flag}`;
  const words = type.words === undefined ? '' : `: ${type.words.join(', ')}`;
  const option = new CommandOption(
    `${names} <${type.name}>`,
    help + words + sharedNote(flag) + defaultNote(key),
  );
  return deprecated === undefined && ignored === undefined ? option : option.hideHelp();
}

/** The flag stands in the section of one mode, but counts in another one, too. */
function sharedNote(flag: string): string {
  const isShared = KEYS.some((key) => OPTIONS[key].sharesFlag === flag);
  return isShared ? '; in nftables mode, too' : '';
}

function defaultNote(key: Key): string {
  const text = formatDefault(key);
  return text === '' ? '' : ` (default: ${text})`;
}

/** The default of a setting as people read it; nothing for an empty one. */
export function formatDefault(key: Key): string {
  const { default: value, defaultText } = OPTIONS[key];
  return defaultText ?? formatValue(key, value);
}
