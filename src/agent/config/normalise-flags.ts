/**
 * Rewrites the spellings of flags that Go's pflag reads (`-v=4`, `-v4`, `--flag=false`, `--some_flag`, a
 * boolean without a value) into the one that every parser reads: `--name=value`.
 */
import { FLAGS, KEYS, OPTIONS } from './options.ts';

/** Name of the flag that a letter stands for. */
const LETTERS: ReadonlyMap<string, string> = new Map(
  KEYS.flatMap((key) => {
    const { short, flag } = OPTIONS[key];
    return short === undefined || flag === undefined ? [] : [[short, flag]];
  }),
);

/**
 * Rewrites arguments. Flags that no row of the table has, such as `--help`, and a flag whose value is
 * missing stay as they are, for the parser to answer. Empty arguments are dropped, as kube-proxy does.
 */
export function normaliseFlags(args: readonly string[]): readonly string[] {
  const normal: string[] = [];
  const rest = args.values();
  for (const arg of rest) {
    if (arg === '--') {
      normal.push(arg, ...rest.filter((word) => word !== ''));
      break;
    }
    const found = readFlag(arg);
    if (found === undefined) {
      if (arg !== '') normal.push(arg);
      continue;
    }
    const value = found.value ?? found.bare ?? rest.next().value;
    normal.push(value === undefined ? `--${found.name}` : `--${found.name}=${value}`);
  }
  return normal;
}

interface Flag {
  readonly name: string;
  readonly value: string | undefined;
  /** What it stands for without a value; otherwise the next argument is its value. */
  readonly bare: string | undefined;
}

/** `undefined` when it is no flag of ours. */
function readFlag(arg: string): Flag | undefined {
  const long = /^--([^=]+)(?:=([^]*))?$/.exec(arg);
  const short = /^-([^-=])(?:=?([^]+))?$/.exec(arg);
  const name = long?.[1]?.replaceAll('_', '-') ?? LETTERS.get(short?.[1] ?? '');
  const key = FLAGS.get(name ?? '');
  if (name === undefined || key === undefined) return undefined;
  return { name, value: long?.[2] ?? short?.[2], bare: OPTIONS[key].type.bare };
}
