/**
 * Log lines as operators of kube-proxy know and collect them: in the text format of klog,
 * `I1121 19:00:00.000000    1234 pipeline] "Programmed" services=1 ms=0.8`, or in the JSON format of
 * Kubernetes' component-base, one object a line.
 */

/** Values that go behind the message of a line, in order. */
type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Writes lines of one part of the program. */
export interface Logger {
  /** True when lines of this verbosity are written. Ask before making an expensive line. */
  v(level: number): boolean;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log for another part of the program. */
  part(name: string): Logger;
}

/** Another verbosity for the parts whose name matches (kube-proxy: `--vmodule`). */
interface PartVerbosity {
  /** Name of a part; `*` and `?` stand for any characters and for one. */
  readonly filePattern: string;
  readonly verbosity: number;
}

/** Where and how a log is written. */
export interface LogOptions {
  readonly format: 'text' | 'json';
  /** Highest verbosity that {@link Logger.v} says yes to. */
  readonly verbosity: number;
  /** The first that matches counts. */
  readonly vmodule: readonly PartVerbosity[];
  /** Takes one line with its line break. */
  readonly write: (line: string) => void;
  /** Wall-clock time of a line. */
  readonly time: () => Date;
  readonly pid: number;
}

type Severity = 'I' | 'W' | 'E';

/** What all parts of a log share. */
export class Log {
  readonly #options: LogOptions;
  #verbosity: number;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#verbosity = options.verbosity;
  }

  /** Changes the verbosity of all parts without one of their own, at once. */
  setVerbosity(verbosity: number): void {
    this.#verbosity = verbosity;
  }

  /** `name` is written where klog has the source file. */
  part(name: string): Logger {
    const { vmodule, format } = this.#options;
    const own = vmodule.find(({ filePattern }) => matches(filePattern, name))?.verbosity;
    const v = (level: number): boolean => level <= (own ?? this.#verbosity);
    const formatLine = format === 'json' ? jsonLine : textLine;
    const line = (severity: Severity, message: string, fields: LogFields = {}): void => {
      this.#options.write(formatLine(this.#options, severity, name, message, fields));
    };
    return {
      v,
      info: (message, fields) => {
        line('I', message, fields);
      },
      warning: (message, fields) => {
        line('W', message, fields);
      },
      error: (message, fields) => {
        line('E', message, fields);
      },
      part: (other) => this.part(other),
    };
  }
}

function matches(pattern: string, name: string): boolean {
  const escaped = pattern.replaceAll(/[^\w*?]/g, String.raw`\$&`);
  const expression = escaped.replaceAll('*', '.*').replaceAll('?', '.');
  return new RegExp(`^${expression}$`).test(name);
}

function textLine(
  { time, pid }: LogOptions,
  severity: Severity,
  part: string,
  message: string,
  fields: LogFields,
): string {
  let line = `${severity}${timestamp(time())} ${String(pid).padStart(7)} ${part}] ${JSON.stringify(message)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    line += ` ${key}=${typeof value === 'string' ? JSON.stringify(value) : value}`;
  }
  return `${line}\n`;
}

/** As `k8s.io/component-base/logs/json` writes: `ts` in milliseconds, `v` for what is no error. */
function jsonLine(
  { time }: LogOptions,
  severity: Severity,
  part: string,
  message: string,
  fields: LogFields,
): string {
  const head = { ts: time().getTime(), caller: part, msg: message };
  const rest = severity === 'E' ? fields : { v: 0, ...fields };
  const warning = severity === 'W' ? { warning: true } : {};
  return `${JSON.stringify({ ...head, ...warning, ...rest })}\n`;
}

/** `mmdd hh:mm:ss.uuuuuu` in local time. JavaScript has no microseconds: the last three digits are 0. */
function timestamp(time: Date): string {
  const date = `${two(time.getMonth() + 1)}${two(time.getDate())}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return `${date} ${clock}.${String(time.getMilliseconds()).padStart(3, '0')}000`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
