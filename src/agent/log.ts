/**
 * Log lines in the text format of klog, which operators of kube-proxy know and collect:
 * `I1121 19:00:00.000000    1234 pipeline] "Programmed" services=1 ms=0.8`.
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

/** Where and how a log is written. */
export interface LogOptions {
  /** Highest verbosity that {@link Logger.v} says yes to. */
  readonly verbosity: number;
  /** Takes one line with its line break. */
  readonly write: (line: string) => void;
  /** Wall-clock time of a line. */
  readonly time: () => Date;
  readonly pid: number;
}

/** Opens a log. `part` names the part of the program, in the place where klog has the source file. */
export function openLog(options: LogOptions, part: string): Logger {
  const line = (severity: string, message: string, fields: LogFields = {}): void => {
    options.write(formatLine(options, severity, part, message, fields));
  };
  return {
    v: (level) => level <= options.verbosity,
    info: (message, fields) => {
      line('I', message, fields);
    },
    warning: (message, fields) => {
      line('W', message, fields);
    },
    error: (message, fields) => {
      line('E', message, fields);
    },
    part: (name) => openLog(options, name),
  };
}

function formatLine(
  { time, pid }: LogOptions,
  severity: string,
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

/** `mmdd hh:mm:ss.uuuuuu` in local time. JavaScript has no microseconds: the last three digits are 0. */
function timestamp(time: Date): string {
  const date = `${two(time.getMonth() + 1)}${two(time.getDate())}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return `${date} ${clock}.${String(time.getMilliseconds()).padStart(3, '0')}000`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
