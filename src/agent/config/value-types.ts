/** The types a setting can have: how each is spelled in a flag and in a file, and printed again. */
import { formatGoDuration, parseGoDuration } from './go-duration.ts';

/** What JSON can say. */
export type Json =
  string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** A type of Go, or one of ours. */
export interface ValueType<T> {
  /** For the documentation. */
  readonly name: string;
  /** Completes the sentence "must be …". */
  readonly expected: string;
  /** All words there are, if only some are allowed. */
  readonly words?: readonly string[];
  /** What Go has where nothing was said. */
  readonly zero: T;
  /** What a flag without a value stands for; a type without it always takes a value. */
  readonly bare?: string;
  /** A flag that is repeated adds to what was there. */
  readonly repeats?: true;
  /** Reads the text of a flag; `undefined` if it is none of this type. */
  parse(text: string): T | undefined;
  /** Reads a value of a YAML or JSON file; `undefined` if it is none of this type. */
  decode(value: unknown): T | undefined;
  /** Writes the value as kube-proxy does in a file. */
  encode(value: T): Json;
  /** Writes the value as text of a flag. */
  format(value: T): string;
}

/** One entry of `--vmodule`: the verbosity of source files. */
export interface VModule {
  readonly filePattern: string;
  readonly verbosity: number;
}

const UINT32_MAX = 2 ** 32 - 1;
const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Reads a boolean as Go's strconv.ParseBool. */
function parseBool(text: string): boolean | undefined {
  if (TRUE.has(text)) return true;
  return FALSE.has(text) ? false : undefined;
}

/** `true` or `false`. */
export const BOOL: ValueType<boolean> = {
  name: 'bool',
  expected: 'true or false',
  zero: false,
  bare: 'true',
  parse: parseBool,
  decode: (value) => (typeof value === 'boolean' ? value : undefined),
  encode: (value) => value,
  format: String,
};

function integer(name: string, min: number, max: number): ValueType<number> {
  const check = (value: unknown): number | undefined =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : undefined;
  return {
    name,
    expected: `a whole number from ${min} to ${max}`,
    zero: 0,
    parse: (text) =>
      /^[+-]?(?:0|[1-9]\d*)$/.test(text) || /^0x[0-9a-f]+$/i.test(text)
        ? check(Number(text) + 0)
        : undefined,
    decode: check,
    encode: (value) => value,
    format: String,
  };
}

/** A signed 32-bit number. */
export const INT32 = integer('int32', -(2 ** 31), 2 ** 31 - 1);
/** An unsigned 32-bit number. */
export const UINT32 = integer('uint32', 0, UINT32_MAX);

/** A number. */
export const FLOAT32: ValueType<number> = {
  name: 'float32',
  expected: 'a number',
  zero: 0,
  parse: (text) =>
    /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined,
  decode: (value) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined),
  encode: (value) => value,
  format: String,
};

/** Any text. `name` says more of it in the documentation. */
export function textType(name: string): ValueType<string> {
  return {
    name,
    expected: 'text (put quotes around it)',
    zero: '',
    parse: (value) => value,
    decode: (value) => (typeof value === 'string' ? value : undefined),
    encode: (value) => value,
    format: (value) => value,
  };
}

/** Any text. */
export const STRING = textType('string');

/** A time span, in milliseconds. */
export const DURATION: ValueType<number> = {
  name: 'duration',
  expected: 'a duration with units such as 300ms, 30s or 1h2m3s',
  zero: 0,
  parse: parseGoDuration,
  decode: (value) => (typeof value === 'string' ? parseGoDuration(value) : undefined),
  encode: formatGoDuration,
  format: formatGoDuration,
};

/**
 * The same, in a file also a number of nanoseconds: what kubeadm writes for `logging.flushFrequency` (TimeOrMetaDuration of
 * k8s.io/component-base).
 */
export const DURATION_OR_NANOSECONDS: ValueType<number> = {
  ...DURATION,
  decode: (value) =>
    typeof value === 'number' && Number.isSafeInteger(value) ? value / 1e6 : DURATION.decode(value),
};

/** Texts, in a flag separated by commas. */
export const LIST: ValueType<readonly string[]> = {
  name: 'list',
  expected: 'a list of texts',
  zero: [],
  repeats: true,
  parse: (value) => split(value),
  decode: (value) => (isTexts(value) ? value : undefined),
  // A Go slice that nobody filled is null.
  encode: (value) => (value.length === 0 ? null : value),
  format: (value) => value.join(','),
};

/** The same as {@link LIST}, but a file has it as one text with commas. */
export const COMMA_LIST: ValueType<readonly string[]> = {
  ...LIST,
  expected: 'a text with commas',
  decode: (value) => (typeof value === 'string' ? split(value) : undefined),
  encode: (value) => value.join(','),
};

/** Feature gates: names with `true` or `false`. */
export const GATES: ValueType<Readonly<Record<string, boolean>>> = {
  name: 'map',
  expected: 'names with true or false, such as SomeGate=true,OtherGate=false',
  zero: {},
  repeats: true,
  parse: (value) => {
    const pairs = split(value).map((pair): readonly [string, boolean | undefined] => {
      const [name = '', state = ''] = pair.split('=', 2);
      return [name.trim(), name.trim() === '' ? undefined : parseBool(state.trim())];
    });
    return readGates(pairs);
  },
  decode: (value) => (isRecord(value) ? readGates(Object.entries(value)) : undefined),
  encode: (gates) => gates,
  format: (gates) =>
    Object.entries(gates)
      .map(([name, on]) => `${name}=${on}`)
      .join(','),
};

/** Sorted by name, as Go writes maps. Of a name that is there twice, the last one counts. */
function readGates(
  pairs: readonly (readonly [string, unknown])[],
): Readonly<Record<string, boolean>> | undefined {
  const gates: (readonly [string, boolean])[] = [];
  for (const [name, on] of pairs) {
    if (typeof on !== 'boolean') return undefined;
    gates.push([name, on]);
  }
  return Object.fromEntries(gates.toSorted(([one], [other]) => compareText(one, other)));
}

function compareText(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Verbosity of single source files. */
export const VMODULE: ValueType<readonly VModule[]> = {
  name: 'list',
  expected: 'patterns with a verbosity, such as pipeline=4,reflector=6',
  zero: [],
  repeats: true,
  parse: (value) =>
    readVModules(
      split(value).map((entry) => {
        const [filePattern = '', level = ''] = entry.split('=', 2);
        return { filePattern, verbosity: UINT32.parse(level) };
      }),
    ),
  decode: (value) => (Array.isArray(value) ? readVModules(value) : undefined),
  encode: (entries) => entries.map(({ filePattern, verbosity }) => ({ filePattern, verbosity })),
  format: (entries) =>
    entries.map(({ filePattern, verbosity }) => `${filePattern}=${verbosity}`).join(','),
};

function readVModules(entries: readonly unknown[]): readonly VModule[] | undefined {
  const modules: VModule[] = [];
  for (const entry of entries) {
    if (!isRecord(entry)) return undefined;
    const { filePattern, verbosity } = entry;
    const level = UINT32.decode(verbosity);
    // An entry is one pair in a flag, so its parts cannot hold what separates them there.
    if (typeof filePattern !== 'string' || !/^[^=,]+$/.test(filePattern)) return undefined;
    if (level === undefined) return undefined;
    modules.push({ filePattern, verbosity: level });
  }
  return modules;
}

/** A number of bytes as Kubernetes writes it: `0`, `512Ki`. */
export const QUANTITY: ValueType<string> = {
  ...textType('quantity'),
  expected: 'a number of bytes such as 0, 4096 or 512Ki',
  zero: '0',
  parse: (value) => (/^\d+(?:[kMGT]|[KMGT]i)?$/.test(value) ? value : undefined),
  decode: (value) => {
    if (typeof value !== 'string' && typeof value !== 'number') return undefined;
    return QUANTITY.parse(String(value));
  },
};

/**
 * One of some words. `spellings` says what each spelling means; `''` must be among them.
 *
 * @param written - The spelling in a file where it is not the word itself.
 */
export function choice<T extends string>(
  spellings: Readonly<Record<'', T>> & Readonly<Record<string, T>>,
  written: (value: T) => string = (value) => value,
): ValueType<T> {
  const parse = (value: string): T | undefined =>
    Object.hasOwn(spellings, value) ? spellings[value] : undefined;
  const words = Object.keys(spellings).filter((spelling) => spelling !== '');
  return {
    name: 'string',
    expected: orList(words),
    words,
    zero: spellings[''],
    parse,
    decode: (value) => (typeof value === 'string' ? parse(value) : undefined),
    encode: written,
    format: (value) => value,
  };
}

/** `a, b or c`. */
function orList(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} or ${last}`;
}

/** True for an object of YAML or JSON. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function split(list: string): readonly string[] {
  return list.trim() === '' ? [] : list.split(',').map((item) => item.trim());
}
