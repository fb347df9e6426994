/** Reads kernel settings: those in force, those that files ask for, and counters. */

/** A line of a file. */
export interface FoundLine {
  readonly file: string;
  readonly text: string;
}

/** A setting that a file makes. */
export interface SysctlLine {
  readonly file: string;
  /** With dots: `net.ipv4.ip_forward`. */
  readonly name: string;
  readonly value: string;
}

/** Reads what `sysctl -a` prints: `name = value`. */
export function parseSysctls(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^(\S+) = ?(.*)$/.exec(line);
    if (match !== null) values.set(match[1] ?? '', (match[2] ?? '').trim());
  }
  return values;
}

/** Reads `file:line`, as grep(1) prints it. */
export function parseFoundLines(text: string): readonly FoundLine[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([^:]+):(.*)$/.exec(line);
    return match === null ? [] : [{ file: match[1] ?? '', text: (match[2] ?? '').trim() }];
  });
}

/** The settings among lines of sysctl.d(5). */
export function parseSysctlLines(text: string): readonly SysctlLine[] {
  return parseFoundLines(text).flatMap(({ file, text: line }) => {
    const match = /^-?([\w./-]+)\s*=\s*(.*)$/.exec(line);
    if (match === null) return [];
    return [{ file, name: (match[1] ?? '').replaceAll('/', '.'), value: (match[2] ?? '').trim() }];
  });
}

/** Adds up the lines of /proc/net/stat/nf_conntrack, one a CPU, by column; numbers are hexadecimal. */
export function parseConntrackCounters(text: string): ReadonlyMap<string, number> {
  const [header = '', ...lines] = text.trim().split('\n');
  const names = header.trim().split(/\s+/);
  const sums = new Map<string, number>();
  for (const line of lines) {
    for (const [index, cell] of line.trim().split(/\s+/).entries()) {
      const name = names[index];
      if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + Number.parseInt(cell, 16));
    }
  }
  return sums;
}
