/** The proxy's log, read back: klog lines such as `I1121 19:00:00.000000    1234 agent] "Programmed" ms=0.8`. */

/** One line of the log. */
export interface LogLine {
  /** From 0, the first line of its process. */
  readonly number: number;
  /** The line as it came. */
  readonly text: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
  /** When it was read, in milliseconds of `monotonicMs()`. */
  readonly at: number;
}

const head = /^[IWE]\d{4} \S+ +\d+ \S+\] "(?<message>(?:[^"\\]|\\.)*)"(?<fields>.*)$/;
const field = /(?<key>\w+)=(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<plain>\S+))/g;

/** Reads a line; one in another form has an empty message and no fields. */
export function parseLogLine(number: number, text: string, at: number): LogLine {
  const { message = '', fields: rest = '' } = head.exec(text)?.groups ?? {};
  const fields: Record<string, string> = {};
  for (const { groups } of rest.matchAll(field)) {
    const { key, quoted, plain } = groups ?? {};
    if (key !== undefined) fields[key] = quoted ?? plain ?? '';
  }
  return { number, text, message, fields, at };
}
