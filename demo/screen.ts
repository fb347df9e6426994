/** What the demo shows: lines and tables on standard output, and what it is doing on standard error. */
import { stripVTControlCharacters, styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'green' | 'cyan' | 'yellow' | 'red';

/** Widest line. */
export const screenWidth = 100;

/** Colours a text where standard output is a terminal and NO_COLOR is not set. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** One column of a table. */
export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

export class Screen {
  /** There is a line on the terminal that tells what is being done and must go before the next output. */
  #hasProgress = false;

  /** Prints a line. */
  line(text = ''): void {
    this.endProgress();
    process.stdout.write(`${text}\n`);
  }

  /** Prints a title with an empty line before it. */
  title(text: string): void {
    this.line();
    this.line(paint('bold', text));
  }

  /** Prints rows; columns are as wide as their widest cell. Titles, if there are any, stand above them. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    const titles = columns.map(({ title }) => paint('dim', title));
    const all = columns.some(({ title }) => title !== '') ? [titles, ...rows] : rows;
    const widths = columns.map((_, index) =>
      Math.max(...all.map((cells) => visibleLength(cells[index] ?? ''))),
    );
    for (const cells of all) {
      const text = columns
        .map(({ align }, index) => {
          const cell = cells[index] ?? '';
          const padding = ' '.repeat((widths[index] ?? 0) - visibleLength(cell));
          return align === 'left' ? cell + padding : padding + cell;
        })
        .join('  ')
        .trimEnd();
      this.line(`  ${text}`);
    }
  }

  /** Says what is being done, where somebody watches. The next output replaces it. */
  progress(text: string): void {
    if (!process.stderr.isTTY) return;
    this.endProgress();
    process.stderr.write(styleText('dim', `… ${text}`, { stream: process.stderr }));
    this.#hasProgress = true;
  }

  /** Removes the line of {@link progress}. */
  endProgress(): void {
    if (!this.#hasProgress) return;
    // Back to the start of the line, and erase it.
    process.stderr.write('\r\u001B[K');
    this.#hasProgress = false;
  }

  /** Prints a line about the demo itself on standard error. */
  notice(text: string): void {
    this.endProgress();
    process.stderr.write(`${text}\n`);
  }
}

function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length;
}

/** Milliseconds as people read them: `0.34 ms`, `7.1 ms`, `320 ms`. */
export function milliseconds(value: number): string {
  const digits = value < 1 ? 2 : value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ms`;
}

/** A count with thousands separated: `12,345`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}
