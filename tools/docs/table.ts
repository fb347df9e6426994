/** Tables of Markdown, formatted as Prettier does. */

/** The text of a table whose columns are as wide as their widest cell. The first row has the titles. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const [header = [], ...others] = rows;
  const widths = header.map((_title, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = [header, widths.map((width) => '-'.repeat(width)), ...others].map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | '),
  );
  return lines.map((line) => `| ${line} |\n`).join('');
}
